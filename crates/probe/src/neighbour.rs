//! The process that is watched: another container of the same pod, seen through the shared process namespace.
//!
//! `/proc/PID/root` leads into its container, and so to its control group and its data. Reading it takes the
//! neighbour's user *and* group.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::fs::{major, minor, stat, statvfs};
use service::resources::{Identity, Reader, device_of, identity};
use service::{Disk, Neighbour};

use crate::config::{Config, Target};

/// Watches the neighbour through its restarts.
pub(crate) struct Watched {
    config: Config,
    current: Option<Current>,
}

/// The process that was last found.
struct Current {
    pid: u32,
    started_us: u64,
    reader: Reader,
}

impl Watched {
    pub(crate) fn new(config: Config) -> Self {
        Self { config, current: None }
    }

    /// Measures the neighbour as it is now. That it isn't there (yet) is an error like any other.
    pub(crate) fn measure(&mut self) -> anyhow::Result<Neighbour> {
        let Config { target, proc_dir, .. } = &self.config;
        let current = self.current.take().filter(|current| current.still_runs(proc_dir));
        let current = self.current.insert(current.map_or_else(|| Current::find(proc_dir, *target), Ok)?);
        let root = root(proc_dir, current.pid);
        fs::read_link(&root)
            .with_context(|| format!("looking into process {}: give the probe its user and its group", current.pid))?;
        Ok(Neighbour {
            name: target.name().to_owned(),
            incarnation: Some(current.started_us),
            resources: current.reader.read(),
            disk: disk(proc_dir, &within(&root, self.config.data_dir())),
        })
    }
}

impl Current {
    fn find(proc_dir: &Path, target: Target) -> anyhow::Result<Self> {
        let (pid, Identity { started_us, .. }) = find(proc_dir, target)?;
        Ok(Self { pid, started_us, reader: Reader::neighbour(proc_dir, pid) })
    }

    fn still_runs(&self, proc_dir: &Path) -> bool {
        let now = identity(&proc_dir.join(self.pid.to_string()));
        now.is_some_and(|now| now.started_us == self.started_us && !now.is_zombie)
    }
}

/// Finds the root of the neighbour's file system, as it runs now.
pub(crate) fn root_of(config: &Config) -> anyhow::Result<PathBuf> {
    Ok(root(&config.proc_dir, find(&config.proc_dir, config.target)?.0))
}

fn root(proc_dir: &Path, pid: u32) -> PathBuf {
    proc_dir.join(pid.to_string()).join("root")
}

fn within(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Finds the process. Of several the oldest is taken: a server's children may have its name.
fn find(proc_dir: &Path, target: Target) -> anyhow::Result<(u32, Identity)> {
    let entries = fs::read_dir(proc_dir).with_context(|| format!("listing {}", proc_dir.display()))?;
    let found = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let identity = identity(&entry.path()).filter(|identity| !identity.is_zombie)?;
        target.is(&identity.name, || arguments(&entry.path())).then_some((pid, identity))
    });
    let oldest = found.min_by_key(|(pid, identity)| (identity.started_us, *pid));
    oldest.with_context(|| format!("no process runs {}", target.process()))
}

fn arguments(process: &Path) -> Vec<Vec<u8>> {
    let command_line = fs::read(process.join("cmdline")).unwrap_or_default();
    command_line.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
}

