//! What a container uses of its limits, from its control group: version 2, else version 1.

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
    /// Working set: memory that can't be given back without pain, as Kubernetes counts it.
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
    } else if let Some(cpu) = version_1_cpu(&mount) {
        version_1(&cpu, &mount.join("memory"))
    } else {
        bail!("{} shows no control group of a container", mount.display())
    }
}

fn version_2(group: &Path) -> anyhow::Result<Resources> {
    let cpu = Table::read(&group.join("cpu.stat"))?;
    let usage: u64 = number(&group.join("memory.current"))?;
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

fn version_1(cpu: &Path, memory: &Path) -> anyhow::Result<Resources> {
    let stat = Table::read(&cpu.join("cpu.stat"))?;
    let usage: u64 = number(&memory.join("memory.usage_in_bytes"))?;
    let inactive = Table::read(&memory.join("memory.stat"))?.get("total_inactive_file");
    let limit: u64 = number(&memory.join("memory.limit_in_bytes"))?;
    Ok(Resources {
        cpu_usage_us: number(&cpu.join("cpuacct.usage"))? / 1_000,
        cpu_limit_millicores: quota_v1(cpu),
        cpu_periods: stat.get("nr_periods"),
        cpu_throttled_periods: stat.get("nr_throttled"),
        cpu_throttled_us: stat.get("throttled_time") / 1_000,
        memory_bytes: usage.saturating_sub(inactive),
        memory_limit_bytes: (limit < NO_LIMIT_V1).then_some(limit),
    })
}

/// Version 1 says "no limit" with the highest number of whole pages; nobody has an exabyte.
const NO_LIMIT_V1: u64 = 1 << 60;

/// Finds the directory with the CPU's files, which distributions mount under different names.
fn version_1_cpu(mount: &Path) -> Option<PathBuf> {
    ["cpu,cpuacct", "cpuacct,cpu", "cpuacct", "cpu"]
        .map(|name| mount.join(name))
        .into_iter()
        .find(|path| path.join("cpuacct.usage").exists() && path.join("cpu.stat").exists())
}

/// `cpu.max` is `QUOTA PERIOD`, in microseconds, or `max PERIOD`.
fn quota_v2(path: &Path) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    millicores(quota.parse().ok()?, period.parse().ok()?)
}

/// A quota of -1 is no limit.
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
