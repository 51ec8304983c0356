"""Faults and their consequences."""

import enum
import statistics

from .form import count, table


class Kind(enum.StrEnum):
    """What a fault is, whatever it is called."""

    # A process ends without warning.
    KILL = "kill"
    # A program is stopped until another has taken over: Kafka must refuse what it sends afterwards.
    FENCING = "fencing"
    OTHER = "other"


CHAPTERS = {"processes": "to the pipeline as processes", "cluster": "on the three-node cluster"}
COUNTS = "sent", "lost", "duplicate", "altered", "unknown"


def faults(record):
    return [fault for part in record["parts"] for fault in part["faults"]]


def kills(record):
    return sum(fault["times"] for fault in faults(record) if fault["kind"] == Kind.KILL)


def recovery(fault):
    """Median and longest time to recover; None if it was never waited for. A converted record has only these two."""
    seconds = fault["seconds"]
    if isinstance(seconds, dict):
        return seconds["median"], seconds["highest"]
    return (statistics.median(seconds), max(seconds)) if seconds else None


def fates(record):
    """The sums over all parts; a part without an account counts as 0, and is among the problems."""
    return {name: sum(part["account"][name] for part in record["parts"] if part["account"]) for name in COUNTS}


def rows(record, link):
    others = sum(fault["times"] for fault in faults(record)) - kills(record)
    where = " and ".join(CHAPTERS[chapter] for chapter in record["parameters"]["chapters"])
    what = f"{count(kills(record), 'kill')} and {count(others, 'other fault')}, {where}"
    total = fates(record)
    if any(total[name] for name in ("lost", "duplicate", "altered")) or record["problems"]:
        return [(what, f"{link('failed')}: of {total['sent']:,} sales, {total['lost']:,} lost, {total['duplicate']:,} duplicated, "
                       f"{total['altered']:,} altered; {count(len(record['problems']), 'problem')}")]
    slowest = sorted((recovery(fault)[1], fault["name"]) for fault in faults(record) if recovery(fault))[-2:]
    words = f"none of {total['sent']:,} sales {link('lost, duplicated or altered')}"
    if slowest:
        words += f"; the slowest recovery took {slowest[-1][0]:.0f} s ({slowest[-1][1]})"
    if len(slowest) > 1:
        words += f", after any other fault {slowest[0][0]:.0f} s"
    return [(what, words)]


def part_rows(part):
    account = part["account"]
    counts = [f"**{account[name]:,}**" for name in COUNTS] if account else ["**?**"] * len(COUNTS)
    yield [f"**{part['name']}**", f"**{sum(fault['times'] for fault in part['faults'])}**", *counts, "", ""]
    for fault in part["faults"]:
        times = [f"{seconds:.1f}" for seconds in recovery(fault) or ()] or ["", ""]
        yield [fault["name"], f"{fault['times']}", *[""] * len(COUNTS), *times]


def page(record):
    heads = ["fault", "times", "sales sent", "lost", "duplicated", "altered", "unknown", "to recover, median s", "max s"]
    notes = [f"- {words}" for words in [f"{count(kills(record), 'kill')} in all.", *record["notes"]]]
    problems = [f"- {words}" for words in record["problems"]] or ["None."]
    measured = [row for part in record["parts"] for row in part_rows(part)]
    return [*table(heads, measured), "", *notes, "", "What went wrong:", "", *problems]
