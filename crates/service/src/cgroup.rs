//! What a container uses of its limits, read from its control group, version 2 or 1.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

/// What a container uses of its limits. Times and counts are cumulative since the container started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// CPU time used, in microseconds.
    pub cpu_usage_us: u64,
    /// CPU limit in thousandths of a CPU; none if there is no limit.
    pub cpu_limit_millicores: Option<u64>,
    /// Periods (of 100 ms, as a rule) in which the limit was watched.
    pub cpu_periods: u64,
    /// Periods in which the limit was hit.
    pub cpu_throttled_periods: u64,
    /// Time that the container was kept waiting by its limit, in microseconds.
    pub cpu_throttled_us: u64,
    /// Working set, as Kubernetes defines it: memory that can't be reclaimed easily.
    pub memory_bytes: u64,
    /// Memory limit; none if there is no limit.
    pub memory_limit_bytes: Option<u64>,
}

/// Reads the control group that the file system under `root` shows: `/` is one's own, `/proc/PID/root`
/// that of another process.
pub fn read(root: &Path) -> anyhow::Result<Resources> {
    let mount = root.join("sys/fs/cgroup");
    if mount.join("cpu.stat").exists() {
        version_2(&mount)
    } else if mount.join("memory/memory.usage_in_bytes").exists() {
        version_1(&mount)
    } else {
        bail!("{} has no control group of a container", mount.display())
    }
}

fn version_2(group: &Path) -> anyhow::Result<Resources> {
    let cpu = Table::read(&group.join("cpu.stat"))?;
    let usage = number(&group.join("memory.current"))?;
    let inactive = Table::read(&group.join("memory.stat"))?.get("inactive_file");
    Ok(Resources {
        cpu_usage_us: cpu.get("usage_usec"),
        cpu_limit_millicores: quota_v2(&group.join("cpu.max")),
        cpu_periods: cpu.get("nr_periods"),
        cpu_throttled_periods: cpu.get("nr_throttled"),
        cpu_throttled_us: cpu.get("throttled_usec"),
        memory_bytes: usage.saturating_sub(inactive),
        memory_limit_bytes: number(&group.join("memory.max")).ok(),
    })
}

fn version_1(mount: &Path) -> anyhow::Result<Resources> {
    let (cpu, memory) = (controller(mount, "cpu", "cpu.stat")?, mount.join("memory"));
    let usage_ns = number(&controller(mount, "cpuacct", "cpuacct.usage")?.join("cpuacct.usage"))?;
    let stat = Table::read(&cpu.join("cpu.stat"))?;
    let memory_usage = number(&memory.join("memory.usage_in_bytes"))?;
    let inactive = Table::read(&memory.join("memory.stat"))?.get("total_inactive_file");
    let limit = number(&memory.join("memory.limit_in_bytes"))?;
    Ok(Resources {
        cpu_usage_us: usage_ns / 1_000,
        cpu_limit_millicores: quota_v1(&cpu),
        cpu_periods: stat.get("nr_periods"),
        cpu_throttled_periods: stat.get("nr_throttled"),
        cpu_throttled_us: stat.get("throttled_time") / 1_000,
        memory_bytes: memory_usage.saturating_sub(inactive),
        memory_limit_bytes: (limit < NO_LIMIT_V1).then_some(limit),
    })
}

/// In version 1, "no limit" is the highest number of whole pages, far above an exabyte.
const NO_LIMIT_V1: u64 = 1 << 60;

/// Finds the directory of a controller by a file in it: most distributions mount the two of the CPU as one.
fn controller(mount: &Path, name: &str, file: &str) -> anyhow::Result<PathBuf> {
    [name, "cpu,cpuacct", "cpuacct,cpu"]
        .map(|name| mount.join(name))
        .into_iter()
        .find(|path| path.join(file).exists())
        .with_context(|| format!("finding {file} under {}", mount.display()))
}

/// `cpu.max` is `QUOTA PERIOD`, in microseconds, or `max PERIOD`.
fn quota_v2(path: &Path) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    millicores(quota.parse().ok()?, period.parse().ok()?)
}

/// A quota of -1 means "no limit".
fn quota_v1(cpu: &Path) -> Option<u64> {
    let quota = number(&cpu.join("cpu.cfs_quota_us")).ok()?;
    millicores(quota, number(&cpu.join("cpu.cfs_period_us")).ok()?)
}

fn millicores(quota_us: u64, period_us: u64) -> Option<u64> {
    (quota_us * 1_000).checked_div(period_us)
}

