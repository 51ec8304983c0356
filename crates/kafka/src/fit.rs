//! What does not fit between the topics that are there, the settings, and the brokers that are live, each in a sentence
//! with what mends it.
//!
//! Kafka reports none of this to a client that waits: a topic that can't get its copies takes no record, and all that a
//! program sees is that nothing is acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use tracing::{info, warn};

/// Kafka as one request for metadata shows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cluster {
    /// The brokers that are live.
    pub(crate) brokers: BTreeSet<i32>,
    /// Every topic by its name.
    pub(crate) topics: BTreeMap<String, Existing>,
}

/// A topic that is there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Existing {
    /// The leader of each partition; -1 where there is none.
    pub(crate) leaders: Vec<i32>,
    /// The brokers that are to have each partition, live or not.
    pub(crate) replicas: Vec<BTreeSet<i32>>,
    /// Copies that must have a record before it is acknowledged.
    pub(crate) min_insync: usize,
}

/// What a program wants of one of its topics.
#[derive(Clone, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) name: &'a str,
    pub(crate) partitions: i32,
    /// The chart's value for the number of partitions; none if that can't be chosen.
    pub(crate) value: Option<&'static str>,
    pub(crate) copies: i32,
}

/// The sentences, by what follows from them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Misfits {
    /// Topics are missing and can't be made.
    pub(crate) unmade: Option<String>,
    /// Topics take no record.
    pub(crate) unwritable: Option<String>,
    /// Everything works, but not as it was meant.
    pub(crate) lesser: Vec<String>,
}

/// Topics named in a sentence; the others are counted.
const NAMED: usize = 1;

