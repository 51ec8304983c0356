//! What signals do to a process: this test starts itself again as one.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const CHILD: &str = "KAPTURE_TEST_SIGNALS";
const LIMIT: Duration = Duration::from_secs(20);

/// A process whose stop takes for ever.
#[tokio::test]
async fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let shutdown = service::shutdown_on_signal().unwrap();
    eprintln!("listening");
    shutdown.cancelled().await;
    eprintln!("stopping");
    std::future::pending::<()>().await;
}

#[test]
fn a_second_sigterm_ends_a_stop_that_takes_long() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, "yes")
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    for expected in ["listening", "stopping"] {
        assert!(said.any(|line| line.unwrap().contains(expected)), "{expected}");
        assert_eq!(child.try_wait().unwrap(), None, "the first signal leaves it time");
        terminate(&child);
    }
    let since = Instant::now();
    let ended = loop {
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        if since.elapsed() > LIMIT {
            child.kill().unwrap();
            panic!("the second signal was not heard");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(ended.code(), Some(143));
}

fn terminate(child: &Child) {
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
}
