//! What a container used of its limits, from the files of its control groups.
//!
//! Version 2 is as the kernel's `admin-guide/cgroup-v2.rst` describes it, version 1 as `admin-guide/cgroup-v1`.

use std::path::Path;

use super::groups::Groups;
use super::limit::Limit;
use super::text::{Files, sum, value};
use super::{Resources, pressure};
use crate::resources::node::TICK_US;

/// Reads what the groups have. A controller is in one version or the other, so a hybrid layout has some of both.
pub(super) fn read(groups: &Groups, files: &mut Files) -> Resources {
    let mut resources = Resources::default();
    if groups.cpu.is_some() || groups.cpuacct.is_some() {
        cpu_1(groups, files, &mut resources);
    } else if let Some(group) = &groups.version_2 {
        cpu_2(group, files, &mut resources);
    }
    if let Some(group) = &groups.memory {
        memory_1(group, files, &mut resources);
    } else if let Some(group) = &groups.version_2 {
        memory_2(group, files, &mut resources);
    }
    if let Some(group) = &groups.blkio {
        disk_1(group, files, &mut resources);
    } else if let Some(group) = &groups.version_2 {
        disk_2(group, files, &mut resources);
    }
    if let Some(group) = &groups.version_2 {
        resources.pressure = pressure::read(|resource| group.join(format!("{resource}.pressure")), files);
    }
    resources
}

/// Without the controller `cpu`, `cpu.stat` has only the first three.
fn cpu_2(group: &Path, files: &mut Files, to: &mut Resources) {
    let stat = files.text(&group.join("cpu.stat")).unwrap_or_default();
    to.cpu_usage_us = value(stat, "usage_usec");
    to.cpu_user_us = value(stat, "user_usec");
    to.cpu_system_us = value(stat, "system_usec");
    to.cpu_periods = value(stat, "nr_periods");
    to.cpu_throttled_periods = value(stat, "nr_throttled");
    to.cpu_throttled_us = value(stat, "throttled_usec");
    to.cpu_limit_millicores = files.text(&group.join("cpu.max")).and_then(quota_2);
}

/// `QUOTA PERIOD`, in microseconds, or `max PERIOD`.
fn quota_2(text: &str) -> Option<Limit> {
    let mut words = text.split_whitespace();
    match (words.next()?, words.next()?) {
        ("max", _) => Some(Limit::Unlimited),
        (quota, period) => millicores(quota.parse().ok()?, period.parse().ok()?),
    }
}

fn memory_2(group: &Path, files: &mut Files, to: &mut Resources) {
    let usage = files.number(&group.join("memory.current"));
    to.memory_usage_bytes = usage;
    to.memory_limit_bytes = files.text(&group.join("memory.max")).and_then(|text| match text.trim() {
        "max" => Some(Limit::Unlimited),
        bytes => bytes.parse().ok().map(Limit::At),
    });
    let stat = files.text(&group.join("memory.stat")).unwrap_or_default();
    to.memory_bytes = working_set(usage, value(stat, "inactive_file"));
    to.memory_dirty_bytes = value(stat, "file_dirty");
    to.memory_writeback_bytes = value(stat, "file_writeback");
    to.memory_scanned_pages = value(stat, "pgscan");
    to.memory_reclaimed_pages = value(stat, "pgsteal");
    to.memory_major_faults = value(stat, "pgmajfault");
    let refaults = ["workingset_refault_anon", "workingset_refault_file"].map(|name| value(stat, name));
    // One name for both until Linux 5.9.
    to.memory_refaults = sum(refaults).or_else(|| value(stat, "workingset_refault"));
    let events = files.text(&group.join("memory.events")).unwrap_or_default();
    to.memory_limit_hits = value(events, "max");
    to.memory_oom_events = value(events, "oom");
    to.memory_oom_kills = value(events, "oom_kill");
}

/// A line a device: `8:16 rbytes=1 wbytes=2 rios=3 …`. A device may have a line without figures.
fn disk_2(group: &Path, files: &mut Files, to: &mut Resources) {
    let Some(text) = files.text(&group.join("io.stat")) else { return };
    if !text.lines().all(is_of_a_device) {
        return;
    }
    let all = |key: &str| {
        let fields = text.lines().flat_map(|line| line.split_whitespace().skip(1));
        sum(fields.filter_map(|field| field.strip_prefix(key)).map(|number| number.parse().ok()))
    };
    to.disk_read_bytes = all("rbytes=");
    to.disk_written_bytes = all("wbytes=");
}