/// What does not fit for these topics.
pub(crate) fn misfits(cluster: &Cluster, wanted: &[Wanted<'_>]) -> Misfits {
    let there: Vec<(&str, &Existing)> =
        wanted.iter().filter_map(|topic| Some((topic.name, cluster.topics.get(topic.name)?))).collect();
    let (unwritable, short) = (short_of(cluster, &there, true), short_of(cluster, &there, false));
    let partitions = wanted.iter().filter_map(|topic| other_partitions(cluster.topics.get(topic.name)?, topic));
    Misfits {
        unmade: unmade(cluster, wanted),
        lesser: partitions.chain(short.filter(|_| unwritable.is_none())).collect(),
        unwritable,
    }
}

fn unmade(cluster: &Cluster, wanted: &[Wanted<'_>]) -> Option<String> {
    let live = cluster.brokers.len();
    let missing: Vec<&Wanted<'_>> = wanted.iter().filter(|topic| !cluster.topics.contains_key(topic.name)).collect();
    let copies = missing.iter().map(|topic| topic.copies).max()?;
    if usize::try_from(copies).is_ok_and(|copies| copies <= live) {
        return None;
    }
    let names: Vec<&str> = missing.iter().map(|topic| topic.name).collect();
    Some(format!(
        "{} can't be made: KAFKA_REPLICATION_FACTOR={copies} wants a broker for each copy, and {} live; scale Kafka to \
         {copies} brokers, or set kafka.external.replicationFactor={live} if it is not Kapture's own",
        named(&names),
        count(live, "broker is", "brokers are"),
    ))
}

fn other_partitions(existing: &Existing, wanted: &Wanted<'_>) -> Option<String> {
    let (name, there) = (wanted.name, existing.replicas.len());
    // None at all: it is only just being made.
    if there == 0 || i32::try_from(there) == Ok(wanted.partitions) {
        return None;
    }
    let fix = match wanted.value {
        Some(value) => format!("set {value}={there}"),
        None => "delete the topic, or set another kafka.external.prefix".to_owned(),
    };
    Some(format!(
        "topic {name} has {}, not {}, and keeps what it was made with: {fix}",
        count(there, "partition", "partitions"),
        wanted.partitions
    ))
}

/// The topics whose live copies are fewer than a write needs (`to_write`), or than they are meant to have.
fn short_of(cluster: &Cluster, topics: &[(&str, &Existing)], to_write: bool) -> Option<String> {
    let live = |topic: &Existing| topic.replicas.iter().map(|on| on.intersection(&cluster.brokers).count()).min();
    let copies = |topic: &Existing| topic.replicas.iter().map(BTreeSet::len).max().unwrap_or_default();
    let need = |topic: &Existing| if to_write { topic.min_insync } else { copies(topic) };
    let short = topics.iter().filter(|(_, topic)| live(topic).is_some_and(|live| live < need(topic)));
    let short: Vec<(&str, &Existing)> = short.copied().collect();
    let (_, first) = short.first()?;
    let names: Vec<&str> = short.iter().map(|(name, _)| *name).collect();
    let (names, need, live) = (named(&names), need(first), live(first).unwrap_or_default());
    let on: BTreeSet<i32> = short.iter().flat_map(|(_, topic)| topic.replicas.iter().flatten()).copied().collect();
    let gone: Vec<String> = on.difference(&cluster.brokers).map(ToString::to_string).collect();
    if gone.is_empty() {
        let copies = count(copies(first), "copy", "copies");
        return Some(format!(
            "{names} can't be written: min.insync.replicas={need} is more than the {copies} that there are; set the \
             topic's min.insync.replicas={live}"
        ));
    }
    let what = if to_write {
        format!("can't be written: min.insync.replicas={need}, and {live} of the brokers that have a copy")
    } else {
        format!("has fewer copies than the {need} it was made with: {live} of the brokers that have one")
    };
    let all = on.union(&cluster.brokers).count();
    Some(format!(
        "{names} {what} {} live (gone: {}); scale Kafka back to {}, or delete its volumes, and the sales with them, to \
         start with {}",
        if live == 1 { "is" } else { "are" },
        gone.join(", "),
        count(all, "broker", "brokers"),
        cluster.brokers.len(),
    ))
}

fn named(names: &[&str]) -> String {
    let first = format!("topic {}", names[..names.len().min(NAMED)].join(", "));
    match names.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} (and {more} more)"),
    }
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// What was logged last for each call, by the first of its topics: programs ask again and again.
static SAID: Mutex<BTreeMap<String, Vec<String>>> = Mutex::new(BTreeMap::new());

/// Whether this is what was last logged for the topics of which `first` is the first.
pub(crate) fn is_said(first: &str, sentences: &[String]) -> bool {
    SAID.lock().unwrap_or_else(PoisonError::into_inner).get(first).is_some_and(|said| said == sentences)
}

/// Logs the sentences if they are not what was last logged for the topics of which `first` is the first.
pub(crate) fn say(first: &str, sentences: Vec<String>) {
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    let before = said.entry(first.to_owned()).or_default();
    if *before == sentences {
        return;
    }
    for sentence in sentences.iter().filter(|sentence| !before.contains(sentence)) {
        warn!("{sentence}");
    }
    if sentences.is_empty() {
        info!("topic {first} and those with it fit again");
    }
    *before = sentences;
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALES: Wanted<'static> =
        Wanted { name: "sales", partitions: 2, value: Some("kafka.salesPartitions"), copies: 3 };

    fn cluster(brokers: &[i32], topics: &[(&str, &[&[i32]], usize)]) -> Cluster {
        let existing = |replicas: &[&[i32]], min_insync| Existing {
            leaders: Vec::new(),
            replicas: replicas.iter().map(|on| on.iter().copied().collect()).collect(),
            min_insync,
        };
        let topics = topics.iter().map(|(name, on, min_insync)| ((*name).to_owned(), existing(on, *min_insync)));
        Cluster { brokers: brokers.iter().copied().collect(), topics: topics.collect() }
    }

    #[test]
    fn topics_that_have_what_they_want_are_not_spoken_of() {
        let all = cluster(&[0, 1, 2], &[("sales", &[&[0, 1, 2], &[1, 2, 0]], 2)]);
        assert_eq!(misfits(&all, &[SALES]), Misfits::default());
        assert_eq!(misfits(&cluster(&[0, 1, 2], &[]), &[SALES]), Misfits::default());
    }

    #[test]
    fn topics_of_an_install_with_more_brokers_are_named_with_what_mends_them() {
        let sales: &[&[i32]] = &[&[0, 1, 2], &[1, 2, 0]];
        let fewer = cluster(&[0], &[("sales", sales, 2), ("sales.ca", &[&[2, 1, 0]], 2)]);
        let states = Wanted { name: "sales.ca", partitions: 1, value: None, copies: 3 };
        assert_eq!(
            misfits(&fewer, &[SALES, states]),
            Misfits {
                unwritable: Some(
                    "topic sales (and 1 more) can't be written: min.insync.replicas=2, and 1 of the brokers that have a \
                     copy is live (gone: 1, 2); scale Kafka back to 3 brokers, or delete its volumes, and the sales with \
                     them, to start with 1"
                        .to_owned()
                ),
                ..Misfits::default()
            }
        );
    }

    #[test]
    fn a_topic_that_is_short_of_copies_and_can_be_written_is_a_lesser_fault() {
        let rolling = misfits(&cluster(&[0, 2], &[("sales", &[&[0, 1, 2], &[0, 1, 2]], 2)]), &[SALES]);
        assert_eq!(
            rolling.lesser,
            [
                "topic sales has fewer copies than the 3 it was made with: 2 of the brokers that have one are live (gone: 1); \
              scale Kafka back to 3 brokers, or delete its volumes, and the sales with them, to start with 2"
            ]
        );
        assert_eq!((rolling.unmade, rolling.unwritable), (None, None));
    }

    #[test]
    fn a_topic_that_wants_more_copies_in_sync_than_it_has_is_named() {
        let sentence = misfits(&cluster(&[0], &[("sales", &[&[0], &[0]], 2)]), &[SALES]).unwritable.unwrap();
        assert_eq!(
            sentence,
            "topic sales can't be written: min.insync.replicas=2 is more than the 1 copy that there are; set the topic's \
             min.insync.replicas=1"
        );
    }

    #[test]
    fn other_partitions_are_told_with_the_value_that_fits() {
        let more = cluster(&[0, 1, 2], &[("sales", &[&[0, 1, 2]], 2)]);
        assert_eq!(
            misfits(&more, &[SALES]).lesser,
            ["topic sales has 1 partition, not 2, and keeps what it was made with: set kafka.salesPartitions=1"]
        );
    }

    #[test]
    fn topics_that_want_more_copies_than_brokers_are_live_can_not_be_made() {
        let sentence = misfits(&cluster(&[0], &[]), &[SALES]).unmade.unwrap();
        assert!(sentence.starts_with("topic sales can't be made: KAFKA_REPLICATION_FACTOR=3"), "{sentence}");
        assert!(sentence.contains("1 broker is live; scale Kafka to 3 brokers"), "{sentence}");
    }
}
