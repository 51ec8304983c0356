//! The names of topics, groups and transactional ids: a prefix, so that several releases can share one Kafka.

use petstore::State;
use pipeline::Topic;

/// Builds every name that Kapture uses in Kafka. Cheap to make; see [`crate::Config::names`].
#[derive(Clone, Debug)]
pub struct Names {
    prefix: String,
}

impl Names {
    /// Takes the prefix of all names, empty for a Kafka of one's own.
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The topic that the loaders fill: stage "accepted".
    pub fn sales(&self) -> String {
        self.name(Topic::Sales.name())
    }

    /// The topic of one state: stage "routed".
    pub fn state(&self, state: State) -> String {
        self.name(&format!("{}{}", Topic::States.name(), state.code()))
    }

    /// The topics of all states, in the order of [`State::ALL`].
    pub fn states(&self) -> Vec<String> {
        State::ALL.iter().map(|state| self.state(*state)).collect()
    }

    /// The topic, or all of its family.
    pub fn of(&self, topic: Topic) -> Vec<String> {
        if topic == Topic::States { self.states() } else { vec![self.name(topic.name())] }
    }

    /// The state whose topic this is, if it is one.
    pub fn state_of(&self, topic: &str) -> Option<State> {
        topic.strip_prefix(&self.prefix)?.strip_prefix(Topic::States.name())?.parse().ok()
    }

    /// What came back from the last store: stage "returned".
    pub fn receipts(&self) -> String {
        self.name(Topic::Receipts.name())
    }

    /// Records that are not valid sales, each with the reason in a header.
    pub fn rejected(&self) -> String {
        self.name(Topic::Rejected.name())
    }

    /// What each loader reserved, sent and had acknowledged (see [`crate::blocks`]).
    pub fn blocks(&self) -> String {
        self.name(Topic::Blocks.name())
    }

    /// The auditor's results and its checkpoint.
    pub fn audit(&self) -> String {
        self.name(Topic::Audit.name())
    }

    /// How far roles have come with their input (see [`crate::Committed`]).
    pub fn positions(&self) -> String {
        self.name(Topic::Positions.name())
    }

    /// The results of benchmarks (see [`crate::results`]).
    pub fn results(&self) -> String {
        self.name(Topic::Results.name())
    }

    /// All topics.
    pub fn topics(&self) -> Vec<String> {
        Topic::ALL.into_iter().flat_map(|topic| self.of(topic)).collect()
    }

    /// The consumer group of a role, such as `fan-out`.
    pub fn group(&self, role: &str) -> String {
        self.name(role)
    }

    /// The transactional id (and static member id) of one instance of a program, such as `fan-out`, `0`.
    pub fn transactional_id(&self, program: &str, ordinal: &str) -> String {
        self.name(&format!("{program}-{ordinal}"))
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_topic_names_its_state() {
        let names = Names::new("perf-test-kapture-");
        for state in State::ALL {
            assert_eq!(names.state_of(&names.state(state)), Some(state));
        }
        assert_eq!(names.state_of(&names.sales()), None);
        assert_eq!(names.state_of(&names.rejected()), None);
    }

    #[test]
    fn receipts_and_positions_are_among_the_topics() {
        let (names, topics) = (Names::new("a-"), Names::new("a-").topics());
        assert_eq!(topics.len(), State::ALL.len() + 7);
        assert!(topics.contains(&names.receipts()) && topics.contains(&names.positions()));
    }

    #[test]
    fn another_prefix_is_not_ours() {
        assert_eq!(Names::new("a-").state_of("b-sales.ca"), None);
    }
}
