"""The rich twin, and the clusters that have one poor thing each: how it is made poor, and what the verdict must name.

Each degree of a case has the rich values and one poor thing. How poor a part must be depends on the machine, so a case may have several
degrees, the mildest first: the first one that bites is measured. Component, resource and value have their names from the
decision table in crates/benchmark/src/diagnose.
"""

import contextlib
import json
import pathlib
from typing import Callable, NamedTuple

import disturbances

PIPELINE = pathlib.Path(__file__).resolve().parents[2] / "crates" / "pipeline" / "pipeline.json"
# Where the values are of what fills the stages.
FLOW = [stage["values"] for stage in json.loads(PIPELINE.read_text())["stages"]]

# Three nodes and brokers, both stores. All limits are far above what two cores can use, so that the machine's CPU is the limit.
RICH = {
    "kafka.resources.limits.cpu": "2000m",
    "kafka.resources.limits.memory": "1536Mi",
    # Little load between the runs, so that what a run left in the queues is soon gone.
    "loader.rate": "20",
    "loader.resources.limits.cpu": "2000m",
    "loader.resources.limits.memory": "512Mi",
    "etl.fanOut.replicas": "2",
    "etl.postgres.replicas": "2",
    "redis.enabled": "true",
    "redis.resources.limits.cpu": "2000m",
    "postgres.resources.limits.cpu": "2000m",
    "postgres.resources.limits.memory": "1Gi",
    "auditor.resources.limits.cpu": "2000m",
    "exporter.resources.limits.cpu": "1000m",
    # Below every limit of a case, because Kubernetes refuses a request above the limit. Brokers weigh twice as much, as by default.
    "kafka.resources.requests.cpu": "30m",
    **{f"{values}.resources.requests.cpu": "15m" for values in (*FLOW, "redis", "postgres")},
    # What measures is never on the node that is disturbed.
    **{f"{values}.nodeSelector.kubernetes\\.io/hostname": "node-1" for values in ("loader", "exporter", "auditor", "benchmark")},
}


class Expected(NamedTuple):
    """What the verdict must name. A part that is left out may be anything."""

    stages: tuple[str, ...] = ()
    component: str | None = None
    resource: str | None = None
    # None: the chart has no value that helps, and none may be named.
    value: str | None = None
    # INVALID: for the value's part, its reason must be about the loaders, and its remedy must name the value.
    verdict: str | None = None
    # The component that must not be named: it is poor, but not the limit. "any" is the rich twin's: no value may be named.
    never: str | None = None


class Degree(NamedTuple):
    """One value, or one disturbance: from the release to a context manager, see `disturbances`."""

    words: str
    values: dict[str, str] = {}
    disturbs: Callable | None = None

    def begun(self, release):
        return self.disturbs(release) if self.disturbs else contextlib.nullcontext(disturbances.Disturbed())


class Case(NamedTuple):
    name: str
    expected: Expected
    degrees: tuple[Degree, ...]
    why: str
    # What the advice asks for where no value of the chart can do it. It is done by ending the disturbance.
    lift: str | None = None


def degrees(value, *settings):
    return tuple(Degree(f"{value}={setting}", {value: setting}) for setting in settings)


def cpu(name, values, component, stages, settings, why):
    """A CPU limit."""
    value = f"{values}.resources.limits.cpu"
    return Case(name, Expected(stages, component, "cpu-limit", value), degrees(value, *settings), why)


TWIN = Case("rich", Expected(never="any"), (Degree("nothing"),), "what the others are compared with")

CASES = (
    cpu("postgres-cpu", "postgres", "postgres", ("stored", "returned"), ("80m", "40m"),
        "a sale costs Postgres 12 µs in large batches, and it also serves the spout and the auditor"),
    cpu("kafka-cpu", "kafka", "kafka", ("accepted", "routed"), ("350m", "250m"),
        "three brokers use 0.66 CPUs together at 100 sales a second, and 1.2 at many thousands"),
    cpu("fan-out-cpu", "etl.fanOut", "etl-fan-out", ("routed",), ("50m", "25m"),
        "a sale costs 3 µs in large batches, and each of ten transactions a second some hundred more"),
    cpu("postgres-sink-cpu", "etl.postgres", "etl-postgres", ("stored",), ("50m", "25m"), "a sale costs the sink 6 µs in large batches"),
    cpu("redis-sink-cpu", "etl.redis", "etl-redis", ("cached",), ("50m", "25m"),
        "a sale costs the sink 5 µs in large batches, and there is one of it"),
    cpu("spout-cpu", "etl.spout", "etl-spout", ("returned",), ("50m", "25m"),
        "like a sink, in the other direction; all of these also have a price at rest"),
    cpu("redis-cpu", "redis", "redis", ("cached",), ("40m", "20m"), "a sale costs Redis 4 µs in large batches"),
    Case("loader-cpu", Expected(component="loader", resource="cpu-limit", value="loader.resources.limits.cpu", verdict="INVALID"),
         degrees("loader.resources.limits.cpu", "50m", "20m"),
         "a loader that is kept waiting sends late for its own reason: nothing can be said of the cluster"),
    Case("kafka-memory", Expected(("accepted", "routed"), "kafka", "memory", "kafka.resources.limits.memory"),
         degrees("kafka.resources.limits.memory", "512Mi"),
         "the least that the chart accepts: a heap of 256 MiB, and hardly 100 MiB of page cache; it may be enough for a young cluster"),
    Case("redis-full", Expected(("cached",), "redis", "memory", "redis.resources.limits.memory"),
         (Degree("Redis is filled with data of somebody else, but for 4 MiB", disturbs=disturbances.full_redis(4)),),
         "a customer's last sales take 1 kB: ten thousands of sales fill it, and then it refuses to write"),
    Case("slow-link", Expected(resource="network"),
         tuple(Degree(f"the link of one node at {rate}, both ways", disturbs=disturbances.slow_link(rate)) for rate in ("12mbit", "4mbit")),
         "each broker takes every record once, by itself or as a follower: 2 kB for each sale over all topics",
         lift="a node with a faster link"),
    Case("slow-disk", Expected(("stored",), "postgres", "disk", "postgres.persistence.storageClass"),
         tuple(Degree(f"Postgres' writes at {rate >> 10} KiB/s", disturbs=disturbances.slow_disk(rate)) for rate in (1 << 20, 256 << 10)),
         "its log alone takes more than 1 kB for each sale; Postgres and its probe wait in the same queue, as on a real disk",
         lift="a faster disk"),
    Case("hot-store", Expected(("routed", "cached", "stored"), resource="skew"), degrees("loader.hotStore", "50", "90"),
         "one store that sells half of all: its sales are on one partition of `sales`, of its state's topic, and on one connection"),
    Case("neighbour", Expected(resource="node-cpu"),
         tuple(Degree(f"a pod of somebody else that burns {cores} CPUs of a node", disturbs=disturbances.neighbour(cores)) for cores in (1, 2)),
         "the nodes share two cores, and it weighs as much as all of our pods on its node together",
         lift="the neighbour moved away"),
    Case("few-sinks", Expected(("stored",), "etl-postgres", "parallelism", "etl.postgres.replicas"), degrees("etl.postgres.replicas", "1"),
         "one connection instead of two; on two cores it may be enough, and then the case does not count"),
    Case("spare-spout", Expected(never="etl-spout"), degrees("etl.spout.resources.limits.cpu", "300m"),
         "poor, but not the limit: several times as much as it needs here"),
    Case("spare-redis", Expected(never="redis"), degrees("redis.resources.limits.cpu", "300m"),
         "poor, but not the limit: several times as much as it needs here"),
)  # fmt: skip