/// None if the directory can't be seen.
fn disk(proc_dir: &Path, directory: &Path) -> Option<Disk> {
    let figures = statvfs(directory).ok()?;
    let device = stat(directory).ok()?.st_dev;
    Some(Disk {
        size_bytes: figures.f_blocks.saturating_mul(figures.f_frsize),
        free_bytes: figures.f_bavail.saturating_mul(figures.f_frsize),
        device: device_of(proc_dir, major(device), minor(device)),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A pod with a pause process and the probe; removed at the end.
    struct Pod(PathBuf);

    impl Pod {
        fn new(name: &str) -> Self {
            let pod = Self(std::env::temp_dir().join(format!("kapture-probe-{}-{name}", std::process::id())));
            pod.process(1, 0, "pause", "/pause\0", 1);
            pod.process(7, 0, "kapture-probe", "/kapture-probe\0--about=kafka.Kafka\0", 2);
            pod
        }

        fn process(&self, pid: u32, parent: u32, name: &str, command_line: &str, started: u64) {
            let fields = format!("S {parent} 1 1 0 -1 0 9 9 1 1 1 1 1 1 20 0 3 0 {started} 1 1");
            self.file(&format!("{pid}/stat"), &format!("{pid} ({name}) {fields}\n"));
            self.file(&format!("{pid}/cmdline"), command_line);
        }

        fn file(&self, path: &str, content: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }

        /// A container of version 2, whose root is a link as in `/proc`.
        fn container(&self, pid: u32) {
            self.file(&format!("{pid}/cgroup"), "0::/../app\n");
            self.file(&format!("{pid}/mountinfo"), "4 3 0:2 /../app /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
            let root = format!("container-{pid}");
            for (file, content) in [
                ("cgroup.events", "populated 1\n"),
                ("cpu.stat", "usage_usec 3000\n"),
                ("memory.current", "5000\n"),
                ("memory.stat", "inactive_file 1000\n"),
            ] {
                self.file(&format!("{root}/sys/fs/cgroup/{file}"), content);
            }
            symlink(self.0.join(root), self.0.join(format!("{pid}/root"))).unwrap();
        }

        fn watched(&self, target: &str) -> Watched {
            let proc_dir = self.0.to_str().unwrap();
            Watched::new(serde_json::from_value(serde_json::json!({"target": target, "proc_dir": proc_dir})).unwrap())
        }
    }

    impl Drop for Pod {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const KAFKA: &str = "java\0-cp\0/opt/kafka/libs/*\0kafka.Kafka\0/tmp/server.properties\0";

    #[test]
    fn the_broker_is_found_and_measured_in_its_own_container() {
        let pod = Pod::new("broker");
        pod.process(31, 0, "java", KAFKA, 5);
        pod.container(31);
        let mut watched = pod.watched("kafka");
        let neighbour = watched.measure().unwrap();
        assert_eq!((neighbour.name.as_str(), neighbour.incarnation), ("kafka", Some(50_000)));
        assert_eq!((neighbour.resources.cpu_usage_us, neighbour.resources.memory_bytes), (Some(3_000), Some(4_000)));
        assert_eq!(neighbour.disk, None, "its data can't be seen");

        let data = pod.0.join("container-31/var/lib/kafka/data");
        fs::create_dir_all(&data).unwrap();
        let device = stat(&data).unwrap().st_dev;
        pod.file("diskstats", &format!("{} {} disk0 1 0 8 1 1 0 8 1 0 1 1\n", major(device), minor(device)));
        let disk = watched.measure().unwrap().disk.unwrap();
        assert!(disk.size_bytes > 0 && disk.free_bytes <= disk.size_bytes, "{disk:?}");
        assert_eq!(disk.device.as_deref(), Some("disk0"));
    }

    #[test]
    fn a_server_is_told_from_its_children_by_its_age() {
        let pod = Pod::new("children");
        // Process numbers wrap around.
        pod.process(20, 300, "postgres", "postgres: checkpointer\0", 9);
        pod.process(300, 0, "postgres", "postgres\0-c\0x\0", 8);
        pod.container(300);
        let neighbour = pod.watched("postgres").measure().unwrap();
        assert_eq!(neighbour.incarnation, Some(80_000));
        // One tick each, with that of ended children.
        assert_eq!(neighbour.resources.processes.unwrap().cpu_user_us, Some(40_000));
        let why = pod.watched("redis").measure().unwrap_err();
        assert_eq!(why.to_string(), "no process runs redis-server");
    }

    #[test]
    fn redis_is_found_under_either_of_its_names() {
        for (pid, name) in [(31, "redis-server"), (32, "valkey-server")] {
            let pod = Pod::new(name);
            pod.process(pid, 0, name, &format!("{name} *:6379\0"), 5);
            pod.container(pid);
            assert!(pod.watched("redis").measure().is_ok(), "{name}");
        }
    }

    #[test]
    fn a_restarted_neighbour_is_another_incarnation() {
        let pod = Pod::new("restarted");
        let mut watched = pod.watched("kafka");
        assert!(watched.measure().is_err(), "it has not started yet");
        pod.process(31, 0, "java", KAFKA, 5);
        pod.container(31);
        assert_eq!(watched.measure().unwrap().incarnation, Some(50_000));
        // Under another number, then under the same one.
        fs::remove_dir_all(pod.0.join("31")).unwrap();
        assert!(watched.measure().is_err());
        for (pid, started) in [(44, 70), (44, 90)] {
            pod.process(pid, 0, "java", KAFKA, started);
            if started == 70 {
                pod.container(pid);
            }
            assert_eq!(watched.measure().unwrap().incarnation, Some(started * 10_000));
        }
    }

    #[test]
    fn who_only_speaks_of_the_broker_is_not_it() {
        let err = Pod::new("none").watched("kafka").measure().unwrap_err();
        assert_eq!(err.to_string(), "no process runs kafka.Kafka");
    }

    #[test]
    fn a_broker_that_cannot_be_looked_into_is_an_error_and_not_zero() {
        let pod = Pod::new("closed");
        pod.process(31, 0, "java", KAFKA, 5);
        let err = format!("{:#}", pod.watched("kafka").measure().unwrap_err());
        assert!(err.starts_with("looking into process 31: give the probe its user and its group: "), "{err}");
    }
}
