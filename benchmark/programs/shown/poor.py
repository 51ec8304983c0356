"""Clusters made poor on purpose: what the verdict named, and what its advice brought.

A record has the raw figures of every run. What they mean is computed here, also for `ci/poor`, which asks while it measures
whether a poor part bites.
"""

import enum
import statistics

from .form import count, table

# A poor part counts if the capacity is so much below the rich twin's; one that is not the limit counts if it is not.
BITES = 0.7
# Advice that is good brings so much more.
CURED = 1.2


class Outcome(enum.StrEnum):
    """What a run said, held against what it should."""

    RIGHT = "right"
    # It named no cause, or several, or not what to raise: honest, and no help.
    UNCLEAR = "unclear"
    # It named something else, and was sure of it.
    WRONG = "wrong"
    # It gave no verdict on the cluster, though it should have.
    NO_VERDICT = "no verdict"


def marks(named, expected, node):
    """Whether stage, resource (and whose), and value are the expected ones. What is not expected may be anything."""
    value = (named["change"] or {}).get("value")
    return {
        "stage": not expected["stages"] or named["stage"] in expected["stages"],
        "resource": expected["component"] in (None, named["component"]) and expected["resource"] == named["resource"]
        and node in (None, named["node"]),
        "value": value == expected["value"],
    }  # fmt: skip


def outcome(run, case):
    expected, named = case["expected"], run["named"]
    if expected["verdict"] == "INVALID":
        return of_the_instrument(run, expected)
    if run["verdict"] not in ("PASS", "FAIL"):
        return Outcome.NO_VERDICT
    if expected["never"] == "any":
        return Outcome.WRONG if named and named["change"] else Outcome.RIGHT
    if expected["never"]:
        return Outcome.WRONG if named and named["component"] == expected["never"] else Outcome.RIGHT
    if not named:
        return Outcome.UNCLEAR
    marked = marks(named, expected, case["node"])
    if all(marked.values()):
        return Outcome.RIGHT
    # The right resource without a value is no wrong one.
    is_short = marked["stage"] and marked["resource"] and named["change"] is None
    return Outcome.UNCLEAR if is_short else Outcome.WRONG


def of_the_instrument(run, expected):
    """The run can't be trusted because of its loaders; a verdict on the cluster would be wrong."""
    if run["verdict"] in ("PASS", "FAIL"):
        return Outcome.WRONG
    if run["verdict"] != "INVALID":
        return Outcome.NO_VERDICT
    says = run["reason"].startswith("loaders ") and expected["value"] in (run["remedy"] or "")
    return Outcome.RIGHT if says else Outcome.UNCLEAR


def capacity(runs):
    """Median of the runs that have one; None if none has."""
    known = [run["capacity"] for run in runs if run["capacity"] is not None]
    return statistics.median(known) if known else None


def bites(runs, rich, case):
    """Whether the poor part is felt as it should be; None if that can't be told."""
    if case["expected"]["verdict"] == "INVALID":
        return any(run["verdict"] == "INVALID" for run in runs)
    value = capacity(runs)
    return None if value is None or not rich else value <= BITES * rich


def counts(case, rich):
    """Whether the case says something: it was run, and it bites, or must not."""
    if case["not_run"]:
        return False
    felt = bites(case["runs"], rich, case)
    return felt is False if case["expected"]["never"] else felt is True


def gain(case):
    """How many times as much the cluster carries once the advice was taken; None if it was not, or nothing is known."""
    before, after = capacity(case["runs"]), capacity(case["after"])
    if after is None or not case["after"]:
        return None
    # From a run that was INVALID, or from nothing that held, anything is more.
    return after / before if before else (float("inf") if after else None)


def rich_of(record):
    return capacity(record["rich"]["runs"])


def counted(record):
    return [case for case in record["cases"] if counts(case, rich_of(record))]


def tally(cases):
    """{outcome: runs}."""
    all_ = [outcome(run, case) for case in cases for run in case["runs"]]
    return {each: all_.count(each) for each in Outcome}


def advised(cases):
    return [case for case in cases if case["advice"] or case["after"]]


def cured(cases):
    return [case for case in cases if (gain(case) or 0) >= CURED]


