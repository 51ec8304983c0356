//! Block devices of the node: `/proc/diskstats`, which every container can read.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;

use super::figures;
use super::text::Files;

/// Devices in a report: a node that serves network volumes has hundreds.
const MOST: usize = 8;
/// A sector of `/proc/diskstats`, whatever the device's own are.
const SECTOR_BYTES: u64 = 512;

figures! {
    /// What a block device did since the node started. A partition or a volume counts again in the device below it.
    Device {
        /// Reads completed.
        reads: u64,
        /// Bytes read.
        read_bytes: u64,
        /// Time that reads took, in microseconds, summed over them.
        read_us: u64,
        /// Writes completed.
        writes: u64,
        /// Bytes written.
        written_bytes: u64,
        /// Time that writes took, in microseconds, summed over them.
        write_us: u64,
        /// Flushes completed, since Linux 5.5.
        flushes: u64,
        /// Time that flushes took, in microseconds, summed over them.
        flush_us: u64,
        /// Time in which anything was under way: a limit only for a device that does one thing at a time.
        busy_us: u64,
    }
}

/// Reads the busiest devices by name.
pub(super) fn read(proc_dir: &Path, files: &mut Files) -> Option<BTreeMap<String, Device>> {
    let text = files.text(&proc_dir.join("diskstats"))?;
    let mut devices: Vec<_> = text.lines().filter_map(Line::parse).filter(Line::has_worked).collect();
    devices.sort_by_key(|line| Reverse((line.column(BUSY_MS), line.column(WRITTEN_SECTORS))));
    Some(devices.iter().take(MOST).map(|line| (line.name.to_owned(), line.device())).collect())
}

/// The name of the device with a number (`st_dev` of a file on it, split into its parts), as [`Node::disks`] has it.
///
/// None where the files are on no block device of the node: overlay, tmpfs, a network share.
///
/// [`Node::disks`]: crate::Node::disks
pub fn device_of(proc_dir: &Path, major: u32, minor: u32) -> Option<String> {
    let mut files = Files::default();
    let text = files.text(&proc_dir.join("diskstats"))?;
    let mut lines = text.lines().filter_map(Line::parse);
    lines.find(|line| line.number == (major, minor)).map(|line| line.name.to_owned())
}

/// Columns after the name, as the kernel's `iostats.rst` numbers them, from 0.
const READS: usize = 0;
const READ_SECTORS: usize = 2;
const READ_MS: usize = 3;
const WRITES: usize = 4;
const WRITTEN_SECTORS: usize = 6;
const WRITE_MS: usize = 7;
const BUSY_MS: usize = 9;
const FLUSHES: usize = 15;
const FLUSH_MS: usize = 16;

struct Line<'a> {
    number: (u32, u32),
    name: &'a str,
    columns: &'a str,
}

impl<'a> Line<'a> {
    /// `254 0 vda 1 2 …`, indented.
    fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let number = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let name = words.next()?;
        let end = name.as_ptr() as usize - line.as_ptr() as usize + name.len();
        Some(Self { number, name, columns: &line[end..] })
    }

    fn column(&self, n: usize) -> Option<u64> {
        self.columns.split_ascii_whitespace().nth(n)?.parse().ok()
    }

    /// Most nodes have loop devices that nobody uses.
    fn has_worked(&self) -> bool {
        [READS, WRITES].iter().any(|n| self.column(*n).is_some_and(|count| count > 0))
    }

    fn device(&self) -> Device {
        let bytes = |n| Some(self.column(n)?.saturating_mul(SECTOR_BYTES));
        let us = |n| Some(self.column(n)?.saturating_mul(1_000));
        Device {
            reads: self.column(READS),
            read_bytes: bytes(READ_SECTORS),
            read_us: us(READ_MS),
            writes: self.column(WRITES),
            written_bytes: bytes(WRITTEN_SECTORS),
            write_us: us(WRITE_MS),
            flushes: self.column(FLUSHES),
            flush_us: us(FLUSH_MS),
            busy_us: us(BUSY_MS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::tree::TestTree;

    const DISKSTATS: &str = "   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n \
        254       0 vda 10 1 20 30 40 2 60 70 0 90 100 1 0 8 3 5 6\n \
        259       1 nvme0n1p1 1 0 8 2 3 0 16 4 0 5 6\n";

    fn node(diskstats: &str) -> TestTree {
        let tree = TestTree::new("disk");
        tree.file("diskstats", diskstats);
        tree
    }

    fn read_from(diskstats: &str) -> Option<BTreeMap<String, Device>> {
        read(&node(diskstats).path(""), &mut Files::default())
    }

    #[test]
    fn devices_that_worked_are_read_in_bytes_and_microseconds() {
        let devices = read_from(DISKSTATS).unwrap();
        assert_eq!(devices.keys().collect::<Vec<_>>(), ["nvme0n1p1", "vda"]);
        let expected = Device {
            reads: Some(10),
            read_bytes: Some(10_240),
            read_us: Some(30_000),
            writes: Some(40),
            written_bytes: Some(30_720),
            write_us: Some(70_000),
            flushes: Some(5),
            flush_us: Some(6_000),
            busy_us: Some(90_000),
        };
        assert_eq!(devices["vda"], expected);
        assert_eq!(devices["nvme0n1p1"].flushes, None, "before Linux 5.5");
    }

    #[test]
    fn the_device_below_some_data_is_found_by_its_number() {
        let tree = node(DISKSTATS);
        assert_eq!(device_of(&tree.path(""), 259, 1).as_deref(), Some("nvme0n1p1"));
        assert_eq!(device_of(&tree.path(""), 0, 45), None, "an overlay has no device");
    }

    #[test]
    fn a_broken_line_spoils_no_other() {
        let devices = read_from(&format!("x\n1 0\n8 0 sda\n8 1 sda1 1 0 x 3 4\n{DISKSTATS}")).unwrap();
        assert_eq!(devices.len(), 3);
        assert_eq!((devices["sda1"].reads, devices["sda1"].read_bytes, devices["sda1"].busy_us), (Some(1), None, None));
    }

    #[test]
    fn the_busiest_are_kept_of_many() {
        let many: Vec<_> = (0..300).map(|n| format!("8 {n} sd{n} 1 0 8 1 1 0 8 1 0 {n} 1\n")).collect();
        let devices = read_from(&many.concat()).unwrap();
        assert_eq!(devices.len(), MOST);
        assert!(devices.contains_key("sd299") && devices.contains_key("sd292"), "{devices:?}");
    }

    #[test]
    fn a_node_that_hides_its_devices_leaves_them_unknown() {
        assert_eq!(read(&TestTree::new("no-disks").path(""), &mut Files::default()), None);
        assert_eq!(read_from(""), Some(BTreeMap::new()));
    }
}
