//! How long a small write takes to be safe on the disk that the neighbour's data is on.
//!
//! One file of a few KiB beside the data is written over and over, as a write-ahead log in recycled segments is: its
//! blocks are there, so nothing but the data and the device's flush is waited for.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::fs::{AtFlags, Mode, OFlags, fstatvfs, open, openat, unlinkat};
use rustix::io::Errno;

/// One that an earlier life left behind has the same name, so it is found and removed.
const NAME: &str = ".kapture-probe-fsync";
/// A page of Postgres' log.
const SIZE: usize = 8 << 10;
/// Below this the disk is left to the neighbour.
const LEAST_FREE: u64 = 1 << 20;
/// A write is followed by a pause of this many times its duration, so that a slow disk is not slowed much further.
const PAUSES: u32 = 20;

/// Writes the file, and removes it at the end.
#[derive(Debug)]
pub(crate) struct Fsync {
    /// As the neighbour sees it.
    directory: PathBuf,
    state: Mutex<State>,
    is_stopped: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// The directory that was last written to: it can be reached when the neighbour has ended, too.
    directory: Option<File>,
    /// Not before this.
    next: Option<Instant>,
}

impl Fsync {
    /// Takes a directory on the disk of the neighbour's data, as the neighbour sees it. Nothing is written yet.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, state: Mutex::default(), is_stopped: AtomicBool::new(false) }
    }

    /// Writes once, and returns how long it took; none in the pause after a slow write. Blocks as long as the disk does.
    ///
    /// `root` is the root of the neighbour's file system.
    pub(crate) fn write(&self, root: &Path) -> anyhow::Result<Option<Duration>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.next.is_some_and(|next| Instant::now() < next) {
            return Ok(None);
        }
        let path = root.join(self.directory.strip_prefix("/").unwrap_or(&self.directory));
        let about = || format!("writing to {}", self.directory.display());
        let directory = open(&path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).with_context(about)?;
        let is_first = state.directory.is_none();
        let directory: &File = state.directory.insert(directory.into());
        if is_first {
            remove(directory).with_context(about)?;
        }
        let outcome = write_in(directory);
        // Removed if it failed: what it takes may be what the neighbour lacks. Removed as well if the stop came meanwhile.
        if outcome.is_err() || self.is_stopped.load(Ordering::SeqCst) {
            let _ = remove(directory);
        }
        let took = outcome.with_context(about)?;
        state.next = Some(Instant::now() + took * PAUSES);
        Ok(Some(took))
    }

    /// Removes the file. A write that hangs is not waited for: it removes the file itself, should it ever end.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        if let Ok(state) = self.state.try_lock()
            && let Some(directory) = &state.directory
        {
            let _ = remove(directory);
        }
    }
}

fn write_in(directory: &File) -> anyhow::Result<Duration> {
    let disk = fstatvfs(directory)?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free < LEAST_FREE {
        bail!("only {} KiB are free, and the last {} KiB are left to the neighbour", free >> 10, LEAST_FREE >> 10);
    }
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match openat(directory, NAME, flags, Mode::empty()) {
        Ok(file) => file.into(),
        Err(Errno::NOENT) => {
            let mode = Mode::RUSR | Mode::WUSR;
            let file = openat(directory, NAME, flags | OFlags::CREATE | OFlags::EXCL, mode)?.into();
            // Not measured: blocks are allocated.
            write_out(&file)?;
            file
        }
        Err(err) => return Err(err.into()),
    };
    let begun = Instant::now();
    write_out(&file)?;
    Ok(begun.elapsed())
}

fn write_out(file: &File) -> std::io::Result<()> {
    file.write_all_at(&[0x4b; SIZE], 0)?;
    file.sync_data()
}

