//! What processes used, from `/proc/PID`: one of our own programs, or a server with its children.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::figures;
use super::node::TICK_US;
use super::stat::Stat;
use super::text::{Files, value};

figures! {
    /// What the processes of a container used since they started, those that have ended included.
    Processes {
        /// Time on a CPU, in microseconds, summed over threads.
        running_us: u64,
        /// Time that threads could have run but waited for a CPU, in microseconds, summed over them. Time throttled by
        /// the CPU limit is contained in it. What a thread that ends waited since the last reading is lost.
        run_queue_us: u64,
        /// CPU time in the programs, in microseconds.
        cpu_user_us: u64,
        /// CPU time in the kernel, in microseconds.
        cpu_system_us: u64,
        /// Page faults that had to read from disk.
        major_faults: u64,
        /// Bytes read from block devices.
        disk_read_bytes: u64,
        /// Bytes written towards block devices, counted when a page is first made dirty.
        disk_written_bytes: u64,
    }
}

/// One process or a process with its descendants, read time and again.
#[derive(Debug)]
pub(super) struct Tree {
    scope: Scope,
    threads: HashMap<(u32, u32), Scheduled>,
    reading: u64,
    running_ns: u64,
    run_queue_ns: u64,
    highest: Sums,
}

#[derive(Debug)]
enum Scope {
    One(PathBuf),
    Descendants(PathBuf, u32),
}

/// What `schedstat` last had of a thread.
#[derive(Debug)]
struct Scheduled {
    running_ns: u64,
    run_queue_ns: u64,
    /// When it was last seen.
    reading: u64,
}

/// Sums over living processes and the ended children that they have waited for. What a child used moves to its parent,
/// and is seen at neither for a moment: hence only the highest counts.
#[derive(Debug, Default)]
struct Sums {
    user_ticks: u64,
    system_ticks: u64,
    major_faults: u64,
    read_bytes: u64,
    written_bytes: u64,
}

impl Tree {
    /// Only the process in this directory, which has no children.
    pub(super) fn of_one(process: PathBuf) -> Self {
        Self::new(Scope::One(process))
    }

    /// A process and what it forked, directly or not.
    pub(super) fn of_descendants(proc_dir: PathBuf, pid: u32) -> Self {
        Self::new(Scope::Descendants(proc_dir, pid))
    }

    fn new(scope: Scope) -> Self {
        Self { scope, threads: HashMap::new(), reading: 0, running_ns: 0, run_queue_ns: 0, highest: Sums::default() }
    }

    pub(super) fn read(&mut self, files: &mut Files) -> Processes {
        let processes = self.processes(files);
        if processes.is_empty() {
            return Processes::default();
        }
        let mut figures = Processes::default();
        if self.schedule(&processes, files).is_ok() && self.running_ns.max(self.run_queue_ns) > 0 {
            // All zero means that the kernel doesn't count.
            figures.running_us = Some(self.running_ns / 1_000);
            figures.run_queue_us = Some(self.run_queue_ns / 1_000);
        }
        let highest = &mut self.highest;
        let total = |most: &mut u64, part: fn(&Stat) -> u64| {
            *most = (*most).max(processes.iter().map(|process| part(&process.stat)).sum());
            Some(*most)
        };
        let us = |ticks: u64| ticks.saturating_mul(TICK_US);
        figures.cpu_user_us = total(&mut highest.user_ticks, |stat| stat.user_ticks).map(us);
        figures.cpu_system_us = total(&mut highest.system_ticks, |stat| stat.system_ticks).map(us);
        figures.major_faults = total(&mut highest.major_faults, |stat| stat.major_faults);
        if let Ok((read, written)) = transferred(&processes, files) {
            highest.read_bytes = highest.read_bytes.max(read);
            highest.written_bytes = highest.written_bytes.max(written);
            figures.disk_read_bytes = Some(highest.read_bytes);
            figures.disk_written_bytes = Some(highest.written_bytes);
        }
        figures
    }