def rows(record, link):
    cases = counted(record)
    found, limits = tally(cases), [case for case in cases if not case["expected"]["never"]]
    what = f"{count(len(cases), 'cluster')} made poor on purpose, one thing each, benchmark in mode {record['parameters']['mode']}"
    runs = sum(found.values())
    words = link(f"{found[Outcome.RIGHT]} of {count(runs, 'run')} named what it was")
    return [(what, f"{words}, {found[Outcome.UNCLEAR]} were unclear and {found[Outcome.WRONG]} wrong; "
                   f"with the advice taken, {len(cured(limits))} of {len(limits)} carried at least 20 % more")]


def number(value):
    return "?" if value is None else f"{value:,.0f}"


def said(run):
    """What a run named, in a few words."""
    if run["verdict"] not in ("PASS", "FAIL"):
        return f"{run['verdict']}: {run['reason']}"
    named = run["named"]
    if not named:
        between = " or ".join(f"{cause['component']} {cause['resource']}" for cause in run["unclear"])
        return f"unclear ({between})" if between else "nothing"
    value = (named["change"] or {}).get("value")
    return f"{named['stage']}: {named['component']} {named['resource']}" + (f", {value}" if value else "")


def wanted(case):
    """What should be named."""
    expected = case["expected"]
    if expected["verdict"]:
        return f"{expected['verdict']}, {expected['value']}"
    if expected["never"]:
        return "no value" if expected["never"] == "any" else f"anything but {expected['never']}"
    whose = " ".join(filter(None, (expected["component"], expected["resource"])))
    stage = f"{' or '.join(expected['stages'])}: " if expected["stages"] else ""
    return f"{stage}{whose}" + (f", {expected['value']}" if expected["value"] else "")


def grouped(texts):
    """The different texts with how often each came."""
    texts = [text.replace("|", "/") for text in texts]
    return "; ".join(f"{text} ({texts.count(text)})" for text in dict.fromkeys(texts))


def name_row(case, rich):
    found = tally([case])
    felt = "not run" if case["not_run"] else "" if case["name"] == "rich" else "yes" if counts(case, rich) else "no"
    return [case["name"], case["poor"] or "", number(capacity(case["runs"])), felt, wanted(case), grouped(map(said, case["runs"])),
            *(f"{found[each]}" for each in Outcome)]  # fmt: skip


def gain_row(case):
    taken, value = case["advice"] or {}, gain(case)
    way = f"{taken['value']}: {taken['from'] or '?'} to {taken['to']}" if taken else case["lifted"] or "none given"
    expected = number(taken.get("expected")) if taken else "?"
    more = "?" if value is None else "from nothing" if value == float("inf") else f"{value * 100 - 100:+.0f} %"
    enough = "" if value is None else "yes" if value >= CURED else "no"
    return [case["name"], way, number(capacity(case["runs"])), expected, number(capacity(case["after"])), more, enough]


def page(record):
    rich, given = rich_of(record), record["parameters"]
    cases = counted(record)
    names = ["cluster", "what is poor", "capacity, sales/s", "counts", "expected", "named (runs)", *Outcome]
    gains = ["cluster", "advice taken", "capacity before, sales/s", "expected", "after", "gained", "20 % more"]
    limits = [case for case in record["cases"] if not case["expected"]["never"] and not case["not_run"]]
    found = tally(cases)
    problems = [f"- {case['name']}: {case['not_run']}" for case in record["cases"] if case["not_run"]]
    problems += [f"- {case['name']}: {note}" for case in record["cases"] for note in case["notes"]]
    total = ["**all that count**", "", "", f"**{len(cases)}**", "", "", *(f"**{found[each]}**" for each in Outcome)]
    return [
        f"Mode {given['mode']}, {count(given['runs'], 'run')} of each cluster. The rich twin carries **{number(rich)} sales/s**.",
        "",
        *table(names, [name_row(record["rich"], rich), *(name_row(case, rich) for case in record["cases"]), total]),
        "",
        "With the advice taken, and nothing else changed:",
        "",
        *table(gains, map(gain_row, limits)),
        "",
        "Not run, and what else was noted:",
        "",
        *(problems or ["Nothing."]),
    ]
