"""How figures are written: numbers with their spread, tables, and the line that says where they come from."""

import statistics
from typing import NamedTuple


class Spread(NamedTuple):
    median: float
    lowest: float
    highest: float

    def text(self, form="{:,.0f}"):
        """Median, with lowest and highest."""
        return "{} ({} to {})".format(*map(form.format, self))


def spread_of(values):
    values = list(values)
    return Spread(statistics.median(values), min(values), max(values))


def spread(series, name):
    """The spread of one figure over a series: a list of rounds, or what a converted record has of them."""
    if isinstance(series, dict):
        return Spread(**series[name])
    return spread_of(each[name] for each in series)


def table(heads, rows):
    return ["|" + "".join(f" {cell} |" if cell else " |" for cell in row) for row in [heads, ["---"] * len(heads), *rows]]


def steps(stage, attempts):
    """The attempts of a search for the highest rate."""
    heads = ["offered/s", f"{stage}/s", "p50 ms", "p99 ms", "sent late, p99 ms", ""]
    return table(heads, [[
        f"{step['offered']:,}", f"{step['arrived']:,.0f}", f"{step['p50_ms']:.0f}", f"{step['p99_ms']:.0f}",
        f"{step['sent_late_p99_ms']:.1f}", held(step),
    ] for step in attempts])


def held(step):
    return "held" if step["held"] else "did not hold"


def count(number, one):
    return f"{number:,} {one}{'' if number == 1 else 's'}"


def source(record):
    """When, by which command, at which commit, on which machine."""
    machine = record["machine"]
    memory = f" and {machine['memory_gib']} GiB" if "memory_gib" in machine else ""
    system = f", {machine['system']}" if "system" in machine else ""
    lines = [f"{record['begun'][:10]}, by `{record['command']}`, commit {record['commit']}, "
             f"on {machine['cores']} cores ({machine['cpu']}){memory}{system}."]
    if "converted" in record:
        lines.append(f"Converted: {record['converted']}")
    return lines