/// Whether a line begins with a device's number, such as `8:16`.
fn is_of_a_device(line: &str) -> bool {
    let number = line.split_whitespace().next().and_then(|word| word.split_once(':'));
    number.is_some_and(|(major, minor)| [major, minor].iter().all(|part| part.parse::<u32>().is_ok()))
}

fn cpu_1(groups: &Groups, files: &mut Files, to: &mut Resources) {
    if let Some(group) = &groups.cpuacct {
        to.cpu_usage_us = files.number(&group.join("cpuacct.usage")).map(|ns| ns / 1_000);
        let stat = files.text(&group.join("cpuacct.stat")).unwrap_or_default();
        let us = |ticks: u64| ticks.saturating_mul(TICK_US);
        to.cpu_user_us = value(stat, "user").map(us);
        to.cpu_system_us = value(stat, "system").map(us);
    }
    if let Some(group) = &groups.cpu {
        let stat = files.text(&group.join("cpu.stat")).unwrap_or_default();
        to.cpu_periods = value(stat, "nr_periods");
        to.cpu_throttled_periods = value(stat, "nr_throttled");
        to.cpu_throttled_us = value(stat, "throttled_time").map(|ns| ns / 1_000);
        to.cpu_limit_millicores = quota_1(group, files);
    }
}

/// A quota of -1 is no limit.
fn quota_1(cpu: &Path, files: &mut Files) -> Option<Limit> {
    let quota = files.text(&cpu.join("cpu.cfs_quota_us"))?.trim().parse::<i64>().ok()?;
    let Ok(quota) = u64::try_from(quota) else { return Some(Limit::Unlimited) };
    millicores(quota, files.number(&cpu.join("cpu.cfs_period_us"))?)
}

fn memory_1(group: &Path, files: &mut Files, to: &mut Resources) {
    let usage = files.number(&group.join("memory.usage_in_bytes"));
    to.memory_usage_bytes = usage;
    to.memory_limit_bytes = files
        .number(&group.join("memory.limit_in_bytes"))
        .map(|bytes| if bytes < NO_LIMIT_1 { Limit::At(bytes) } else { Limit::Unlimited });
    // Those without `total_` leave out the groups below.
    let stat = files.text(&group.join("memory.stat")).unwrap_or_default();
    to.memory_bytes = working_set(usage, value(stat, "total_inactive_file"));
    to.memory_dirty_bytes = value(stat, "total_dirty");
    to.memory_writeback_bytes = value(stat, "total_writeback");
    to.memory_major_faults = value(stat, "total_pgmajfault");
    let refaults = ["total_workingset_refault_anon", "total_workingset_refault_file"].map(|name| value(stat, name));
    to.memory_refaults = sum(refaults);
    to.memory_limit_hits = files.number(&group.join("memory.failcnt"));
    to.memory_oom_kills = files.text(&group.join("memory.oom_control")).and_then(|control| value(control, "oom_kill"));
}

/// Version 1 writes "no limit" as the highest number of whole pages; nobody has an exabyte.
const NO_LIMIT_1: u64 = 1 << 60;

/// Lines `8:16 Read 1`, and a total at the end. Without a device there is nothing to know: since Linux 6.10, the kernel counts
/// nothing before somebody on the node sets a limit for the device, but writes `Total 0` all the same.
fn disk_1(group: &Path, files: &mut Files, to: &mut Resources) {
    let of = |text: &str, operation: &str| {
        let devices = text.lines().filter(|line| !line.starts_with("Total "));
        if devices.clone().next().is_none() || !devices.clone().all(is_of_a_device) {
            return None;
        }
        let of_operation =
            devices.filter_map(|line| line.split_once(' ')?.1.strip_prefix(operation)?.strip_prefix(' '));
        sum(of_operation.map(|number| number.trim().parse().ok()))
    };
    // With the groups below it where the kernel has that, since Linux 4.20.
    let names = ["blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_service_bytes"];
    for name in names {
        if let Some(text) = files.text(&group.join(name)) {
            to.disk_read_bytes = of(text, "Read");
            to.disk_written_bytes = of(text, "Write");
            return;
        }
    }
}

fn millicores(quota_us: u64, period_us: u64) -> Option<Limit> {
    quota_us.checked_mul(1_000)?.checked_div(period_us).map(Limit::At)
}

/// The two files are read one after the other, so that the cache can be larger than the whole.
fn working_set(usage: Option<u64>, inactive_file: Option<u64>) -> Option<u64> {
    Some(usage?.saturating_sub(inactive_file?))
}
