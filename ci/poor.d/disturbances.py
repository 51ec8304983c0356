"""What makes a cluster poor without a value of the chart. Each function returns what a degree has: from the release to a context
manager, which yields what a session must know of it.
"""

import contextlib
import json
import os
import pathlib
import re
import shlex
from typing import Callable, NamedTuple

from release import CLUSTER, NODES, ROOT, Unavailable, command, kubectl, say

BLKIO = pathlib.Path("/sys/fs/cgroup/blkio")
# Not the node of the control plane, which must stay reachable.
NODE = f"node-{NODES}"
# A bucket of a tenth of a second at the slowest rate; what is queued for longer than the latency is dropped.
BURST, LATENCY = "32kb", "400ms"
NEIGHBOUR = "neighbour"
# The sum of our own pods' requests on a node.
NEIGHBOUR_REQUEST = "90m"
# The cluster's own image: it is on every node, and has a shell.
VERSION = re.search(r"^KUBERNETES=(\S+)", (ROOT / "ci" / "cluster" / "cluster.sh").read_text(), re.MULTILINE)[1]
SHELL = f"localhost/cluster/shell:{VERSION}"
RULE = "blkio.throttle.write_bps_device"


class Disturbed(NamedTuple):
    # The node that is disturbed, and must be named.
    node: str | None = None
    # Called before each run, for what does not outlive a restart of the pod that it is done to.
    renew: Callable = lambda: None


def qdisc(action, device, *shape):
    return ["tc", "qdisc", action, "dev", device, "root", *shape]


def slow_link(rate):
    """The link of a node at this rate in both directions: what it sends, and what the switch sends to it."""

    @contextlib.contextmanager
    def disturb(release):
        ends = [(["ci/cluster/node", NODE, "enter"], "eth0"), (["nsenter", f"--net=/run/netns/{CLUSTER}-switch"], NODE)]
        try:
            for enter, device in ends:
                done = command(*enter, *qdisc("replace", device, "tbf", "rate", rate, "burst", BURST, "latency", LATENCY), check=False)
                if done.returncode:
                    raise Unavailable(f"this kernel can't slow a link down with tc tbf: {done.stderr.strip()}")
            yield Disturbed(node=NODE)
        finally:
            for enter, device in ends:
                command(*enter, *qdisc("delete", device), check=False)

    return disturb


def whole_disk(path, devices=pathlib.Path("/sys/dev/block")):
    """MAJOR:MINOR of the disk that has this path; a partition can't be throttled, only the disk that it is on."""
    number = os.stat(path).st_dev
    device = devices / f"{os.major(number)}:{os.minor(number)}"
    if not device.exists():
        raise Unavailable(f"the nodes' files in {path} are not on a block device that could be slowed down")
    if (device / "partition").exists():
        return (device.resolve().parent / "dev").read_text().strip()
    return device.name


def nodes_files():
    cache = os.environ.get("KAPTURE_CACHE") or f"{os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'}/kapture"
    return pathlib.Path(cache) / "cluster" / f"nodes-{CLUSTER}"


def gather(uid, group):
    """Moves all processes of a pod into the group, also those that were started meanwhile."""
    pods = list((BLKIO / CLUSTER).glob(f"**/pod{uid}"))
    if not pods:
        raise Unavailable(f"the pod has no group below {BLKIO / CLUSTER}")
    for _ in range(20):
        found = [pid for pod in pods for procs in pod.glob("**/cgroup.procs") for pid in procs.read_text().split()]
        if not found:
            return
        for pid in found:
            # A process may have ended.
            with contextlib.suppress(ProcessLookupError):
                (group / "cgroup.procs").write_text(pid)
    raise Unavailable("the pod starts processes faster than they can be moved")


def slow_disk(bytes_per_second):
    """Postgres' writes at this rate. Version 1 of control groups charges a process with what it submits itself, which fsync does.

    Postgres and its probe are put into one group, so that the probe's small write waits behind Postgres' large ones, as it would
    on a slow disk.
    """

    @contextlib.contextmanager
    def disturb(release):
        if not (BLKIO / CLUSTER / RULE).exists():
            raise Unavailable(f"this kernel can't slow a disk down: there is no {BLKIO / CLUSTER / RULE}")
        group, disk = BLKIO / CLUSTER / "slow", whole_disk(nodes_files())
        group.mkdir(exist_ok=True)

        def slow_down():
            pod = json.loads(kubectl("get", "pod", "kapture-postgres-0", "-o", "json").stdout)
            gather(pod["metadata"]["uid"], group)

        try:
            (group / RULE).write_text(f"{disk} {bytes_per_second}")
            slow_down()
            yield Disturbed(renew=slow_down)
        finally:
            # The processes stay there until their pod ends, and the group until the cluster does.
            (group / RULE).write_text(f"{disk} 0")

    return disturb


def burning(cores):
    """A pod of somebody else, with as many busy loops as cores."""
    loops = " & ".join(["while :; do :; done"] * cores)
    container = {
        "name": "burn", "image": SHELL, "imagePullPolicy": "Never", "command": ["/bin/sh", "-c", loops],
        "resources": {"requests": {"cpu": NEIGHBOUR_REQUEST, "memory": "16Mi"}, "limits": {"cpu": str(cores), "memory": "16Mi"}},
    }
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "burn", "namespace": NEIGHBOUR},
        "spec": {"nodeName": NODE, "terminationGracePeriodSeconds": 0, "containers": [container]},
    }


def neighbour(cores):
    """A pod in another namespace that burns CPU on a node, which need not be named: all nodes report the same machine's CPU."""

    @contextlib.contextmanager
    def disturb(release):
        command("ci/cluster/kubectl", "create", "namespace", NEIGHBOUR)
        try:
            command("ci/cluster/kubectl", "apply", "-f", "-", given=json.dumps(burning(cores)))
            command("ci/cluster/kubectl", "-n", NEIGHBOUR, "wait", "--for=condition=Ready", "pod/burn", "--timeout=60s", seconds=90)
            say(f"the neighbour runs on {NODE}")
            yield Disturbed()
        finally:
            command("ci/cluster/kubectl", "delete", "namespace", NEIGHBOUR, "--timeout=120s", "--ignore-not-found", seconds=150, check=False)

    return disturb


# A value of so many bytes takes a MiB of Redis' memory.
PIECE, MIB = 1_000_000, 1 << 20
FILL = f"for i = 1, tonumber(ARGV[1]) do redis.call('SETRANGE', 'neighbour:' .. i, {PIECE - 1}, 'x') end"


def free_mib(info):
    """What Redis has left of maxmemory, in its own words."""
    known = dict(line.strip().split(":", 1) for line in info.splitlines() if ":" in line)
    return (int(known["maxmemory"]) - int(known["used_memory"])) // MIB


def full_redis(spare_mib):
    """Values of somebody else take all of the memory for data but this. They stay over a restart, and end with the release."""

    def redis(*words):
        client = f"REDISCLI_AUTH=$REDIS_PASSWORD redis-cli {shlex.join(words)}"
        return kubectl("exec", "kapture-redis-0", "-c", "redis", "--", "sh", "-c", client).stdout

    @contextlib.contextmanager
    def disturb(release):
        redis("EVAL", FILL, "0", str(free_mib(redis("INFO", "memory")) - spare_mib))
        left = free_mib(redis("INFO", "memory"))
        if not 0 < left <= spare_mib + 1:
            raise Unavailable(f"Redis was to be filled but for {spare_mib} MiB, and {left} MiB are left")
        yield Disturbed()

    return disturb