/// That there is none is fine.
fn remove(directory: &File) -> Result<(), Errno> {
    match unlinkat(directory, NAME, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(err) => Err(err),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    /// A neighbour's root whose `/data` is removed at the end, and unmounted if it is a file system of its own.
    struct Root(PathBuf);

    impl Root {
        fn new(name: &str) -> Self {
            let root = Self(std::env::temp_dir().join(format!("kapture-fsync-{}-{name}", std::process::id())));
            fs::create_dir_all(root.path("")).unwrap();
            root
        }

        fn mounted(name: &str, options: &str) -> Self {
            let root = Self::new(name);
            root.mount(&["-t", "tmpfs", "-o", options, "tmpfs"]);
            root
        }

        fn mount(&self, options: &[&str]) {
            let mounted = Command::new("mount").args(options).arg(self.path("")).status().unwrap();
            assert!(mounted.success(), "mounting takes root");
        }

        fn path(&self, file: &str) -> PathBuf {
            self.0.join("data").join(file)
        }

        fn files(&self) -> Vec<String> {
            fs::read_dir(self.path("")).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg("-q").arg(self.path("")).status();
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn fsync() -> Fsync {
        Fsync::new("/data".into())
    }

    fn failure(fsync: &Fsync, root: &Root) -> String {
        format!("{:#}", fsync.write(&root.0).unwrap_err())
    }

    #[test]
    fn a_write_is_measured_in_one_file_that_is_removed_at_the_stop() {
        let root = Root::new("normal");
        fs::write(root.path("neighbours"), "own").unwrap();
        let fsync = fsync();
        for _ in 0..3 {
            assert!(fsync.write(&root.0).unwrap().unwrap() > Duration::ZERO);
            assert_eq!(fs::metadata(root.path(NAME)).unwrap().len(), SIZE as u64);
            assert_eq!(root.files().len(), 2);
            fsync.state.lock().unwrap().next = None;
        }
        fsync.stop();
        assert_eq!(root.files(), ["neighbours"]);
        assert_eq!(fs::read_to_string(root.path("neighbours")).unwrap(), "own");
    }

    #[test]
    fn a_slow_write_is_followed_by_a_pause() {
        let root = Root::new("pause");
        let fsync = fsync();
        let begun = Instant::now();
        let took = fsync.write(&root.0).unwrap().unwrap();
        let next = fsync.state.lock().unwrap().next.unwrap();
        assert!(next >= begun + took * (PAUSES + 1), "{took:?}");
        fsync.state.lock().unwrap().next = Some(Instant::now() + Duration::from_mins(1));
        assert_eq!(fsync.write(&root.0).unwrap(), None);
    }

    #[test]
    fn what_an_earlier_life_left_is_removed_and_never_followed() {
        let root = Root::new("stale");
        fs::write(root.path("neighbours"), "own").unwrap();
        std::os::unix::fs::symlink(root.path("neighbours"), root.path(NAME)).unwrap();
        let fsync = fsync();
        fsync.write(&root.0).unwrap();
        assert!(fs::symlink_metadata(root.path(NAME)).unwrap().is_file());
        assert_eq!(fs::read_to_string(root.path("neighbours")).unwrap(), "own");

        // A kill with -9, then a disk that has become too full to write to.
        let full = Root::mounted("stale-full", "size=2m");
        fs::write(full.path(NAME), "left").unwrap();
        fs::write(full.path("neighbours"), vec![1; 1_500 << 10]).unwrap();
        failure(&Fsync::new("/data".into()), &full);
        assert_eq!(full.files(), ["neighbours"]);
    }

    #[test]
    fn a_link_put_in_place_of_the_file_is_not_followed() {
        let root = Root::new("link");
        let fsync = fsync();
        fsync.write(&root.0).unwrap();
        fsync.state.lock().unwrap().next = None;
        fs::write(root.path("neighbours"), "own").unwrap();
        fs::remove_file(root.path(NAME)).unwrap();
        std::os::unix::fs::symlink(root.path("neighbours"), root.path(NAME)).unwrap();
        assert!(failure(&fsync, &root).starts_with("writing to /data: "));
        assert_eq!(fs::read_to_string(root.path("neighbours")).unwrap(), "own");
    }

    #[test]
    fn a_disk_that_is_nearly_full_is_left_to_the_neighbour() {
        let root = Root::mounted("full", "size=2m");
        let fsync = fsync();
        fsync.write(&root.0).unwrap();
        fsync.state.lock().unwrap().next = None;
        fs::write(root.path("neighbours"), vec![1; 1_500 << 10]).unwrap();
        let why = failure(&fsync, &root);
        assert!(why.starts_with("writing to /data: only ") && why.contains("left to the neighbour"), "{why}");
        assert_eq!(root.files(), ["neighbours"]);
        fs::remove_file(root.path("neighbours")).unwrap();
        assert!(fsync.write(&root.0).is_ok(), "it is measured again once there is room");
    }

    #[test]
    fn a_disk_that_takes_no_write_is_a_reason() {
        let root = Root::mounted("read-only", "size=4m");
        root.mount(&["-o", "remount,ro"]);
        assert_eq!(failure(&fsync(), &root), "writing to /data: Read-only file system (os error 30)");
        let root = Root::mounted("inodes", "size=4m,nr_inodes=1");
        assert_eq!(failure(&fsync(), &root), "writing to /data: No space left on device (os error 28)");
        let root = Root::new("gone");
        fs::remove_dir(root.path("")).unwrap();
        assert_eq!(failure(&fsync(), &root), "writing to /data: No such file or directory (os error 2)");
    }

    #[test]
    fn the_file_is_removed_although_the_neighbour_has_ended() {
        let root = Root::new("ended");
        let fsync = fsync();
        fsync.write(&root.0).unwrap();
        let moved = root.0.with_extension("moved");
        fs::rename(&root.0, &moved).unwrap();
        fsync.stop();
        assert_eq!(fs::read_dir(moved.join("data")).unwrap().count(), 0);
        fs::rename(&moved, &root.0).unwrap();
    }

    #[test]
    fn a_write_that_ends_after_the_stop_leaves_nothing() {
        let root = Root::new("late");
        let fsync = fsync();
        fsync.stop();
        let _ = fsync.write(&root.0);
        assert_eq!(root.files(), [""; 0]);
    }
}
