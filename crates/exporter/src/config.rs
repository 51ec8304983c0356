//! `EXPORTER_*`: which programs to poll, and how often.

use std::time::Duration;

use anyhow::{Context, ensure};
use pipeline::Role;
use serde::Deserialize;
use service::{HostPort, Interval};

/// The component that accepts sales.
pub(crate) const LOADER: &str = pipeline::Stage::Accepted.component();
/// Components that are asked for more than their report.
pub(crate) const AUDITOR: &str = "auditor";
pub(crate) const BENCHMARK: &str = "benchmark";

/// Reports come each second. What has not reported for this long is stale.
pub(crate) const STALE: Duration = Duration::from_secs(5);

/// The variables `EXPORTER_*`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Components and the host names of their pods: `loader=kapture-loader:8080,kafka=a:8080;b:8080`.
    pub targets: Targets,
    /// How often every report is fetched.
    #[serde(default = "one_second")]
    pub poll_interval: Interval,
    /// How often Kafka is asked for its offsets.
    #[serde(default = "five_seconds")]
    pub kafka_interval: Interval,
}

fn one_second() -> Interval {
    Interval::from_ms::<1_000>()
}

fn five_seconds() -> Interval {
    Interval::from_ms::<5_000>()
}

/// The components, in the order of the flow, each with the names behind which its pods are found.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct Targets(Vec<Target>);

/// A component and the names (`host:port`) of its pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// As in the label `app.kubernetes.io/component`.
    pub component: String,
    /// Each is resolved to all of its addresses.
    pub names: Vec<HostPort>,
}

impl Targets {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Target> {
        self.0.iter()
    }

    /// Whether a component is among them.
    pub fn has(&self, component: &str) -> bool {
        self.0.iter().any(|target| target.component == component)
    }

    /// The roles of etl among them.
    pub fn etl_roles(&self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(|role| self.has(role.component()))
    }
}

impl TryFrom<String> for Targets {
    type Error = anyhow::Error;

    fn try_from(text: String) -> anyhow::Result<Self> {
        text.split(',').filter(|target| !target.trim().is_empty()).map(target).collect::<anyhow::Result<_>>().map(Self)
    }
}

fn target(text: &str) -> anyhow::Result<Target> {
    let text = text.trim();
    let (component, names) =
        text.split_once('=').with_context(|| format!("{text:?} is not of the form component=host:port"))?;
    let names = names
        .split(';')
        .map(|name| HostPort::try_from(name.trim().to_owned()).map_err(|why| anyhow::anyhow!("in {text:?}, {why}")));
    let names = names.collect::<anyhow::Result<_>>()?;
    ensure!(!component.is_empty(), "{text:?} names no component");
    Ok(Target { component: component.to_owned(), names })
}

#[cfg(test)]
mod tests {
    use test_servers::bounds;

    use super::*;

    fn parse(text: &str) -> Result<Targets, String> {
        Targets::try_from(text.to_owned()).map_err(|err| format!("{err:#}"))
    }

    #[test]
    fn accepts_and_refuses_what_the_chart_does() {
        bounds::check("KAFKA_", |variables| {
            variables.collect::<service::Environment>().read::<kafka::Config>("KAFKA_")
        });
    }

    #[test]
    fn a_component_may_have_several_names() {
        let targets =
            parse("loader=kapture-loader:8080,etl-fan-out=a:1;b:2,kafka=[fd00::1]:8080;[fd00::2]:8080").unwrap();
        let names = |target: &Target| target.names.iter().map(HostPort::as_str).collect::<Vec<_>>().join(" ");
        let names: Vec<_> = targets.iter().map(|target| (target.component.as_str(), names(target))).collect();
        let expected =
            [("loader", "kapture-loader:8080"), ("etl-fan-out", "a:1 b:2"), ("kafka", "[fd00::1]:8080 [fd00::2]:8080")];
        assert_eq!(names, expected.map(|(component, names)| (component, names.to_owned())));
        assert_eq!(targets.etl_roles().collect::<Vec<_>>(), [Role::FanOut]);
        assert!(targets.has("loader") && !targets.has("etl-redis"));
    }

    #[test]
    fn what_is_no_target_is_quoted() {
        assert_eq!(parse("loader"), Err("\"loader\" is not of the form component=host:port".to_owned()));
        let why = parse("loader=kapture-loader").unwrap_err();
        assert!(
            why.starts_with("in \"loader=kapture-loader\", \"kapture-loader\" is not of the form host:port"),
            "{why}"
        );
        assert!(parse("loader=x:99999").is_err());
        assert!(parse("loader=fd00::1:8080").is_err());
        assert!(parse("=x:80").is_err());
    }
}
