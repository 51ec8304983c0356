//! A limit for each test: one that hangs is named and ends its own test binary, rather than silently the whole run.

use std::collections::HashMap;
use std::io::Write as _;
use std::process::Command;
use std::sync::{Mutex, Once, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// Far beyond what any test takes, on a busy machine too.
const LIMIT: Duration = Duration::from_mins(8);
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The tests that have asked for a server, by the thread that libtest runs each of them on.
static RUNNING: Mutex<Option<HashMap<ThreadId, (String, Instant)>>> = Mutex::new(None);

/// Takes its thread off the list when the thread ends, which it does with its test.
struct Listed;

impl Drop for Listed {
    fn drop(&mut self) {
        with_running(|running| running.remove(&thread::current().id()));
    }
}

thread_local! {
    static LISTED: Listed = {
        let thread = thread::current();
        let name = thread.name().unwrap_or("a test").to_owned();
        with_running(|running| running.insert(thread.id(), (name, Instant::now())));
        Listed
    };
}

/// Begins to time the test that runs on this thread, unless it is timed already.
pub(crate) fn start() {
    static WATCH: Once = Once::new();
    // libtest gives the thread the test's name; a runtime's workers live as long as their test anyhow.
    if thread::current().name().is_some_and(|name| !name.starts_with("tokio-")) {
        LISTED.with(|_| ());
    }
    WATCH.call_once(|| drop(thread::spawn(watch)));
}

fn with_running<T>(work: impl FnOnce(&mut HashMap<ThreadId, (String, Instant)>) -> T) -> T {
    work(RUNNING.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

fn watch() {
    loop {
        thread::sleep(LOOK_EVERY);
        let hangs = with_running(|running| {
            running.values().find(|(_, begun)| begun.elapsed() > LIMIT).map(|(name, _)| name.clone())
        });
        if let Some(name) = hangs {
            // Not by a macro: libtest would keep that for a result that never comes.
            let _ = writeln!(
                std::io::stderr(),
                "FAIL: test {name} has run for over {} minutes; its process is ended. Its stacks:\n{}",
                LIMIT.as_secs() / 60,
                stacks()
            );
            std::process::abort();
        }
    }
}

/// The stack of each thread, as far as `gdb` is there: what the hanging one waits for.
fn stacks() -> String {
    let process = std::process::id().to_string();
    match Command::new("gdb")
        .args(["--batch", "--pid", &process, "--eval-command", "thread apply all backtrace 16"])
        .output()
    {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(err) => format!("no stacks: gdb: {err}"),
    }
}
