"""What is taken from a run: the last line of its log, and its capsule (crates/benchmark/capsule.schema.json)."""

import re

FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)')


def last_line(log):
    """The verdict's line; None if there is none."""
    return next((line for line in reversed(log.splitlines()) if line.startswith("verdict=")), None)


def fields(line):
    """{name: text} of the verdict's line."""
    return {name: text.strip('"').replace('\\"', '"') for name, text in FIELD.findall(line)}


def run(line, capsule):
    """The figures of a run for the record. Only the capsule tells capacity and cause; without it, nothing of them is known."""
    said = fields(line or "")
    if not capsule:
        return {**nothing(), "verdict": said.get("verdict"), "reason": said.get("reason") or "there is no capsule of it", "line": line}
    if said.get("verdict") not in (None, capsule["verdict"]):
        raise ValueError(f"the last line says {said['verdict']}, and the capsule {capsule['verdict']}")
    found, diagnosis = capsule["found"], capsule["diagnosis"]
    held, failed = (found["held"], found["failed"]) if found else (None, None)
    if found and found["end"] == "nothing_held":
        held = 0.0
    return {
        "verdict": capsule["verdict"], "reason": capsule["reason"], "remedy": capsule["remedy"], "capacity": held, "failed": failed,
        "kind": diagnosis and diagnosis["kind"], "named": named(diagnosis), "unclear": unclear(diagnosis), "line": line,
    }  # fmt: skip


def nothing():
    return dict.fromkeys(("verdict", "reason", "remedy", "capacity", "failed", "kind", "named", "line")) | {"unclear": []}


def causes(diagnosis):
    return diagnosis["causes"] if diagnosis else []


def named(diagnosis):
    """The one cause that a diagnosis is sure of; None if it is sure of none."""
    if not diagnosis or diagnosis["kind"] == "unclear" or len(causes(diagnosis)) != 1:
        return None
    (cause,) = causes(diagnosis)
    kept = {name: cause[name] for name in ("row", "stage", "component", "pod", "node", "resource", "because", "change")}
    return {**kept, "command": diagnosis["command"], "expected": diagnosis["expected"]}


def unclear(diagnosis):
    """The causes between which it did not decide."""
    kept = [] if named(diagnosis) else causes(diagnosis)
    return [{name: cause[name] for name in ("row", "component", "resource")} for cause in kept]


def advice(runs):
    """What most of the runs that named a cause advised, the first of equals: the value, and how it is taken. None if that was no
    setting.

    `command` is the capsule's own; without one, `to` is what to install with.
    """
    given = [run["named"] for run in runs if run["named"]]
    changes = [named["change"] or {} for named in given]
    keys = [(named["component"], named["resource"], change.get("value"), change.get("to")) for named, change in zip(given, changes)]
    if not keys:
        return None
    best = keys.index(max(keys, key=keys.count))
    change = changes[best]
    if change.get("to") is None:
        return None
    return {**change, "command": given[best]["command"], "expected": given[best]["expected"]}
