//! Whole trees as the kernel shows them to a container, and this machine.

use std::fs;

use super::tree::TestTree;
use super::*;

/// All files of a control group of version 2 whose controllers cpu, io, memory and pids are on (Linux 6.12); the root of a
/// container's namespace has them at its mount.
const VERSION_2: [(&str, &str); 29] = [
    ("cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma misc\n"),
    ("cgroup.events", "populated 1\nfrozen 0\n"),
    ("cgroup.freeze", "0\n"),
    ("cgroup.max.depth", "max\n"),
    ("cgroup.procs", "1\n"),
    ("cgroup.stat", "nr_descendants 0\nnr_dying_descendants 0\n"),
    ("cgroup.subtree_control", ""),
    ("cgroup.type", "domain\n"),
    (
        "cpu.stat",
        "usage_usec 3000\nuser_usec 2000\nsystem_usec 1000\nnice_usec 0\ncore_sched.force_idle_usec 0\nnr_periods 100\n\
         nr_throttled 7\nthrottled_usec 5000\nnr_bursts 0\nburst_usec 0\n",
    ),
    ("cpu.stat.local", "throttled_usec 99\n"),
    ("cpu.max", "150000 100000\n"),
    ("cpu.max.burst", "0\n"),
    ("cpu.weight", "20\n"),
    (
        "cpu.pressure",
        "some avg10=1.00 avg60=0.50 avg300=0.10 total=11\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=12\n",
    ),
    (
        "memory.pressure",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=21\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=22\n",
    ),
    (
        "io.pressure",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=31\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=32\n",
    ),
    ("irq.pressure", "full avg10=0.00 avg60=0.00 avg300=0.00 total=41\n"),
    ("memory.current", "5000\n"),
    ("memory.events", "low 0\nhigh 1\nmax 42\noom 3\noom_kill 2\noom_group_kill 0\nsock_throttled 0\n"),
    ("memory.events.local", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n"),
    ("memory.high", "max\n"),
    ("memory.max", "134217728\n"),
    ("memory.peak", "6000\n"),
    (
        "memory.stat",
        "anon 1\nfile 2\nkernel 3\nkernel_stack 4\npagetables 5\nsec_pagetables 0\npercpu 0\nsock 0\nvmalloc 0\nshmem 0\n\
         file_mapped 6\nfile_dirty 700\nfile_writeback 800\nswapcached 0\ninactive_anon 9\nactive_anon 9\n\
         inactive_file 1000\nactive_file 9\nunevictable 0\nslab_reclaimable 1\nslab_unreclaimable 1\nslab 2\n\
         workingset_refault_anon 10\nworkingset_refault_file 20\nworkingset_activate_anon 0\npgscan 300\npgsteal 200\n\
         pgscan_kswapd 0\npgscan_direct 300\npgsteal_kswapd 0\npgfault 5000\npgmajfault 60\npgrefill 0\npgactivate 0\n",
    ),
    ("memory.swap.current", "0\n"),
    ("memory.swap.max", "0\n"),
    (
        "io.stat",
        "8:16 rbytes=1000 wbytes=2000 rios=1 wios=2 dbytes=50000000 dios=3000\n7:0 \n\
         259:0 rbytes=24 wbytes=48 rios=1 wios=1 dbytes=0 dios=0 cost.vrate=100.00\n",
    ),
    ("io.max", ""),
    ("pids.current", "3\n"),
];

fn expected_2() -> Resources {
    let stalled = |some_us, full_us| Some(Stalled { some_us: Some(some_us), full_us: Some(full_us) });
    Resources {
        cpu_usage_us: Some(3_000),
        cpu_user_us: Some(2_000),
        cpu_system_us: Some(1_000),
        cpu_limit_millicores: Some(Limit::At(1_500)),
        cpu_periods: Some(100),
        cpu_throttled_periods: Some(7),
        cpu_throttled_us: Some(5_000),
        memory_bytes: Some(4_000),
        memory_usage_bytes: Some(5_000),
        memory_limit_bytes: Some(Limit::At(134_217_728)),
        memory_dirty_bytes: Some(700),
        memory_writeback_bytes: Some(800),
        memory_scanned_pages: Some(300),
        memory_reclaimed_pages: Some(200),
        memory_major_faults: Some(60),
        memory_refaults: Some(30),
        memory_limit_hits: Some(42),
        memory_oom_events: Some(3),
        memory_oom_kills: Some(2),
        disk_read_bytes: Some(1_024),
        disk_written_bytes: Some(2_048),
        pressure: Some(Pressure { cpu: stalled(11, 12), memory: stalled(21, 22), io: stalled(31, 32) }),
        ..Resources::default()
    }
}

/// What a container of version 1 sees of its groups (Linux 5.10).
const VERSION_1: [(&str, &str); 14] = [
    ("cpu,cpuacct/cpu.stat", "nr_periods 100\nnr_throttled 7\nthrottled_time 5000000\n"),
    ("cpu,cpuacct/cpu.cfs_quota_us", "150000\n"),
    ("cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
    ("cpu,cpuacct/cpu.shares", "20\n"),
    ("cpu,cpuacct/cpuacct.usage", "3000000\n"),
    ("cpu,cpuacct/cpuacct.stat", "user 2\nsystem 1\n"),
    ("memory/memory.usage_in_bytes", "5000\n"),
    ("memory/memory.limit_in_bytes", "134217728\n"),
    ("memory/memory.memsw.limit_in_bytes", "1\n"),
    ("memory/memory.failcnt", "42\n"),
    ("memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
    (
        "memory/memory.stat",
        "cache 9\nrss 9\ndirty 1\nwriteback 1\nworkingset_refault_anon 1\npgmajfault 1\ninactive_file 1\n\
         hierarchical_memory_limit 134217728\ntotal_cache 9\ntotal_dirty 700\ntotal_writeback 800\n\
         total_workingset_refault_anon 10\ntotal_workingset_refault_file 20\ntotal_pgmajfault 60\ntotal_inactive_file 1000\n",
    ),
    (
        "blkio/blkio.throttle.io_service_bytes_recursive",
        "8:16 Read 1000\n8:16 Write 2000\n8:16 Sync 3000\n8:16 Async 0\n8:16 Discard 50000\n8:16 Total 53000\n\
         259:0 Read 24\n259:0 Write 48\n259:0 Total 72\nTotal 53072\n",
    ),
    (
        "blkio/blkio.throttle.io_service_bytes",
        "8:16 Read 1000\n8:16 Write 2000\n259:0 Read 24\n259:0 Write 48\nTotal 3072\n",
    ),
];

fn expected_1() -> Resources {
    Resources {
        cpu_user_us: Some(20_000),
        cpu_system_us: Some(10_000),
        // Version 1 does not have these.
        memory_scanned_pages: None,
        memory_reclaimed_pages: None,
        memory_oom_events: None,
        pressure: None,
        ..expected_2()
    }
}

fn container(cgroup: &str, mounts: &str, files: &[(&str, &str)]) -> TestTree {
    let tree = TestTree::new("container");
    tree.file("proc/self/cgroup", cgroup);
    tree.file("proc/self/mountinfo", mounts);
    tree.files("sys/fs/cgroup", files);
    tree
}

fn version_2(files: &[(&str, &str)]) -> TestTree {
    container("0::/\n", "40 30 0:29 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate\n", files)
}

fn version_1(files: &[(&str, &str)]) -> TestTree {
    let mounts: String = ["cpu,cpuacct", "memory", "blkio"]
        .map(|name| format!("50 49 0:30 /pod/app /sys/fs/cgroup/{name} ro - cgroup cgroup rw,{name}\n"))
        .concat();
    container("4:memory:/pod/app\n3:cpu,cpuacct:/pod/app\n2:blkio:/pod/app\n0::/pod/app\n", &mounts, files)
}

fn read(tree: &TestTree) -> Resources {
    Reader::own_under(&tree.path("")).read()
}

/// One file of a tree with another content.
fn with(tree: TestTree, file: &str, content: &str) -> TestTree {
    tree.file(&format!("sys/fs/cgroup/{file}"), content);
    tree
}

#[test]
fn a_container_of_either_version_is_read_whole() {
    assert_eq!(read(&version_2(&VERSION_2)), expected_2());
    assert_eq!(read(&version_1(&VERSION_1)), expected_1());
}

#[test]
fn a_hybrid_layout_adds_pressure_to_version_1() {
    let tree = version_1(&VERSION_1);
    let mounts = fs::read_to_string(tree.path("proc/self/mountinfo")).unwrap();
    tree.file("proc/self/mountinfo", format!("{mounts}9 8 0:9 / /sys/fs/cgroup/unified ro - cgroup2 cgroup rw\n"));
    let without_controllers =
        |name: &str| name.starts_with("cgroup.") || name.ends_with(".pressure") || name == "cpu.stat";
    tree.files("sys/fs/cgroup/unified/pod/app", VERSION_2.iter().filter(|(name, _)| without_controllers(name)));
    assert_eq!(read(&tree), Resources { pressure: expected_2().pressure, ..expected_1() });
}

#[test]
fn no_limit_is_not_a_huge_number() {
    let unlimited = |expected| Resources {
        cpu_limit_millicores: Some(Limit::Unlimited),
        memory_limit_bytes: Some(Limit::Unlimited),
        ..expected
    };
    let tree = with(with(version_2(&VERSION_2), "cpu.max", "max 100000\n"), "memory.max", "max\n");
    assert_eq!(read(&tree), unlimited(expected_2()));
    let tree = with(version_1(&VERSION_1), "cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
    assert_eq!(read(&with(tree, "memory/memory.limit_in_bytes", "9223372036854771712\n")), unlimited(expected_1()));
}

/// The figures by path, such as `/pressure/cpu/some_us`.
fn by_path(figures: &serde_json::Value, path: &str) -> Vec<(String, serde_json::Value)> {
    match figures {
        serde_json::Value::Object(fields) => {
            fields.iter().flat_map(|(name, field)| by_path(field, &format!("{path}/{name}"))).collect()
        }
        figure => vec![(path.to_owned(), figure.clone())],
    }
}

#[test]
fn a_file_that_is_missing_or_broken_makes_its_own_figures_unknown_and_no_others() {
    const READ: [&str; 19] = [
        // The root of version 2 lacks it, and is not a container.
        "cgroup.events",
        "cpu.stat",
        "cpu.max",
        "cpu.pressure",
        "memory.pressure",
        "io.pressure",
        "memory.current",
        "memory.max",
        "memory.stat",
        "memory.events",
        "io.stat",
        "cpu.cfs_quota_us",
        "cpu.cfs_period_us",
        "cpuacct.usage",
        "cpuacct.stat",
        "memory.usage_in_bytes",
        "memory.limit_in_bytes",
        "memory.failcnt",
        "memory.oom_control",
    ];
    type Container = fn(&[(&str, &str)]) -> TestTree;
    let versions: [(&[_], Resources, Container); 2] =
        [(&VERSION_2, expected_2(), version_2), (&VERSION_1, expected_1(), version_1)];
    for (files, expected, container) in versions {
        let known = by_path(&serde_json::to_value(&expected).unwrap(), "");
        for (broken, _) in files {
            for content in [None, Some("x"), Some("\u{0} \n"), Some("x x x\n- -\n:\n")] {
                let others = files.iter().copied().filter(|(name, _)| name != broken);
                let files: Vec<_> = others.chain(content.map(|content| (*broken, content))).collect();
                let actual = read(&container(&files));
                let about = format!("{broken} {content:?}: {actual:?}");
                let figures = by_path(&serde_json::to_value(&actual).unwrap(), "");
                assert!(figures.iter().all(|figure| known.contains(figure)), "{about}");
                let is_read = READ.iter().any(|name| broken.rsplit('/').next() == Some(name));
                let is_kept = figures.len() == known.len();
                match *broken {
                    // Only its presence counts.
                    "cgroup.events" => assert_eq!(is_kept, content.is_some(), "{about}"),
                    // Without the first of these the second is read, which in a container has the same figures.
                    "blkio/blkio.throttle.io_service_bytes_recursive" => {
                        assert_eq!(is_kept, content.is_none(), "{about}");
                    }
                    "memory/memory.stat" => assert!(!is_kept, "{about}"),
                    _ => assert_eq!(is_kept, !is_read, "{about}"),
                }
            }
        }
    }
}

#[test]
fn a_figure_that_is_not_a_number_is_unknown_beside_others() {
    let tree = with(version_2(&VERSION_2), "cpu.stat", "usage_usec many\nuser_usec 2000\nnr_throttled -1\n");
    let cpu = read(&tree);
    assert_eq!((cpu.cpu_usage_us, cpu.cpu_user_us, cpu.cpu_throttled_periods), (None, Some(2_000), None));
    let tree = with(version_2(&VERSION_2), "io.stat", "8:0 rbytes=1 wbytes=x\n8:1 rbytes=2 wbytes=3\n");
    assert_eq!((read(&tree).disk_read_bytes, read(&tree).disk_written_bytes), (Some(3), None));
}

#[test]
fn without_the_cpu_controller_throttling_and_limit_are_unknown() {
    let files: Vec<_> = VERSION_2.into_iter().filter(|(name, _)| *name != "cpu.max").collect();
    let tree = with(version_2(&files), "cpu.stat", "usage_usec 3000\nuser_usec 2000\nsystem_usec 1000\n");
    let expected = Resources {
        cpu_limit_millicores: None,
        cpu_periods: None,
        cpu_throttled_periods: None,
        cpu_throttled_us: None,
        ..expected_2()
    };
    assert_eq!(read(&tree), expected);
}

#[test]
fn older_and_odd_forms_are_read_too() {
    let stat = "inactive_file 6000\nworkingset_refault 30\n";
    let memory = read(&with(version_2(&VERSION_2), "memory.stat", stat));
    assert_eq!(
        (memory.memory_refaults, memory.memory_bytes),
        (Some(30), Some(0)),
        "before Linux 5.9, a cache above the whole"
    );
    assert_eq!(
        read(&with(version_2(&VERSION_2), "io.stat", "")).disk_written_bytes,
        Some(0),
        "nothing was written yet"
    );
    for (max, limit) in [("50000 0\n", None), ("99999999999999999999 1\n", None), ("5000 50000", Some(Limit::At(100)))]
    {
        assert_eq!(read(&with(version_2(&VERSION_2), "cpu.max", max)).cpu_limit_millicores, limit, "{max:?}");
    }
    let tree = with(version_1(&VERSION_1), "blkio/blkio.throttle.io_service_bytes_recursive", "Total 0\n");
    assert_eq!(read(&tree).disk_written_bytes, None, "the kernel counts nothing, or there was nothing to count");
}

#[test]
fn where_nothing_can_be_read_nothing_is_known() {
    assert_eq!(read(&TestTree::new("nothing")), Resources::default());
    assert_eq!(serde_json::to_string(&Resources::default()).unwrap(), "{}");
}

#[test]
fn counters_that_run_backwards_are_reported_as_they_are() {
    let tree = version_2(&VERSION_2);
    let mut reader = Reader::own_under(&tree.path(""));
    reader.read();
    tree.file("sys/fs/cgroup/cpu.stat", "usage_usec 5\n");
    assert_eq!(reader.read().cpu_usage_us, Some(5));
}

#[test]
fn a_group_that_appears_later_is_found() {
    let tree = container("0::/\n", "", &VERSION_2);
    let mut reader = Reader::own_under(&tree.path(""));
    assert_eq!(reader.read(), Resources::default());
    tree.file("proc/self/mountinfo", "40 30 0:29 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
    assert_eq!(reader.read(), expected_2());
}

#[test]
fn a_neighbour_is_read_through_its_own_root() {
    let tree = TestTree::new("pod");
    tree.file("31/cgroup", "0::/../app.scope\n");
    tree.file("31/mountinfo", "40 30 0:29 /../app.scope /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
    tree.files("31/root/sys/fs/cgroup", &VERSION_2);
    assert_eq!(Reader::neighbour(&tree.path(""), 31).read(), expected_2());
    assert_eq!(Reader::neighbour(&tree.path(""), 32).read(), Resources::default());
}

#[test]
fn this_machine_shows_what_every_linux_does() {
    let resources = Reader::own().read();
    let (node, processes) = (resources.node.unwrap(), resources.processes.unwrap());
    let cpus = std::thread::available_parallelism().unwrap().get() as u64;
    assert!(node.cpus.unwrap() >= cpus, "{node:?}");
    assert_eq!(node.boot_id.as_deref().map(str::len), Some(36), "{node:?}");
    assert!(node.cpu_total_us.unwrap() > node.cpu_idle_us.unwrap(), "{node:?}");
    assert!(processes.running_us.unwrap() > 0 && processes.disk_written_bytes.is_some(), "{processes:?}");
    assert!(resources.network.unwrap().tcp_sent_segments.is_some());
}

#[test]
fn a_reading_costs_little_of_a_second() {
    const READINGS: u32 = 200;
    let mut reader = Reader::own();
    // The CPU time of this thread: tests share the machine.
    let cpu = || {
        fs::read_to_string("/proc/thread-self/schedstat").unwrap().split(' ').next().unwrap().parse::<u64>().unwrap()
    };
    reader.read();
    let before = cpu();
    for _ in 0..READINGS {
        reader.read();
    }
    let us = (cpu() - before) / 1_000 / u64::from(READINGS);
    println!("{us} µs a reading");
    assert!(us < 5_000, "{us} µs a reading, each second, is too much beside a limit of 2 % of a CPU");
}
