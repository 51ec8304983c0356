"""What is done to a cluster, and undone."""

import os
import pathlib
import tempfile
import unittest
from unittest import mock

import sample  # noqa: F401

import disturbances
import release


class Disturbances(unittest.TestCase):
    def calls(self, disturb, answers=lambda words: ""):
        """The commands of a disturbance, and those of its end."""
        ran = []

        def command(*words, check=True, seconds=0, given=None):
            ran.append(" ".join(words))
            return mock.Mock(returncode=0, stdout=answers(words), stderr="")

        with mock.patch.object(disturbances, "command", command), mock.patch.object(disturbances, "kubectl", command):
            with disturb(None) as disturbed:
                begun = len(ran)
        return disturbed.node, ran[:begun], ran[begun:]

    def test_a_slow_link_is_slow_in_both_directions_and_then_as_before(self):
        node, begun, ended = self.calls(disturbances.slow_link("4mbit"))
        self.assertEqual(node, "node-3")
        self.assertEqual(begun, [
            "ci/cluster/node node-3 enter tc qdisc replace dev eth0 root tbf rate 4mbit burst 32kb latency 400ms",
            f"nsenter --net=/run/netns/{release.CLUSTER}-switch tc qdisc replace dev node-3 root tbf rate 4mbit burst 32kb latency 400ms",
        ])  # fmt: skip
        self.assertEqual([line.partition("tc ")[2] for line in ended], ["qdisc delete dev eth0 root", "qdisc delete dev node-3 root"])

    def test_a_link_that_cannot_be_slowed_down_is_said(self):
        refused = mock.Mock(returncode=2, stderr="Error: Specified qdisc kind is unknown.")
        with mock.patch.object(disturbances, "command", lambda *words, **more: refused):
            with self.assertRaisesRegex(release.Unavailable, "can't slow a link down with tc tbf: Error"):
                with disturbances.slow_link("4mbit")(None):
                    self.fail("it went on")

    def test_a_disk_that_cannot_be_slowed_down_is_said(self):
        with mock.patch.object(disturbances, "BLKIO", pathlib.Path("/nowhere")):
            with self.assertRaisesRegex(release.Unavailable, "can't slow a disk down: there is no /nowhere"):
                with disturbances.slow_disk(1)(None):
                    self.fail("it went on")

    def test_all_processes_of_the_pod_are_moved_to_the_slow_group(self):
        with tempfile.TemporaryDirectory() as folder:
            blkio = pathlib.Path(folder)
            group, pod = blkio / release.CLUSTER / "slow", blkio / release.CLUSTER / "node-2/kubepods/burstable/podu1/c1"
            for each in (group, pod):
                each.mkdir(parents=True)
                (each / "cgroup.procs").write_text("")
            (pod / "cgroup.procs").write_text("7\n8\n")
            moved = []

            def write(path, pid):
                moved.append((path, pid))
                (pod / "cgroup.procs").open("w").close()

            with mock.patch.object(disturbances, "BLKIO", blkio), mock.patch.object(pathlib.Path, "write_text", write):
                disturbances.gather("u1", group)
                with self.assertRaisesRegex(release.Unavailable, "the pod has no group"):
                    disturbances.gather("u2", group)
            self.assertEqual(moved, [(group / "cgroup.procs", "7"), (group / "cgroup.procs", "8")])

    def test_a_partition_is_slowed_down_by_its_whole_disk(self):
        with tempfile.TemporaryDirectory() as folder:
            devices, disk = pathlib.Path(folder) / "block", pathlib.Path(folder) / "vda"
            (disk / "vda1").mkdir(parents=True)
            devices.mkdir()
            (disk / "dev").write_text("254:0\n")
            (disk / "vda1" / "partition").write_text("1\n")
            number = pathlib.Path(folder).stat().st_dev
            name = f"{os.major(number)}:{os.minor(number)}"
            (devices / name).symlink_to(disk / "vda1")
            self.assertEqual(disturbances.whole_disk(folder, devices), "254:0")
            (disk / "vda1" / "partition").unlink()
            self.assertEqual(disturbances.whole_disk(folder, devices), name)
            (devices / name).unlink()
            with self.assertRaisesRegex(release.Unavailable, "not on a block device"):
                disturbances.whole_disk(folder, devices)

    def test_redis_is_filled_but_for_a_little(self):
        infos = iter([f"used_memory:{50 << 20}\r\nmaxmemory:{153 << 20}\r\n", f"used_memory:{149 << 20}\r\nmaxmemory:{153 << 20}\r\n"])
        node, begun, _ = self.calls(disturbances.full_redis(4), lambda words: next(infos) if "INFO" in words[-1] else "")
        self.assertIsNone(node)
        self.assertTrue(begun[1].endswith(" 0 99"), begun[1])

    def test_the_neighbour_burns_as_much_as_it_is_told(self):
        pod = disturbances.burning(2)
        (container,) = pod["spec"]["containers"]
        self.assertRegex(container["image"], r"^localhost/cluster/shell:v\d")
        self.assertEqual((container["command"][-1].count("while"), container["resources"]["limits"]["cpu"]), (2, "2"))
