//! Where a program's time goes: working, or waiting, and for what.
//!
//! Each thread that moves sales holds a [`Stopwatch`] and reports what it begins to do. The sums only grow, and include what is
//! still going on, so that a thread that waits a minute for its store shows it meanwhile. Threads are kept apart, because one
//! hot partition makes one thread the limit, and a mean would hide that.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::state::Shares;

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Its own work, which more CPU would speed up.
    Working,
    /// There is nothing to do.
    Input,
    /// Waiting for Kafka: a full queue, a commit.
    Kafka,
    /// Waiting for the store.
    Store,
}

impl Activity {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Working, Self::Input, Self::Kafka, Self::Store];

    /// The name in metrics and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Input => "waiting_for_input",
            Self::Kafka => "waiting_for_kafka",
            Self::Store => "waiting_for_store",
        }
    }
}

/// How long a thread has done what, in microseconds, since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spent {
    /// See [`Activity::Working`].
    pub working_us: u64,
    /// See [`Activity::Input`].
    pub input_us: u64,
    /// See [`Activity::Kafka`].
    pub kafka_us: u64,
    /// See [`Activity::Store`].
    pub store_us: u64,
}

impl Spent {
    /// Of one activity.
    pub fn of(&self, activity: Activity) -> u64 {
        match activity {
            Activity::Working => self.working_us,
            Activity::Input => self.input_us,
            Activity::Kafka => self.kafka_us,
            Activity::Store => self.store_us,
        }
    }

    /// Of all activities.
    pub fn total(&self) -> u64 {
        Activity::ALL.iter().map(|activity| self.of(*activity)).sum()
    }

    /// How the time since `earlier` was shared out; none if none has passed, or if it has begun again.
    pub fn shares_since(&self, earlier: &Self) -> Option<Shares> {
        let all = self.total().checked_sub(earlier.total()).filter(|all| *all > 0)? as f64;
        let share = |activity| self.of(activity).saturating_sub(earlier.of(activity)) as f64 / all;
        Some(Shares {
            working: share(Activity::Working),
            waiting_for_input: share(Activity::Input),
            waiting_for_kafka: share(Activity::Kafka),
            waiting_for_store: share(Activity::Store),
        })
    }

    fn of_mut(&mut self, activity: Activity) -> &mut u64 {
        match activity {
            Activity::Working => &mut self.working_us,
            Activity::Input => &mut self.input_us,
            Activity::Kafka => &mut self.kafka_us,
            Activity::Store => &mut self.store_us,
        }
    }
}

/// How the thread that waits least for input has spent its time since `earlier`; none if that is known of no thread.
pub fn busiest_since(now: &BTreeMap<String, Spent>, earlier: &BTreeMap<String, Spent>) -> Option<Shares> {
    Shares::busiest(now.iter().filter_map(|(thread, now)| now.shares_since(earlier.get(thread)?)))
}

/// The time of a program's threads. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Time(Arc<Mutex<BTreeMap<String, Running>>>);

/// Held by one thread, which reports what it begins to do. Its time stops when it is dropped.
#[derive(Debug)]
pub struct Stopwatch {
    time: Time,
    thread: String,
}

#[derive(Debug)]
struct Running {
    /// Without the current activity.
    spent: Spent,
    /// The current activity, and since when; none after the thread has ended.
    now: Option<(Activity, Instant)>,
}

impl Time {
    /// Starts the time of a thread, which waits for input at first. An earlier thread's time under the same name is continued.
    pub fn start(&self, thread: impl Into<String>) -> Stopwatch {
        let thread = thread.into();
        let now = Some((Activity::Input, Instant::now()));
        self.lock().entry(thread.clone()).or_insert(Running { spent: Spent::default(), now: None }).now = now;
        Stopwatch { time: self.clone(), thread }
    }

    /// What each thread has done until now.
    pub fn spent(&self) -> BTreeMap<String, Spent> {
        self.spent_at(Instant::now())
    }

    fn spent_at(&self, at: Instant) -> BTreeMap<String, Spent> {
        self.lock().iter().map(|(thread, running)| (thread.clone(), running.spent_at(at))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stopwatch {
    /// Begins another activity. Meant for batches and waits, not for each record.
    pub fn begin(&self, activity: Activity) {
        self.switch(Some(activity), Instant::now());
    }

    /// Does something as one activity, and goes on working.
    pub fn during<T>(&self, activity: Activity, action: impl FnOnce() -> T) -> T {
        self.begin(activity);
        let done = action();
        self.begin(Activity::Working);
        done
    }

    fn switch(&self, activity: Option<Activity>, at: Instant) {
        if let Some(running) = self.time.lock().get_mut(&self.thread) {
            running.spent = running.spent_at(at);
            running.now = activity.map(|activity| (activity, at));
        }
    }
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        self.switch(None, Instant::now());
    }
}

impl Running {
    fn spent_at(&self, at: Instant) -> Spent {
        let mut spent = self.spent;
        if let Some((activity, since)) = self.now {
            *spent.of_mut(activity) +=
                u64::try_from(at.saturating_duration_since(since).as_micros()).unwrap_or(u64::MAX);
        }
        spent
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A thread that did these one after another, for so many milliseconds each.
    fn thread(did: &[(Activity, u64)]) -> Spent {
        let time = Time::default();
        let watch = time.start("a");
        let mut at = Instant::now() + Duration::from_secs(1);
        watch.switch(None, at);
        time.lock().get_mut("a").unwrap().spent = Spent::default();
        for (activity, ms) in did {
            watch.switch(Some(*activity), at);
            at += Duration::from_millis(*ms);
        }
        time.spent_at(at)["a"]
    }

    #[test]
    fn each_activity_has_its_own_sum() {
        let rounds = [
            (Activity::Input, 5),
            (Activity::Working, 10),
            (Activity::Store, 20),
            (Activity::Kafka, 40),
            (Activity::Working, 10),
        ];
        let expected = Spent { working_us: 20_000, input_us: 5_000, kafka_us: 40_000, store_us: 20_000 };
        assert_eq!(thread(&rounds), expected);
        assert_eq!(expected.total(), 85_000);
    }

    #[test]
    fn whatever_takes_longest_is_the_largest() {
        for longest in Activity::ALL {
            let did: Vec<_> = Activity::ALL.map(|it| (it, if it == longest { 900 } else { 30 })).into();
            let spent = thread(&did);
            assert_eq!(Activity::ALL.into_iter().max_by_key(|it| spent.of(*it)), Some(longest));
        }
    }

    #[test]
    fn a_wait_that_goes_on_is_counted_before_it_ends() {
        let time = Time::default();
        let watch = time.start("a");
        watch.begin(Activity::Store);
        let later = Instant::now() + Duration::from_mins(1);
        assert!(time.spent_at(later)["a"].store_us >= 60_000_000);
        drop(watch);
        let ended = time.spent();
        assert_eq!(time.spent_at(later), ended, "of a thread that has ended nothing is counted");
    }

    #[test]
    fn threads_are_told_apart_and_one_that_starts_again_goes_on() {
        let time = Time::default();
        let (a, _b) = (time.start("a"), time.start("b"));
        a.switch(Some(Activity::Kafka), Instant::now());
        a.switch(None, Instant::now() + Duration::from_secs(5));
        let before = time.spent()["a"];
        let _a = time.start("a");
        assert!(time.spent()["a"].kafka_us >= before.kafka_us && before.kafka_us > 4_000_000);
        assert_eq!(time.spent()["b"].kafka_us, 0);
    }
}
