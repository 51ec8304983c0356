//! The readers on real control groups of this machine, of both versions. Needs root, as the servers of other tests do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::fs::{major, minor, stat};
use service::Resources;
use service::resources::{Limit, Reader};

const LIMIT: Duration = Duration::from_secs(20);

/// A process in groups of its own; both are removed at the end.
struct Confined {
    process: Child,
    groups: Vec<PathBuf>,
}

impl Confined {
    /// Starts a shell that does this over and over.
    fn start(does: &str) -> Self {
        let process = Command::new("sh").args(["-c", &format!("while :; do {does}; done")]).spawn().unwrap();
        Self { process, groups: Vec::new() }
    }

    /// Makes a group under another, with these limits, and moves the process into it.
    fn join(&mut self, parent: &Path, limits: &[(&str, &str)]) -> &Self {
        let group = parent.join(format!("kapture-test-{}", self.process.id()));
        fs::create_dir(&group).expect("making a control group takes root");
        self.groups.push(group.clone());
        for (file, value) in limits {
            fs::write(group.join(file), value).unwrap();
        }
        fs::write(group.join("cgroup.procs"), self.process.id().to_string()).unwrap();
        self
    }

    fn reader(&self) -> Reader {
        Reader::neighbour(Path::new("/proc"), self.process.id())
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        for group in &self.groups {
            let begun = Instant::now();
            while fs::remove_dir(group).is_err() && begun.elapsed() < LIMIT {
                std::thread::yield_now();
            }
        }
    }
}

/// Reads until the figures are as they should be.
fn until(reader: &mut Reader, is_right: impl Fn(&Resources) -> bool) -> Resources {
    let begun = Instant::now();
    loop {
        let resources = reader.read();
        if is_right(&resources) {
            return resources;
        }
        assert!(begun.elapsed() < LIMIT, "{resources:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Where hierarchies are mounted: the file system and its options as `/proc/mounts` has them.
fn mounted(file_system: &str, option: &str) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let mount = mounts.lines().find(|line| {
        let fields: Vec<_> = line.split(' ').collect();
        fields[2] == file_system && fields[3].split(',').any(|set| set == option)
    });
    mount.and_then(|line| line.split(' ').nth(1)).map(PathBuf::from)
}

/// The number of the disk that a directory is on: that of the whole one, since control groups know no partitions.
fn disk_of(directory: &Path) -> String {
    let device = stat(directory).unwrap().st_dev;
    let device = PathBuf::from(format!("/sys/dev/block/{}:{}", major(device), minor(device)));
    let whole = if fs::exists(device.join("partition")).unwrap() { device.join("..") } else { device };
    fs::read_to_string(whole.join("dev")).expect("it is on a disk").trim().to_owned()
}

#[test]
fn a_process_throttled_by_a_real_limit_is_seen_to_be() {
    let quota: &[(&str, &str)] = &[("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "10000")];
    let mut busy = Confined::start(":");
    let is_version_1 = if let Some(cpu) = mounted("cgroup", "cpu") {
        let cpuacct = mounted("cgroup", "cpuacct").unwrap();
        busy.join(&cpu, quota);
        if cpuacct != cpu {
            busy.join(&cpuacct, &[]);
        }
        true
    } else {
        let root = mounted("cgroup2", "rw").expect("every Linux has control groups");
        fs::write(root.join("cgroup.subtree_control"), "+cpu").unwrap();
        busy.join(&root, &[("cpu.max", "10000 100000")]);
        false
    };
    let seen =
        until(&mut busy.reader(), |seen| seen.cpu_throttled_periods >= Some(3) && seen.cpu_user_us >= Some(20_000));
    assert_eq!(seen.cpu_limit_millicores, Some(Limit::At(100)));
    assert!(seen.cpu_throttled_us > Some(0) && seen.cpu_throttled_periods <= seen.cpu_periods, "{seen:?}");
    assert!(seen.cpu_usage_us >= Some(20_000) && seen.cpu_system_us.is_some(), "{seen:?}");
    let processes = seen.processes.unwrap();
    assert!(processes.running_us >= Some(20_000) && processes.run_queue_us > Some(0), "{processes:?}");
    assert!(is_version_1 || seen.pressure.is_some());
}

#[test]
fn memory_and_writes_of_a_real_group_of_version_1_are_seen() {
    // Without the controllers of version 1 there is nothing to see: trees show how they would be read.
    let Some((memory, blkio)) = mounted("cgroup", "memory").zip(mounted("cgroup", "blkio")) else { return };
    let file = std::env::temp_dir().join(format!("kapture-test-writes-{}", std::process::id()));
    let mut writer =
        Confined::start(&format!("dd if=/dev/zero of={} bs=64k count=16 oflag=dsync status=none", file.display()));
    writer.join(&memory, &[("memory.limit_in_bytes", "33554432")]).reader();
    // Linux 6.10 and later count only once there has been a limit.
    let limit = format!("{} 1000000000000", disk_of(&std::env::temp_dir()));
    writer.join(&blkio, &[("blkio.throttle.write_bps_device", &limit)]);
    // Children are in the group, too, but what they wrote only shows in the group.
    let seen = until(&mut writer.reader(), |seen| seen.disk_written_bytes >= Some(1 << 20));
    drop(writer);
    fs::remove_file(file).unwrap();
    assert_eq!(seen.memory_limit_bytes, Some(Limit::At(32 << 20)));
    assert!(seen.memory_bytes > Some(0) && seen.memory_usage_bytes >= seen.memory_bytes, "{seen:?}");
    assert!(seen.memory_oom_kills == Some(0) && seen.memory_limit_hits.is_some(), "{seen:?}");
    assert!(seen.memory_major_faults.is_some() && seen.memory_refaults.is_some(), "{seen:?}");
}

/// Mounts version 2 somewhere, although it is mounted already as a rule, and unmounts it at the end.
struct Version2(PathBuf);

impl Version2 {
    fn mount() -> Self {
        let path = std::env::temp_dir().join(format!("kapture-test-cgroup2-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let mounted = Command::new("mount").args(["-t", "cgroup2", "none"]).arg(&path).status().unwrap();
        assert!(mounted.success(), "mounting takes root");
        Self(path)
    }
}

impl Drop for Version2 {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_real_group_of_version_2_has_at_least_its_pressure() {
    let version_2 = Version2::mount();
    // On this kind of machine it has no controller that is read here.
    println!("controllers: {}", fs::read_to_string(version_2.0.join("cgroup.controllers")).unwrap().trim());
    let mut busy = Confined::start(":");
    busy.join(&version_2.0, &[]);
    if !fs::exists(busy.groups[0].join("cpu.pressure")).unwrap()
        || fs::read(busy.groups[0].join("cpu.pressure")).is_err()
    {
        assert_eq!(busy.reader().read().pressure, None, "this kernel has none, or was booted without");
        return;
    }
    let seen = until(&mut busy.reader(), |seen| seen.pressure.is_some());
    let pressure = seen.pressure.unwrap();
    for stalled in [&pressure.cpu, &pressure.memory, &pressure.io] {
        let stalled = stalled.as_ref().unwrap();
        assert!(stalled.some_us.is_some() && stalled.full_us.is_some(), "{stalled:?}");
    }
}
