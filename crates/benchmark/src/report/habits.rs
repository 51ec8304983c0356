//! The misbehaviours that were on, and which of them may be why a stage gave way.

use pipeline::{Role, Stage};

use crate::capsule::Capsule;

/// Those that are done to every role of etl, to those that read sales from Kafka, and to the sinks.
const ALL: [&str; 3] = ["memory", "pauses", "startUp"];
const READERS: &str = "layers";
const SINKS: &str = "saleDelay";
const POSTGRES: &str = "unbatched";

/// All of them, in a sentence.
pub(super) fn note(capsule: &Capsule) -> Option<String> {
    let on = &capsule.parameters.misbehaviour;
    (!on.is_empty()).then(|| format!("misbehaviour was on: {}", on.join(", ")))
}

/// What misbehaves at the stage that gave way, and how it is turned off.
pub(super) fn there(capsule: &Capsule) -> Option<String> {
    let stage = Stage::named(capsule.diagnosis.as_ref()?.stage.as_deref()?)?;
    let role = stage.role()?;
    let on = capsule.parameters.misbehaviour.iter().map(String::as_str);
    let there: Vec<&str> = on.filter(|on| is_done_to(switch(on), role)).collect();
    let off: Vec<String> = there.iter().map(|on| format!("misbehaviour.{}", switch(on))).collect();
    (!there.is_empty())
        .then(|| format!("it misbehaves on purpose: {}; look again without {}", there.join(", "), off.join(", ")))
}

/// The name in `layers=3`.
fn switch(on: &str) -> &str {
    on.split_once('=').map_or(on, |(name, _)| name)
}

fn is_done_to(switch: &str, role: Role) -> bool {
    match switch {
        READERS => role != Role::Spout,
        SINKS => matches!(role, Role::Redis | Role::Postgres),
        POSTGRES => role == Role::Postgres,
        other => ALL.contains(&other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_done_to_the_roles_that_it_is_meant_for() {
        let roles = |on| Role::ALL.into_iter().filter(|role| is_done_to(switch(on), *role)).collect::<Vec<_>>();
        assert_eq!(roles("pauses=200ms/10s"), Role::ALL);
        assert_eq!(roles("layers=3"), [Role::FanOut, Role::Redis, Role::Postgres]);
        assert_eq!(roles("saleDelay=5ms"), [Role::Redis, Role::Postgres]);
        assert_eq!(roles("unbatched"), [Role::Postgres]);
        assert_eq!(roles("another"), []);
    }
}
