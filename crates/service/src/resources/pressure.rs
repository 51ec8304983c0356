//! Time lost for want of CPU, memory or a disk: `/proc/pressure` of a node, `*.pressure` of a control group.

use std::path::Path;

use super::figures;
use super::known;
use super::text::Files;

figures! {
    /// Time lost by resource.
    Pressure {
        /// For want of CPU.
        cpu: Stalled,
        /// For want of memory.
        memory: Stalled,
        /// Waiting for block devices.
        io: Stalled,
    }
}

figures! {
    /// How long tasks were kept from working, in microseconds of wall time.
    Stalled {
        /// At least one was.
        some_us: u64,
        /// All of them were at once. For the CPU of a whole node it is always 0, and kernels before 5.13 lack it.
        full_us: u64,
    }
}

/// Reads the three files that `path` names by resource. Where the kernel has no pressure, or was booted without, they
/// are absent or refuse to be read.
pub(super) fn read(mut path: impl FnMut(&str) -> std::path::PathBuf, files: &mut Files) -> Option<Pressure> {
    let [cpu, memory, io] = ["cpu", "memory", "io"].map(|resource| known(stalled(&path(resource), files)));
    known(Pressure { cpu, memory, io })
}

fn stalled(path: &Path, files: &mut Files) -> Stalled {
    let text = files.text(path).unwrap_or_default();
    Stalled { some_us: total(text, "some "), full_us: total(text, "full ") }
}

fn total(text: &str, kind: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(kind))?;
    line.split_whitespace().find_map(|field| field.strip_prefix("total="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::tree::TestTree;

    const SOME: &str = "some avg10=1.00 avg60=0.50 avg300=0.10 total=12345\n";
    const FULL: &str = "full avg10=0.00 avg60=0.00 avg300=0.00 total=678\n";

    fn read_from(cpu: &str) -> Option<Pressure> {
        let tree = TestTree::new("pressure");
        tree.file("cpu", cpu);
        read(|resource| tree.path(resource), &mut Files::default())
    }

    #[test]
    fn totals_are_read_and_what_is_absent_is_unknown() {
        let stalled =
            |some_us, full_us| Some(Pressure { cpu: Some(Stalled { some_us, full_us }), ..Pressure::default() });
        assert_eq!(read_from(&format!("{SOME}{FULL}")), stalled(Some(12_345), Some(678)));
        assert_eq!(read_from(SOME), stalled(Some(12_345), None), "before Linux 5.13");
        assert_eq!(read_from(FULL), stalled(None, Some(678)));
        assert_eq!(read_from("some avg10=0.00 total=7 later=1"), stalled(Some(7), None));
    }

    #[test]
    fn a_file_that_is_cut_off_is_unknown() {
        for text in ["", "some", "some ", "some avg10=1.00", "some total=", "some total=x\n", "something total=5\n"] {
            assert_eq!(read_from(text), None, "{text:?}");
        }
    }
}
