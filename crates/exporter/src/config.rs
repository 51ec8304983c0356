//! `EXPORTER_*`: whom to ask, and how often.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Deserialize;

/// The variables `EXPORTER_*`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Components and the names that stand for their pods: `loader=kapture-loader:8080,kafka=a:8080;b:8080`.
    pub targets: Targets,
    /// How often every report is fetched.
    #[serde(default = "one_second", with = "humantime_serde")]
    pub poll_interval: Duration,
    /// How often Kafka is asked for its offsets.
    #[serde(default = "five_seconds", with = "humantime_serde")]
    pub kafka_interval: Duration,
}

fn one_second() -> Duration {
    Duration::from_secs(1)
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

/// The components, in the order of the flow, each with the names behind which its pods are found.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct Targets(Vec<Target>);

/// A component and the names (`host:port`) that stand for its pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// As in the label `app.kubernetes.io/component`.
    pub component: String,
    /// Each is resolved to all of its addresses.
    pub names: Vec<String>,
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

    /// The roles of etl among them, which are also the names of their consumer groups.
    pub fn etl_roles(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|target| target.component.strip_prefix("etl-"))
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
    let names: Vec<String> = names.split(';').map(|name| name.trim().to_owned()).collect();
    for name in &names {
        let port = name.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
        ensure!(matches!(port, Some(Ok(_))), "{name:?} in {text:?} is not of the form host:port");
    }
    ensure!(!component.is_empty(), "{text:?} names no component");
    Ok(Target { component: component.to_owned(), names })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Targets, String> {
        Targets::try_from(text.to_owned()).map_err(|err| format!("{err:#}"))
    }

    #[test]
    fn a_component_may_have_several_names() {
        let targets = parse("loader=kapture-loader:8080,etl-fan-out=a:1;b:2").unwrap();
        let names: Vec<_> = targets.iter().map(|target| (target.component.as_str(), target.names.join(" "))).collect();
        assert_eq!(names, [("loader", "kapture-loader:8080".to_owned()), ("etl-fan-out", "a:1 b:2".to_owned())]);
        assert_eq!(targets.etl_roles().collect::<Vec<_>>(), ["fan-out"]);
        assert!(targets.has("loader") && !targets.has("etl-redis"));
    }

    #[test]
    fn what_is_no_target_is_quoted() {
        assert_eq!(parse("loader"), Err("\"loader\" is not of the form component=host:port".to_owned()));
        assert_eq!(
            parse("loader=kapture-loader"),
            Err("\"kapture-loader\" in \"loader=kapture-loader\" is not of the form host:port".to_owned())
        );
        assert!(parse("loader=x:99999").is_err());
        assert!(parse("=x:80").is_err());
    }
}
