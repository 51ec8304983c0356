"""What is taken from a run: the last line of its log, and its capsule (crates/benchmark/capsule.schema.json)."""

import json
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
    """The advice that most of the runs gave, the first of equals: its value, and how it is taken; None if there is none to take.

    `command` is the capsule's own; without one, `to` is what to install with.
    """
    given = [run["named"] for run in runs if run["named"] and (run["named"]["change"] or {}).get("to") is not None]
    if not given:
        return None
    key = lambda named: json.dumps([named["change"]["value"], named["change"]["to"]])
    keys = [key(named) for named in given]
    best = max(given, key=lambda named: keys.count(key(named)))
    change = best["change"]
    return {"value": change["value"], "from": change["from"], "to": change["to"], "only_at_install": change["only_at_install"],
            "command": best["command"], "expected": best["expected"]}  # fmt: skip