    fn processes(&self, files: &mut Files) -> Vec<Process> {
        match &self.scope {
            Scope::One(directory) => Process::read(0, directory.clone(), files).into_iter().collect(),
            Scope::Descendants(proc_dir, pid) => {
                let mut others: Vec<_> =
                    numbered(proc_dir).filter_map(|(pid, directory)| Process::read(pid, directory, files)).collect();
                let mut family = Vec::new();
                let mut generation: Vec<_> = others.extract_if(.., |process| process.pid == *pid).collect();
                while !generation.is_empty() {
                    let parents: Vec<_> = generation.iter().map(|process| process.pid).collect();
                    family.append(&mut generation);
                    generation = others.extract_if(.., |process| parents.contains(&process.stat.parent)).collect();
                }
                family
            }
        }
    }

    /// Adds what each thread ran and waited since the last reading. An error means that some could not be read.
    fn schedule(&mut self, processes: &[Process], files: &mut Files) -> io::Result<()> {
        self.reading += 1;
        for process in processes {
            for (thread, directory) in numbered(&process.directory.join("task")) {
                let Some(text) = unless_ended(files.bytes(&directory.join("schedstat")))? else { continue };
                let (running_ns, run_queue_ns) = scheduled(text).ok_or(io::ErrorKind::InvalidData)?;
                let now = Scheduled { running_ns, run_queue_ns, reading: self.reading };
                let last = self.threads.insert((process.pid, thread), now);
                // A number that is used again begins at 0.
                let last = last.filter(|last| last.running_ns <= running_ns && last.run_queue_ns <= run_queue_ns);
                let (running_before, run_queue_before) =
                    last.map_or((0, 0), |last| (last.running_ns, last.run_queue_ns));
                self.running_ns += running_ns - running_before;
                self.run_queue_ns += run_queue_ns - run_queue_before;
            }
        }
        let reading = self.reading;
        self.threads.retain(|_, thread| thread.reading == reading);
        Ok(())
    }
}

/// Directories whose name is a number.
fn numbered(directory: &Path) -> impl Iterator<Item = (u32, PathBuf)> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.filter_map(|entry| {
        let entry = entry.ok()?;
        Some((entry.file_name().to_str()?.parse().ok()?, entry.path()))
    })
}

/// Bytes read and written by all.
fn transferred(processes: &[Process], files: &mut Files) -> io::Result<(u64, u64)> {
    let (mut read, mut written) = (0, 0);
    for process in processes {
        let Some(bytes) = unless_ended(files.bytes(&process.directory.join("io")))? else { continue };
        let text = str::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData)?;
        read += value(text, "read_bytes").ok_or(io::ErrorKind::InvalidData)?;
        written += value(text, "write_bytes").ok_or(io::ErrorKind::InvalidData)?;
    }
    Ok((read, written))
}

/// None if the process or thread has ended meanwhile.
fn unless_ended(read: io::Result<&[u8]>) -> io::Result<Option<&[u8]>> {
    /// "No such process": it ended between the opening and the reading.
    const ESRCH: i32 = 3;
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(err) if err.kind() == io::ErrorKind::NotFound || err.raw_os_error() == Some(ESRCH) => Ok(None),
        Err(err) => Err(err),
    }
}

