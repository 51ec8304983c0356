//! What went through the network of a pod.

use std::path::Path;

use super::figures;
use super::text::{Files, sum};

figures! {
    /// The network of a pod, its loopback left out of the bytes.
    Network {
        /// Bytes received.
        received_bytes: u64,
        /// Bytes sent.
        sent_bytes: u64,
        /// TCP segments sent, without those sent again.
        tcp_sent_segments: u64,
        /// TCP segments that had to be sent again.
        tcp_retransmitted_segments: u64,
    }
}

/// Reads the network that a process sees.
pub(super) fn read(process: &Path, files: &mut Files) -> Network {
    let (received_bytes, sent_bytes) = interfaces(files.text(&process.join("net/dev")));
    let snmp = files.text(&process.join("net/snmp")).unwrap_or_default();
    Network {
        received_bytes,
        sent_bytes,
        tcp_sent_segments: tcp(snmp, "OutSegs"),
        tcp_retransmitted_segments: tcp(snmp, "RetransSegs"),
    }
}

/// Two lines of headings, then a line an interface: `eth0: 1 2 …`, sometimes without the space.
fn interfaces(text: Option<&str>) -> (Option<u64>, Option<u64>) {
    let Some(text) = text.filter(|text| text.starts_with("Inter-|")) else { return (None, None) };
    let interfaces =
        || text.lines().skip(2).filter_map(|line| line.split_once(':')).filter(|(name, _)| name.trim() != "lo");
    let column = |n| sum(interfaces().map(|(_, values)| values.split_whitespace().nth(n)?.parse().ok()));
    (column(RECEIVED_BYTES), column(SENT_BYTES))
}

const RECEIVED_BYTES: usize = 0;
const SENT_BYTES: usize = 8;

/// A line of names and a line of values.
fn tcp(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp:"));
    let column = lines.next()?.split_whitespace().position(|heading| heading == name)?;
    lines.next()?.split_whitespace().nth(column)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::tree::TestTree;

    const HEADINGS: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
";
    const SNMP: &str = "\
Ip: Forwarding DefaultTTL
Ip: 1 64
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors
Tcp: 1 200 120000 -1 3 4 5 6 7 800 900 11 0 1 0
Udp: InDatagrams NoPorts
Udp: 2 0
";

    fn read_from(dev: &str, snmp: &str) -> Network {
        let tree = TestTree::new("network");
        tree.file("net/dev", dev);
        tree.file("net/snmp", snmp);
        read(&tree.path(""), &mut Files::default())
    }

    #[test]
    fn interfaces_are_added_up_without_the_loopback() {
        let dev = format!(
            "{HEADINGS}    lo: 100 1 0 0 0 0 0 0 100 1 0 0 0 0 0 0\n  eth0:2000 5 0 0 0 0 0 0 300 4 0 0 0 0 0 0\n\
             eth0.7: 10 5 0 0 0 0 0 0 20 4 0 0 0 0 0 0\n"
        );
        let expected = Network {
            received_bytes: Some(2_010),
            sent_bytes: Some(320),
            tcp_sent_segments: Some(900),
            tcp_retransmitted_segments: Some(11),
        };
        assert_eq!(read_from(&dev, SNMP), expected);
    }

    #[test]
    fn a_pod_without_an_interface_has_sent_nothing_which_is_known() {
        assert_eq!(read_from(HEADINGS, "").sent_bytes, Some(0));
    }

    #[test]
    fn what_has_another_form_is_unknown() {
        for dev in ["", "eth0: 1 2 3", &format!("{HEADINGS}eth0: x 5 0 0 0 0 0 0"), &format!("{HEADINGS}eth0: \n")] {
            assert_eq!(read_from(dev, "").sent_bytes, None, "{dev:?}");
        }
        for snmp in ["", "Tcp: OutSegs", "Tcp: OutSegs\nTcp:\n", "Tcp: OutSegs\nTcp: x\n", "Tcp: Other\nTcp: 1\n"] {
            assert_eq!(read_from("", snmp), Network::default(), "{snmp:?}");
        }
    }
}
