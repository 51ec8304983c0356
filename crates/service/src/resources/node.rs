//! The whole node, as every container sees it.

use std::collections::BTreeMap;
use std::path::Path;

use super::disk::{self, Device};
use super::figures;
use super::pressure::{self, Pressure};
use super::text::{Files, sum};

/// Length of a tick of `/proc/stat` and `/proc/PID/stat` in microseconds. It is 1/100 s on all architectures that
/// Kubernetes supports, whatever the kernel's own is.
pub(super) const TICK_US: u64 = 10_000;

figures! {
    /// The node's CPUs, pressure and disks, from the start of the node.
    Node {
        /// Which start of which machine's kernel this is. Nodes that have the same one share all that is below.
        boot_id: String,
        /// How many CPUs it has.
        cpus: u64,
        /// Time of all its CPUs together, in microseconds.
        cpu_total_us: u64,
        /// Time in which they had nothing to do. The kernel doesn't promise that it never decreases.
        cpu_idle_us: u64,
        /// Time in which they had nothing to do but to wait for a disk. Unreliable, and may decrease.
        cpu_iowait_us: u64,
        /// Time that the machine below took from them.
        cpu_steal_us: u64,
        /// Pressure on the node.
        pressure: Pressure,
        /// The busiest block devices, by name.
        disks: BTreeMap<String, Device>,
    }
}

/// Reads the node's figures.
pub(super) fn read(proc_dir: &Path, files: &mut Files) -> Node {
    let boot_id = files.text(&proc_dir.join("sys/kernel/random/boot_id")).map(|text| text.trim().to_owned());
    let stat = files.text(&proc_dir.join("stat")).unwrap_or_default();
    let all = stat.lines().find_map(|line| line.strip_prefix("cpu "));
    let column = |n| Some(all?.split_ascii_whitespace().nth(n)?.parse::<u64>().ok()?.saturating_mul(TICK_US));
    let cpus = stat.lines().filter(|line| is_cpu(line)).count() as u64;
    let mut node = Node {
        boot_id: boot_id.filter(|id| !id.is_empty()),
        cpus: (cpus > 0).then_some(cpus),
        // What guests used is contained in user time.
        cpu_total_us: sum((USER..=STEAL).map(column)),
        cpu_idle_us: column(IDLE),
        cpu_iowait_us: column(IOWAIT),
        cpu_steal_us: column(STEAL),
        ..Node::default()
    };
    node.pressure = pressure::read(|resource| proc_dir.join("pressure").join(resource), files);
    node.disks = disk::read(proc_dir, files);
    node
}

/// Columns of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal.
const USER: usize = 0;
const IDLE: usize = 3;
const IOWAIT: usize = 4;
const STEAL: usize = 7;

fn is_cpu(line: &str) -> bool {
    line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::tree::TestTree;

    fn read_from(stat: &str) -> Node {
        let tree = TestTree::new("node");
        tree.file("stat", stat);
        read(&tree.path(""), &mut Files::default())
    }

    #[test]
    fn the_nodes_cpu_time_is_told_apart() {
        let node =
            read_from("cpu  1 2 3 40 5 6 7 8 100 100\ncpu0 0 0 0 0\ncpu1 0 0 0 0\ncpufreq 1\nintr 5 1\nbtime 1\n");
        let expected = Node {
            cpus: Some(2),
            cpu_total_us: Some(720_000),
            cpu_idle_us: Some(400_000),
            cpu_iowait_us: Some(50_000),
            cpu_steal_us: Some(80_000),
            ..Node::default()
        };
        assert_eq!(node, expected);
    }

    #[test]
    fn nodes_of_one_machine_have_the_same_boot_id() {
        let tree = TestTree::new("boot-id");
        tree.file("sys/kernel/random/boot_id", "0d3fc168-f0cc-43ab-8b25-15d77201dae0\n");
        let node = read(&tree.path(""), &mut Files::default());
        assert_eq!(node.boot_id.as_deref(), Some("0d3fc168-f0cc-43ab-8b25-15d77201dae0"));
    }

    #[test]
    fn a_kernel_without_steal_has_it_unknown_and_so_the_total() {
        let node = read_from("cpu  1 2 3 40\n");
        assert_eq!((node.cpu_idle_us, node.cpu_steal_us, node.cpu_total_us), (Some(400_000), None, None));
    }

    #[test]
    fn what_has_another_form_is_unknown() {
        for stat in ["", "cpu", "cpu x y z\n", "cpu0 1 2 3 4 5 6 7 8\n", "cpus 1 2 3 4 5 6 7 8\n"] {
            assert_eq!(Node { cpus: None, ..read_from(stat) }, Node::default(), "{stat:?}");
        }
    }
}
