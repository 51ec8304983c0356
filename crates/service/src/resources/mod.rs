//! What a container, its processes, its pod's network and its node used: the same figures for our own programs and for
//! the servers that a probe watches.
//!
//! Every figure is optional: what can't be read is unknown, which is not 0. Where the kernel has counters these are
//! cumulative, so that a reader takes the difference of two reports. A difference below zero means that the container or
//! the node restarted in between.
//!
//! The parsers are our own. The crate `procfs` gives up on a whole file when one field of it is missing, and panics on
//! a pressure line that is cut off.

mod cgroup;
mod disk;
mod groups;
mod limit;
mod network;
mod node;
mod pressure;
mod process;
mod stat;
#[cfg(test)]
mod tests;
mod text;
#[cfg(test)]
mod tree;

use std::path::{Path, PathBuf};

pub use disk::{Device, device_of};
pub use limit::Limit;
pub use network::Network;
pub use node::Node;
pub use pressure::{Pressure, Stalled};
pub use process::Processes;
pub use stat::{Identity, identity};

use crate::resources::groups::Groups;
use crate::resources::process::Tree;
use crate::resources::text::Files;

/// Defines a struct whose fields are all optional, and absent from the report if unknown.
macro_rules! figures {
    ($(#[$about:meta])* $name:ident { $($(#[$field_about:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct $name {
            $($(#[$field_about])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$type>,)*
        }
    };
}
use figures;

figures! {
    /// What a container used of its limits, from its control group, and what surrounds it. Counts and times only grow.
    Resources {
        /// CPU time used, in microseconds.
        cpu_usage_us: u64,
        /// The part of it spent in the programs.
        cpu_user_us: u64,
        /// The part of it spent in the kernel.
        cpu_system_us: u64,
        /// CPU limit in thousandths of a CPU.
        #[serde(deserialize_with = "Limit::present")]
        cpu_limit_millicores: Limit,
        /// Periods (of 100 ms, as a rule) in which the limit was enforced.
        cpu_periods: u64,
        /// Periods in which the limit was hit.
        cpu_throttled_periods: u64,
        /// Time that the container was kept waiting by its limit, in microseconds, summed over CPUs.
        cpu_throttled_us: u64,
        /// Working set: memory that can't be given back without pain, as Kubernetes counts it.
        memory_bytes: u64,
        /// All memory charged to the container, page cache included.
        memory_usage_bytes: u64,
        /// Memory limit.
        #[serde(deserialize_with = "Limit::present")]
        memory_limit_bytes: Limit,
        /// Page cache that must still be written to disk. A gauge.
        memory_dirty_bytes: u64,
        /// Page cache that is being written to disk. A gauge.
        memory_writeback_bytes: u64,
        /// Pages that were looked at to reclaim them. Only version 2 counts them.
        memory_scanned_pages: u64,
        /// Pages that were reclaimed. Only version 2 counts them.
        memory_reclaimed_pages: u64,
        /// Page faults that had to read from disk.
        memory_major_faults: u64,
        /// Pages that were read again soon after they had been reclaimed.
        memory_refaults: u64,
        /// How often the limit was reached and memory had to be reclaimed.
        memory_limit_hits: u64,
        /// How often an allocation was about to fail at the limit. Only version 2 counts them.
        memory_oom_events: u64,
        /// Processes that were killed for lack of memory.
        memory_oom_kills: u64,
        /// Bytes read from block devices. A device that is stacked on another, as LVM does, counts once for each.
        disk_read_bytes: u64,
        /// Bytes written to block devices; with version 1 without those that the kernel writes back later, and unknown where no
        /// limit was ever set for a device: [`Processes::disk_written_bytes`] is known there.
        disk_written_bytes: u64,
        /// Pressure on the container alone. Only version 2 has it.
        pressure: Pressure,
        /// What its processes used, from `/proc`.
        processes: Processes,
        /// The network of the pod.
        network: Network,
        /// The node.
        node: Node,
    }
}

/// Reads the resources of one process and its container, time and again: some figures are sums over what it saw earlier.
#[derive(Debug)]
pub struct Reader {
    /// `/proc`.
    proc_dir: PathBuf,
    /// The directory of the process in it.
    process: PathBuf,
    /// The root of its file system.
    root: PathBuf,
    /// Whether network and node are read as well.
    is_own: bool,
    groups: Option<Groups>,
    tree: Tree,
    files: Files,
}

impl Reader {
    /// Reads this process, its pod's network and its node.
    pub fn own() -> Self {
        Self::own_under(Path::new("/"))
    }

    fn own_under(root: &Path) -> Self {
        let proc_dir = root.join("proc");
        let process = proc_dir.join("self");
        Self::new(proc_dir, process.clone(), root.to_owned(), Tree::of_one(process), true)
    }

    /// Reads another process of the pod and its descendants. It takes that process's user *and* group. Network and node
    /// are the same as one's own, so they are left out.
    pub fn neighbour(proc_dir: &Path, pid: u32) -> Self {
        let process = proc_dir.join(pid.to_string());
        let root = process.join("root");
        Self::new(proc_dir.to_owned(), process, root, Tree::of_descendants(proc_dir.to_owned(), pid), false)
    }

    fn new(proc_dir: PathBuf, process: PathBuf, root: PathBuf, tree: Tree, is_own: bool) -> Self {
        Self { proc_dir, process, root, is_own, groups: None, tree, files: Files::default() }
    }

    /// Reads all figures as they are now.
    pub fn read(&mut self) -> Resources {
        let mut resources = self.read_groups();
        let files = &mut self.files;
        resources.processes = known(self.tree.read(files));
        if self.is_own {
            resources.network = known(network::read(&self.process, files));
            resources.node = known(node::read(&self.proc_dir, files));
        }
        resources
    }

    /// Reads only the figures of the control groups, which takes less time.
    pub fn read_groups(&mut self) -> Resources {
        let files = &mut self.files;
        let groups = self.groups.take().unwrap_or_else(|| Groups::locate(&self.process, &self.root, files));
        let resources = cgroup::read(&groups, files);
        // A process that is being started may not be in its final group yet.
        self.groups = (resources != Resources::default()).then_some(groups);
        resources
    }
}

/// A group of figures of which none is known is unknown itself.
fn known<T: Default + PartialEq>(figures: T) -> Option<T> {
    (figures != T::default()).then_some(figures)
}