fn number(path: &Path) -> anyhow::Result<u64> {
    let text = text(path)?;
    text.trim().parse().with_context(|| format!("parsing {}: {}", path.display(), text.trim()))
}

fn text(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// A file of lines `name number`.
struct Table(String);

impl Table {
    fn read(path: &Path) -> anyhow::Result<Self> {
        Ok(Self(text(path)?))
    }

    /// A line that is absent counts as 0: without a limit the kernel leaves some of them out.
    fn get(&self, name: &str) -> u64 {
        self.0
            .lines()
            .filter_map(|line| line.split_once(' '))
            .find(|(key, _)| *key == name)
            .and_then(|(_, value)| value.trim().parse().ok())
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1_CPU: [(&str, &str); 3] = [
        ("cpu.stat", "nr_periods 100\nnr_throttled 7\nthrottled_time 5000000\n"),
        ("cpu.cfs_quota_us", "150000\n"),
        ("cpu.cfs_period_us", "100000\n"),
    ];
    const V1_MEMORY: [(&str, &str); 3] = [
        ("memory/memory.usage_in_bytes", "5000\n"),
        ("memory/memory.limit_in_bytes", "134217728\n"),
        ("memory/memory.stat", "cache 9\ntotal_inactive_file 1000\n"),
    ];
    const EXPECTED: Resources = Resources {
        cpu_usage_us: 3_000,
        cpu_limit_millicores: Some(1_500),
        cpu_periods: 100,
        cpu_throttled_periods: 7,
        cpu_throttled_us: 5_000,
        memory_bytes: 4_000,
        memory_limit_bytes: Some(134_217_728),
    };

    /// A directory that looks like the root of a container, removed at the end.
    struct Root(PathBuf);

    impl Root {
        fn with(name: &str, files: impl IntoIterator<Item = (String, &'static str)>) -> Self {
            let root = std::env::temp_dir().join(format!("kapture-cgroup-{}-{name}", std::process::id()));
            for (file, content) in files {
                let path = root.join("sys/fs/cgroup").join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, content).unwrap();
            }
            Self(root)
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn version_1(name: &str, cpu: &str, cpuacct: &str) -> Root {
        let cpu_files = V1_CPU.map(|(file, content)| (format!("{cpu}/{file}"), content));
        let usage = [(format!("{cpuacct}/cpuacct.usage"), "3000000\n")];
        let memory = V1_MEMORY.map(|(file, content)| (file.to_owned(), content));
        Root::with(name, cpu_files.into_iter().chain(usage).chain(memory))
    }

    fn version_2(name: &str, cpu_max: &'static str, memory_max: &'static str) -> Root {
        let files = [
            ("cpu.stat", "usage_usec 3000\nuser_usec 1\nnr_periods 100\nnr_throttled 7\nthrottled_usec 5000\n"),
            ("cpu.max", cpu_max),
            ("memory.current", "5000\n"),
            ("memory.max", memory_max),
            ("memory.stat", "anon 1\ninactive_file 1000\n"),
        ];
        Root::with(name, files.map(|(file, content)| (file.to_owned(), content)))
    }

    #[test]
    fn version_2_is_read() {
        let root = version_2("v2", "150000 100000\n", "134217728\n");
        assert_eq!(read(&root.0).unwrap(), EXPECTED);
    }

    #[test]
    fn version_1_is_read_with_the_controllers_apart_or_together() {
        assert_eq!(read(&version_1("apart", "cpu", "cpuacct").0).unwrap(), EXPECTED);
        assert_eq!(read(&version_1("together", "cpu,cpuacct", "cpu,cpuacct").0).unwrap(), EXPECTED);
    }

    #[test]
    fn no_limit_is_none_and_not_a_huge_number() {
        let unlimited = Resources { cpu_limit_millicores: None, memory_limit_bytes: None, ..EXPECTED };
        assert_eq!(read(&version_2("v2-unlimited", "max 100000\n", "max\n").0).unwrap(), unlimited);

        let root = version_1("v1-unlimited", "cpu", "cpuacct");
        fs::write(root.0.join("sys/fs/cgroup/cpu/cpu.cfs_quota_us"), "-1\n").unwrap();
        fs::write(root.0.join("sys/fs/cgroup/memory/memory.limit_in_bytes"), "9223372036854771712\n").unwrap();
        assert_eq!(read(&root.0).unwrap(), unlimited);
    }

    #[test]
    fn where_there_is_no_group_is_an_error_and_not_zero() {
        let root = Root::with("none", [("other".to_owned(), "")]);
        assert!(read(&root.0).is_err());
    }
}
