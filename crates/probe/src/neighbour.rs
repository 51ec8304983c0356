//! The process that is watched: another container of the same pod, seen through the shared process namespace.
//!
//! `/proc/PID/root` leads into its container, and so to its control group and its data. Reading it takes the
//! neighbour's user *and* group.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use service::{Disk, Neighbour, cgroup};

use crate::config::{Config, Target};

/// Measures the neighbour as it is now. That it isn't there (yet) is an error like any other.
pub(crate) fn measure(config: &Config) -> anyhow::Result<Neighbour> {
    let process = find(&config.proc_dir, config.target)?;
    let root = process.join("root");
    Ok(Neighbour {
        name: config.target.name().to_owned(),
        resources: cgroup::read(&root)?,
        disk: disk(&root.join(config.data_dir.strip_prefix("/").unwrap_or(&config.data_dir))),
    })
}

/// Finds the directory of the process. Its number changes when it is restarted, so it is looked for each time:
/// a pod has few processes.
fn find(proc_dir: &Path, target: Target) -> anyhow::Result<PathBuf> {
    let entries = fs::read_dir(proc_dir).with_context(|| format!("listing {}", proc_dir.display()))?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|process| runs(process, target.argument()))
        .with_context(|| format!("no process runs {}", target.argument()))
}

/// Whether one of a process's arguments is exactly this one.
fn runs(process: &Path, argument: &str) -> bool {
    fs::read(process.join("cmdline"))
        .is_ok_and(|cmdline| cmdline.split(|byte| *byte == 0).any(|word| word == argument.as_bytes()))
}

/// None if the directory can't be seen.
fn disk(directory: &Path) -> Option<Disk> {
    let figures = rustix::fs::statvfs(directory).ok()?;
    Some(Disk {
        size_bytes: figures.f_blocks.saturating_mul(figures.f_frsize),
        free_bytes: figures.f_bavail.saturating_mul(figures.f_frsize),
    })
}

#[cfg(test)]
mod tests {

    use super::*;

    /// A pod with a pause process, the probe and perhaps a broker; removed at the end.
    struct Pod(PathBuf);

    impl Pod {
        fn new(name: &str) -> Self {
            let pod = Self(std::env::temp_dir().join(format!("kapture-probe-{}-{name}", std::process::id())));
            pod.process(1, "/pause\0");
            pod.process(7, "/kapture-probe\0--about=kafka.Kafka\0");
            pod
        }

        fn process(&self, pid: u32, cmdline: &str) {
            self.file(&format!("{pid}/cmdline"), cmdline);
        }

        fn file(&self, path: &str, content: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }

        fn measure(&self) -> anyhow::Result<Neighbour> {
            measure(&Config {
                target: Target::Kafka,
                broker_id: 0,
                data_dir: "/var/lib/kafka/data".into(),
                proc_dir: self.0.clone(),
                interval: service::Interval::from_ms::<1_000>(),
            })
        }
    }

    impl Drop for Pod {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_broker_is_found_and_measured_in_its_own_container() {
        let pod = Pod::new("broker");
        pod.process(31, "java\0-cp\0/opt/kafka/libs/*\0kafka.Kafka\0/tmp/server.properties\0");
        for (file, content) in [
            ("cpu.stat", "usage_usec 3000\n"),
            ("memory.current", "5000\n"),
            ("memory.stat", "inactive_file 1000\n"),
            ("memory.max", "8000\n"),
        ] {
            pod.file(&format!("31/root/sys/fs/cgroup/{file}"), content);
        }
        let neighbour = pod.measure().unwrap();
        assert_eq!(neighbour.name, "kafka");
        assert_eq!((neighbour.resources.cpu_usage_us, neighbour.resources.memory_bytes), (3_000, 4_000));
        assert_eq!(neighbour.resources.memory_limit_bytes, Some(8_000));
        assert_eq!(neighbour.disk, None, "its data can't be seen");

        fs::create_dir_all(pod.0.join("31/root/var/lib/kafka/data")).unwrap();
        let disk = pod.measure().unwrap().disk.unwrap();
        assert!(disk.size_bytes > 0 && disk.free_bytes <= disk.size_bytes, "{disk:?}");
    }

    #[test]
    fn who_only_speaks_of_the_broker_is_not_it() {
        let err = Pod::new("none").measure().unwrap_err();
        assert_eq!(err.to_string(), "no process runs kafka.Kafka");
    }

    #[test]
    fn a_broker_that_cannot_be_looked_into_is_an_error_and_not_zero() {
        let pod = Pod::new("closed");
        pod.process(31, "java\0kafka.Kafka\0");
        assert!(pod.measure().is_err());
    }
}
