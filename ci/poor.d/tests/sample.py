"""Capsules for tests, which conform to the published schema; and how to import what is tested."""

import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / folder) for folder in ("ci/poor.d", "ci/cluster", "benchmark/programs")]

SCHEMA = json.loads((ROOT / "crates" / "benchmark" / "capsule.schema.json").read_text())
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float), "null": type(None)}
KNOWN = {"$schema", "title", "description", "$defs", "minimum", "maximum", "minItems", "maxItems", "format", "default"}
COMMAND = "helm upgrade kapture ./charts/kapture -n perf-test --reset-then-reuse-values --set {}={}"


def errors(value, rule=SCHEMA, at="capsule"):
    """What does not conform, by the part of JSON Schema that ours uses."""
    for word, wanted in rule.items():
        if word in KNOWN:
            continue
        if word == "$ref":
            yield from errors(value, SCHEMA["$defs"][wanted.removeprefix("#/$defs/")], at)
        elif word in ("anyOf", "oneOf"):
            if all(list(errors(value, each, at)) for each in wanted):
                yield f"{at}: {value} is none of these"
        elif word in ("const", "enum"):
            if value not in (wanted if word == "enum" else [wanted]):
                yield f"{at}: {value!r} is not {wanted}"
        elif word == "type":
            kinds = [wanted] if isinstance(wanted, str) else wanted
            if not any(isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool)) for kind in kinds):
                yield f"{at}: {value!r} is not of type {wanted}"
        elif word == "required":
            yield from (f"{at} has no {name}" for name in wanted if isinstance(value, dict) and name not in value)
        elif word == "properties":
            for name in (value.keys() & wanted.keys()) if isinstance(value, dict) else ():
                yield from errors(value[name], wanted[name], f"{at}.{name}")
        elif word == "additionalProperties":
            for name in (value.keys() - rule.get("properties", {}).keys()) if isinstance(value, dict) else ():
                yield from errors(value[name], wanted, f"{at}.{name}") if wanted else [f"{at} may not have {name}"]
        elif word == "prefixItems":
            for number, (each, wanted_here) in enumerate(zip(value, wanted) if isinstance(value, list) else ()):
                yield from errors(each, wanted_here, f"{at}[{number}]")
        elif word == "items":
            for number, each in enumerate(value if isinstance(value, list) else ()):
                yield from errors(each, wanted, f"{at}[{number}]")
        else:
            yield f"the schema has {word}, which this check does not know"


def cause(stage, component, resource, value=None, to=None, *, row=4, node="node-1", only_at_install=False):
    change = value and {"value": value, "from": "80m", "to": to, "only_at_install": only_at_install}
    return {"row": row, "stage": stage, "component": component, "pod": f"kapture-{component}-0", "node": node, "resource": resource,
            "because": "it was kept waiting", "advice": "it needs more", "change": change}  # fmt: skip


POSTGRES = cause("stored", "postgres", "cpu-limit", "postgres.resources.limits.cpu", "200m")


def capsule(*causes, verdict="PASS", held=1000.0, failed=2000.0, kind=None, end="complete", reason="1,000 sales/s hold", remedy=None):
    """A run with these causes: one is named, several are unclear."""
    change = causes[0]["change"] if len(causes) == 1 else None
    can_be_typed = change and change["to"] and not change["only_at_install"]
    installation = {"release": "kapture", "namespace": "perf-test", "chart": "./charts/kapture", "replicas": {"kafka": 3},
                    "sales_partitions": 12, "io_threads": None, "transaction_ms": 100.0, "volumes": {"kafka": "10Gi"}, "max_replicas": {}}  # fmt: skip
    diagnosis = {
        "kind": kind or ("named" if len(causes) == 1 else "unclear"), "stage": causes[0]["stage"] if causes else None,
        "causes": list(causes), "command": COMMAND.format(change["value"], change["to"]) if can_be_typed else None,
        "ceilings": [{"stage": "stored", "rate": 1200.0}], "next": None, "expected": 2500.0 if can_be_typed else None, "unknown": [],
    }  # fmt: skip
    return {
        "format": "kapture-capsule", "version": 1, "run": "a-1", "began_us": 1, "ended_us": 2, "kapture": "0.1.0", "versions": {},
        "parameters": {"mode": "smoke", "target": None, "latency_limit_ms": 1000, "stages": ["accepted", "stored"], "model": 1, "load": {"seed": "7"},
                       "misbehaviour": [], "elasticity": None},
        "installation": installation, "calibrated": 50000.0, "pods": [], "steps": [],
        "found": {"end": end, "held": held, "failed": failed, "confirmed": False, "repeats": [1, 1], "irregular": [], "control": None},
        "repeats": [1000.0], "audit": None, "recovery": None, "diagnosis": diagnosis, "evidence": None, "verdict": verdict, "reason": reason, "remedy": remedy,
    }  # fmt: skip


def starved():
    """A run whose loader was at its limit."""
    reason = "loaders not throttled: kapture-loader-0: throttled 31 %, CPU 99 % of its limit, where 1 % of the time, 80 % is asked"
    return capsule(cause("stored", "loader", "cpu-limit", "loader.resources.limits.cpu", "200m", row=0), kind="instrument", verdict="INVALID",
                   held=None, failed=None, end="invalid", reason=reason,
                   remedy="raise loader.resources.limits.cpu, or spread the load with loader.replicas")  # fmt: skip
