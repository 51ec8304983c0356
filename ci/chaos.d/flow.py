"""The state of the pipeline: how far each stage is, and the exact count of all sales."""

import json
import pathlib

import offsets

CRATES = pathlib.Path(__file__).parents[2] / "crates"
STAGES = json.loads((CRATES / "pipeline" / "pipeline.json").read_text())["stages"]
# The counter of sales in the report of each component.
COUNTERS = {stage["component"]: stage["name"] for stage in STAGES}
# The counter of a role that works in transactions: how often Kafka refused it as superseded.
FENCED = json.loads((CRATES / "service" / "reported.json").read_text())["etl"]["FENCED"]
# The group of each role.
GROUPS = {stage["component"]: stage["group"] for stage in STAGES if stage["group"]}
FINDINGS = ("lost", "rejected", "duplicate", "altered", "misrouted", "out_of_order", "never_sent", "malformed")


class Mark:
    """The current ends of the logs that a role reads: it has recovered when it has passed them."""

    def __init__(self, kafka, component):
        self.kafka, self.group, self.ends = kafka, GROUPS[component], None
        # In a state topic, the last sale is followed by the marker that ends its transaction.
        reads_sales = any(stage["component"] == component and stage["positions_in"] == "sales" for stage in STAGES)
        self.reads, self.closing = (is_sales, 0) if reads_sales else (is_state, 1)

    def passed(self):
        """False as long as Kafka does not answer."""
        try:
            if self.ends is None:
                ends = self.kafka.ends(offsets.COMMITTED, self.reads)
                self.ends = {where: end - self.closing for where, end in ends.items()}
            committed = self.kafka.committed(self.group)
        except offsets.Unanswered:
            return False
        return all(committed.get(where, 0) >= end for where, end in self.ends.items())


class Chain:
    """All stages in turn: first what is on `sales` now, then what the fan-out has written by then."""

    def __init__(self, kafka, components):
        self.kafka, self.sinks = kafka, [component for component in components if component != "etl-fan-out"]
        self.first, self.rest = Mark(kafka, "etl-fan-out"), None

    def passed(self):
        if self.rest is None:
            if not self.first.passed():
                return False
            self.rest = [Mark(self.kafka, component) for component in self.sinks]
        self.rest = [mark for mark in self.rest if not mark.passed()]
        return not self.rest


def is_sales(topic):
    return topic == "sales"


def is_state(topic):
    return topic.startswith("sales.") and len(topic) == len("sales.xx")


def sum_of(account, field):
    return sum(tally.get(field, 0) for tally in account["stages"].values())


def complete(account):
    """Whether nothing is in flight: every stage has what the one before it had, or it is lost."""
    accounted = ("found", "lost", "rejected", "not_auditable")
    return all(tally["expected"] == sum(tally[field] for field in accounted) for tally in account["stages"].values())


def differences(live, recounted):
    """Differences between the live auditor's account and the recount."""
    if recounted["beyond_retention"]:
        yield f"{recounted['beyond_retention']} blocks can't be recounted: the logs no longer hold all of their sales"
        return
    for stage, tally in live["stages"].items():
        other = recounted["stages"].get(stage, {})
        for field in ("expected", "found", *FINDINGS):
            if tally[field] != other.get(field):
                yield f"{stage}: {field} is {tally[field]} by the live account and {other.get(field)} recounted"


class Account:
    """The counts of one part: what was added since the previous account."""

    def __init__(self, now, before=None):
        self.now = now
        since = lambda count: count(now) - (count(before) if before else 0)
        self.sent = since(lambda account: account["stages"]["accepted"]["expected"] + unknown(account))
        self.unknown = since(unknown)
        self.found = {field: since(lambda account: sum_of(account, field)) for field in FINDINGS}


def unknown(account):
    return max(tally["unknown"] for tally in account["stages"].values())