/// Nanoseconds on a CPU, nanoseconds waiting for one, and a count.
fn scheduled(bytes: &[u8]) -> Option<(u64, u64)> {
    let mut words = str::from_utf8(bytes).ok()?.split_ascii_whitespace();
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

#[derive(Debug)]
struct Process {
    pid: u32,
    directory: PathBuf,
    stat: Stat,
}

impl Process {
    fn read(pid: u32, directory: PathBuf, files: &mut Files) -> Option<Self> {
        let stat = Stat::parse(files.bytes(&directory.join("stat")).ok()?)?;
        Some(Self { pid, directory, stat })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::stat::tests::stat;
    use crate::resources::tree::TestTree;

    fn process(tree: &TestTree, pid: u32, parent: u32, figures: u64) {
        tree.file(&format!("{pid}/stat"), stat("server", 'S', parent, figures, 5));
        tree.file(
            &format!("{pid}/io"),
            format!("rchar: 9\nread_bytes: {figures}\nwrite_bytes: {figures}\ncancelled_write_bytes: 9\n"),
        );
        thread(tree, pid, pid, figures * 1_000, figures * 1_000);
    }

    fn thread(tree: &TestTree, pid: u32, thread: u32, running: u64, waiting: u64) {
        tree.file(&format!("{pid}/task/{thread}/schedstat"), format!("{running} {waiting} 3\n"));
    }

    fn descendants(tree: &TestTree, pid: u32) -> Tree {
        Tree::of_descendants(tree.path(""), pid)
    }

    fn read(tree: &mut Tree) -> Processes {
        tree.read(&mut Files::default())
    }

    #[test]
    fn a_server_is_read_with_its_children_and_without_strangers() {
        let tree = TestTree::new("family");
        for (pid, parent, figures) in [(1, 0, 100), (40, 1, 1), (41, 40, 2), (30, 41, 4), (50, 1, 1_000)] {
            process(&tree, pid, parent, figures);
        }
        let expected = Processes {
            running_us: Some(7),
            run_queue_us: Some(7),
            // Its own, and that of ended children.
            cpu_user_us: Some(14 * TICK_US),
            cpu_system_us: Some(14 * TICK_US),
            major_faults: Some(14),
            disk_read_bytes: Some(7),
            disk_written_bytes: Some(7),
        };
        assert_eq!(read(&mut descendants(&tree, 40)), expected);
        assert_eq!(read(&mut descendants(&tree, 99)), Processes::default(), "nobody has this number");
    }

    #[test]
    fn what_a_thread_waited_is_kept_when_it_ends() {
        let tree = TestTree::new("threads");
        process(&tree, 40, 1, 1);
        thread(&tree, 40, 41, 5_000, 50_000);
        let mut server = descendants(&tree, 40);
        assert_eq!(read(&mut server).run_queue_us, Some(51));
        fs::remove_dir_all(tree.path("40/task/41")).unwrap();
        assert_eq!(read(&mut server).run_queue_us, Some(51));
        thread(&tree, 40, 40, 2_000, 3_000);
        assert_eq!(read(&mut server).run_queue_us, Some(53));
    }

    #[test]
    fn a_thread_number_that_is_used_again_begins_at_zero() {
        let tree = TestTree::new("reuse");
        process(&tree, 40, 1, 1);
        thread(&tree, 40, 41, 50_000, 50_000);
        let mut server = descendants(&tree, 40);
        read(&mut server);
        thread(&tree, 40, 41, 2_000, 3_000);
        let figures = read(&mut server);
        assert_eq!((figures.running_us, figures.run_queue_us), (Some(53), Some(54)));
    }

    #[test]
    fn what_a_child_used_is_not_lost_while_it_passes_to_its_parent() {
        let tree = TestTree::new("reaped");
        process(&tree, 40, 1, 10);
        process(&tree, 41, 40, 20);
        let mut server = descendants(&tree, 40);
        assert_eq!(read(&mut server).disk_written_bytes, Some(30));
        fs::remove_dir_all(tree.path("41")).unwrap();
        let figures = read(&mut server);
        assert_eq!((figures.disk_written_bytes, figures.major_faults), (Some(30), Some(60)));
        process(&tree, 40, 1, 35);
        assert_eq!(read(&mut server).disk_written_bytes, Some(35));
    }

    #[test]
    fn what_the_kernel_does_not_count_or_show_is_unknown() {
        let tree = TestTree::new("hidden");
        process(&tree, 40, 1, 1);
        thread(&tree, 40, 40, 0, 0);
        // A directory can't be read as a file, not even by root.
        fs::remove_file(tree.path("40/io")).unwrap();
        fs::create_dir(tree.path("40/io")).unwrap();
        let figures = read(&mut descendants(&tree, 40));
        assert_eq!((figures.running_us, figures.run_queue_us), (None, None), "switched off");
        assert_eq!((figures.disk_read_bytes, figures.disk_written_bytes), (None, None));
        assert_eq!(figures.major_faults, Some(2));
    }

    #[test]
    fn one_member_that_cannot_be_read_leaves_the_sum_unknown() {
        let tree = TestTree::new("partly");
        process(&tree, 40, 1, 1);
        process(&tree, 41, 40, 1);
        for content in ["", "read_bytes: 5\n", "read_bytes: 5\nwrite_bytes: many\n"] {
            tree.file("41/io", content);
            assert_eq!(read(&mut descendants(&tree, 40)).disk_read_bytes, None, "{content:?}");
        }
        for content in ["", "5", "5 x 1", "-1 -1 -1"] {
            tree.file("41/task/41/schedstat", content);
            assert_eq!(read(&mut descendants(&tree, 40)).run_queue_us, None, "{content:?}");
        }
    }
}
