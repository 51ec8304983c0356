//! Stopping the world: all threads of the program stand still at once, as in a virtual machine that collects garbage.
//!
//! Each thread gets a signal, whose handler sleeps until the pause is over; a process can't stop itself by SIGSTOP, which the
//! first process of a container is immune to. librdkafka's own threads block all signals, and go on: a pause stops the work, and
//! not the heartbeats to a group, nor what was already handed to the client.

use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::goes_on;

/// Used for nothing else here.
const SIGNAL: c_int = libc::SIGUSR2;
/// Longest sleep of a thread that stands still.
const NAP_NS: u64 = 5_000_000;

/// How long it may take to tell all threads.
const TELLING_NS: u64 = 1_000_000_000;

/// When the world may go on, in nanoseconds of the monotonic clock.
static UNTIL_NS: AtomicU64 = AtomicU64::new(0);

/// Stops the world for `length` about once in `every` until `shutdown`, from a thread of its own.
pub(crate) fn start(length: Duration, every: Duration, shutdown: CancellationToken) -> anyhow::Result<()> {
    install()?;
    let pause = move || {
        while goes_on(until_next(every), &shutdown) {
            if let Err(err) = stop_the_world(length) {
                debug!("no pause: {err:#}");
            }
        }
    };
    std::thread::Builder::new()
        .name("pauses".to_owned())
        .spawn(pause)
        .context("starting the thread that pauses all")?;
    Ok(())
}

/// At random, give or take a half, so that no two pods pause together.
fn until_next(every: Duration) -> Duration {
    every.mul_f64(rand::random_range(0.5..=1.5))
}

/// Holds all threads but the calling one, which sleeps as long.
fn stop_the_world(length: Duration) -> anyhow::Result<()> {
    let length_ns = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
    // Read first: what reads it allocates, and may have to wait for a thread that stands still.
    let threads: Vec<libc::pid_t> = std::fs::read_dir("/proc/self/task")
        .context("listing the threads")?
        .filter_map(|thread| thread.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    // Longer at first, since this thread may have to wait for a CPU until it has told all others.
    UNTIL_NS.store(now_ns().saturating_add(length_ns).saturating_add(TELLING_NS), Ordering::Relaxed);
    let me = thread_id();
    threads.into_iter().filter(|thread| *thread != me).for_each(send);
    UNTIL_NS.store(now_ns().saturating_add(length_ns), Ordering::Relaxed);
    std::thread::sleep(length);
    Ok(())
}

#[expect(unsafe_code, reason = "a handler of a signal can't be set otherwise")]
fn install() -> anyhow::Result<()> {
    // SAFETY: the structure is plain data for which zeros are valid, and the handler does only what is safe in one.
    let set = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = stand_still as extern "C" fn(c_int) as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(SIGNAL, &raw const action, ptr::null_mut())
    };
    ensure!(set == 0, "setting the handler of a signal: {}", std::io::Error::last_os_error());
    Ok(())
}

/// The handler: it may only do what is safe at any instruction of a thread.
#[expect(unsafe_code, reason = "there is no safe way to sleep in a handler")]
extern "C" fn stand_still(_: c_int) {
    // SAFETY: errno is the thread's own; clock_gettime and nanosleep are safe in a handler (signal-safety(7)).
    unsafe {
        let errno = *libc::__errno_location();
        loop {
            let left = UNTIL_NS.load(Ordering::Relaxed).saturating_sub(now_ns());
            if left == 0 {
                break;
            }
            let nap = libc::timespec { tv_sec: 0, tv_nsec: left.min(NAP_NS).cast_signed() };
            libc::nanosleep(&raw const nap, ptr::null_mut());
        }
        *libc::__errno_location() = errno;
    }
}

#[expect(unsafe_code, reason = "the standard library's clock is not said to be safe in a handler")]
fn now_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes into a structure that is there.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

#[expect(unsafe_code, reason = "the standard library knows no thread by its number")]
fn thread_id() -> libc::pid_t {
    // SAFETY: it has no arguments, and can't fail.
    unsafe { libc::gettid() }
}

/// To a thread of this process; one that has ended meanwhile gets none.
#[expect(unsafe_code, reason = "the standard library sends no signals")]
fn send(thread: libc::pid_t) {
    // SAFETY: the handler is installed, and a number that is no thread's is refused.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, SIGNAL) };
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::time::Instant;

    use super::*;

    const PAUSE: Duration = Duration::from_millis(300);

    #[test]
    fn all_threads_stand_still_for_as_long_as_they_must_and_go_on() {
        install().unwrap();
        let ends = Arc::new(AtomicBool::new(false));
        let longest = |work: fn()| {
            let ends = Arc::clone(&ends);
            std::thread::spawn(move || {
                let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
                while !ends.load(Ordering::Relaxed) {
                    work();
                    // One look at the clock, or a pause between two would not be seen.
                    let now = Instant::now();
                    (longest, last) = (longest.max(now - last), now);
                }
                longest
            })
        };
        let threads = [
            longest(|| {}),
            longest(|| std::thread::sleep(Duration::from_millis(1))),
            longest(|| drop(vec![1; 1_000])),
        ];
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        let waits = std::thread::spawn(move || {
            let mut byte = [0];
            std::io::Read::read_exact(&mut reader, &mut byte).map(|()| byte[0])
        });
        std::thread::sleep(Duration::from_millis(50));
        stop_the_world(PAUSE).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        ends.store(true, Ordering::Relaxed);
        for thread in threads {
            let longest = thread.join().unwrap();
            assert!(longest >= PAUSE.mul_f64(0.9), "{longest:?}");
        }
        // A read that was interrupted goes on where it was.
        std::io::Write::write_all(&mut writer, &[7]).unwrap();
        assert_eq!(waits.join().unwrap().unwrap(), 7);
    }

    #[test]
    fn the_next_pause_comes_at_random() {
        let some: Vec<f64> = (0..100).map(|_| until_next(Duration::from_secs(1)).as_secs_f64()).collect();
        assert!(some.iter().all(|one| (0.5..=1.5).contains(one)));
        assert!(some.iter().any(|one| *one < 0.9) && some.iter().any(|one| *one > 1.1), "{some:?}");
    }
}
