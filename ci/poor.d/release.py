"""The chart on a local cluster of its own: installing it, running its benchmark, and reading what came out. Every wait has a limit."""

import contextlib
import functools
import json
import os
import shlex
import sys
import time

import capsules
import on_cluster
from measurement import say
from on_cluster import NAMESPACE, ROOT

# Beside a cluster that ci/up may have left running. The scripts of ci/cluster read the same variable.
CLUSTER = os.environ.setdefault("KAPTURE_CLUSTER", "poor")
NODES = 3
# What each run left, for whoever wants to look.
KEPT = ROOT / "target" / "poor"

COMMAND_SECONDS = 120
# With an empty cache, the programs of the cluster and all images are compiled.
SETUP_SECONDS = 3600
# Three brokers with little CPU start slowly, and an update replaces them one by one.
READY_SECONDS = 900
DRAIN_SECONDS = 300
GONE_SECONDS = 240
# The pod's own limit, and two minutes for its start.
JOB_SECONDS = {"smoke": 480 + 120, "default": 2700 + 120}
# The exporter reads a new result a few seconds after the run has ended.
RESULT_SECONDS = 90
LOOK_SECONDS = 5
SAY_SECONDS = 30
# Sales; at the rate between runs, some are always in flight.
EMPTY = 100


class Unavailable(Exception):
    """This machine can't produce what the case needs."""


command = functools.partial(on_cluster.command, seconds=COMMAND_SECONDS)
kubectl = functools.partial(on_cluster.kubectl, seconds=COMMAND_SECONDS)


@contextlib.contextmanager
def cluster():
    """A cluster with all images, created if it is not up, and then removed afterwards."""
    ours = not on_cluster.is_up()
    try:
        on_cluster.bring_up(NODES, SETUP_SECONDS)
        if command("ci/cluster/kubectl", "get", "namespace", NAMESPACE, check=False).returncode == 0:
            sys.exit(f"the cluster {CLUSTER} has something in namespace {NAMESPACE}, perhaps of a session that was killed: "
                     f"KAPTURE_CLUSTER={CLUSTER} ci/cluster/down, then run this again")
        yield
    finally:
        if ours:
            say("removing the cluster")
            on_cluster.shown("ci/cluster/down", seconds=SETUP_SECONDS)


def settings(values):
    """Helm's arguments for these values. A full stop in a name is escaped already, as in a capsule."""
    return [word for name, value in values.items() for word in ("--set", f"{name}={value}")]


@contextlib.contextmanager
def installed(values, mode):
    """The release with these values in a new namespace, ready and without a backlog."""
    on_cluster.create_namespace(COMMAND_SECONDS)
    try:
        command("ci/cluster/helm", "install", "kapture", "./charts/kapture", "-n", NAMESPACE, *settings({**values, "benchmark.mode": mode}))
        release = Release(mode)
        release.wait_until_ready()
        yield release
    finally:
        command("ci/cluster/kubectl", "delete", "namespace", NAMESPACE, f"--timeout={GONE_SECONDS}s", "--ignore-not-found",
                seconds=GONE_SECONDS + 30)


class Release:
    def __init__(self, mode):
        self.mode = mode

    def wait_until_ready(self):
        deadline = time.monotonic() + READY_SECONDS
        workloads = json.loads(kubectl("get", "statefulset,deployment", "-o", "json").stdout)["items"]
        say(f"waiting for {len(workloads)} workloads to be ready")
        for each in workloads:
            left = max(1, int(deadline - time.monotonic()))
            name = f"{each['kind'].lower()}/{each['metadata']['name']}"
            if kubectl("rollout", "status", name, f"--timeout={left}s", check=False, seconds=left + 30).returncode:
                pods = kubectl("get", "pods", "-o", "wide", check=False).stdout
                raise RuntimeError(f"{name} was not ready {READY_SECONDS} s after the install or upgrade:\n{pods}")

    def proxied(self, path):
        """An answer of the exporter, through the API server; None while it has none."""
        answer = kubectl("get", "--raw", f"/api/v1/namespaces/{NAMESPACE}/services/kapture-exporter:8080/proxy{path}", check=False)
        if answer.returncode:
            return None
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads(answer.stdout)
        return None

    def drain(self):
        """Waits until the queues are empty. A run that begins with a backlog says so itself, so that this gives up and goes on."""
        deadline = time.monotonic() + DRAIN_SECONDS
        lags = None
        while time.monotonic() < deadline:
            state = self.proxied("/api/v1/state")
            lags = state and {stage["name"]: stage["lag"] for stage in state["stages"] if stage["name"] != "accepted"}
            if lags and all(lag is not None and lag <= EMPTY for lag in lags.values()):
                return
            time.sleep(LOOK_SECONDS)
        say(f"after {DRAIN_SECONDS} s there is still a backlog: {lags}")

    def upgrade(self, words):
        """Runs the `helm upgrade …` of an advice, as it is."""
        command("ci/cluster/helm", *words)
        self.wait_until_ready()

    def run(self, name):
        """Starts a Job from the CronJob, waits for its end, and returns what its last line and its capsule say."""
        self.drain()
        kubectl("create", "job", name, "--from=cronjob/kapture-benchmark")
        self.wait_for(name)
        line = capsules.last_line(kubectl("logs", f"job/{name}", "--tail=50", check=False).stdout)
        say(f"{name}: {line or 'no last line'}")
        capsule = self.capsule(name)
        KEPT.mkdir(parents=True, exist_ok=True)
        if capsule:
            (KEPT / f"{name}.json").write_text(json.dumps(capsule))
        else:
            say(f"{name}: the exporter has no capsule of it: {self.proxied('/results')}")
        return capsules.run(line, capsule)

    def wait_for(self, name):
        began = said = time.monotonic()
        while True:
            job = kubectl("get", "job", name, "-o", "json", check=False)
            # The API server may be slow, like the rest of the machine.
            conditions = json.loads(job.stdout)["status"].get("conditions", []) if job.returncode == 0 else []
            if any(each["type"] in ("Complete", "Failed") and each["status"] == "True" for each in conditions):
                return
            now = time.monotonic()
            if now - began > JOB_SECONDS[self.mode]:
                log = kubectl("logs", f"job/{name}", "--tail=5", check=False)
                raise RuntimeError(f"{name} had not ended after {JOB_SECONDS[self.mode]} s: {log.stdout}{log.stderr}")
            if now - said >= SAY_SECONDS:
                said = now
                say(f"{name}: {kubectl('logs', f'job/{name}', '--tail=1', check=False).stdout.strip()[:120]}")
            time.sleep(LOOK_SECONDS)

    def capsule(self, name):
        deadline = time.monotonic() + RESULT_SECONDS
        while time.monotonic() < deadline:
            if capsule := self.proxied(f"/results/{name}.json"):
                return capsule
            time.sleep(LOOK_SECONDS)
        return None


def words_of(line):
    """The arguments after `helm` of a command in a capsule."""
    program, *words = shlex.split(line)
    if program != "helm":
        raise ValueError(f"{line!r} is not a helm command")
    return words
