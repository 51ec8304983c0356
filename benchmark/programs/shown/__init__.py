"""How the records of each kind are shown: `rows` for the table of benchmark/README.md, `page` for the result's own page."""

import types
from typing import NamedTuple

from . import auditor, carry, chaos, fan_out, latency, loader, poor, setup, sinks


class Kind(NamedTuple):
    """`page` is the document in results/ that has the block of this kind."""

    module: types.ModuleType
    page: str


# In the order of the table.
KINDS = {
    "carry": Kind(carry, "carry.md"),
    "loader": Kind(loader, "loader.md"),
    "fan-out": Kind(fan_out, "fan-out.md"),
    "sinks": Kind(sinks, "sinks.md"),
    "latency": Kind(latency, "latency.md"),
    "auditor": Kind(auditor, "auditor.md"),
    "chaos": Kind(chaos, "chaos.md"),
    # Runs of one chapter.
    "chaos-processes": Kind(chaos, "chaos.md"),
    "chaos-cluster": Kind(chaos, "chaos.md"),
    "poor": Kind(poor, "poor.md"),
    # Runs of some of its cases.
    "poor-some": Kind(poor, "poor.md"),
    "setup-cold": Kind(setup, "setup.md"),
    "setup-warm": Kind(setup, "setup.md"),
}
