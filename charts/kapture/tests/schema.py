"""The paths in the values' schema, and values files that set many of them at once."""

import copy
import functools
import json
import re

import chart


@functools.lru_cache(maxsize=None)
def schema():
    """The content of values.schema.json."""
    return json.loads((chart.CHART / "values.schema.json").read_text())


def resolved(node):
    """(the node that a reference ends at, the last part of the reference's name)."""
    name = ""
    while "$ref" in node:
        *_, group, name = node["$ref"].split("/")
        target = schema()[group][name]
        node = {**target, **{k: v for k, v in node.items() if k not in ("$ref", "description")}}
        if "$ref" in target:
            name = target["$ref"].rsplit("/", 1)[-1]
    return node, name


def nodes(node=None, path=(), name=""):
    """(path, node, name of its definition) of everything that the schema names, from the top down."""
    node = schema() if node is None else node
    node, name = resolved(node)
    yield path, node, name
    for key, value in node.get("properties", {}).items():
        yield from nodes(value, (*path, key))


def is_string(node):
    """Whether the node accepts a string."""
    kinds = node.get("type", [])
    return "string" in ([kinds] if isinstance(kinds, str) else kinds) or any(is_string(resolved(n)[0]) for n in node.get("anyOf", []))


def build(entries):
    """A values file that contains each (path, value); maps are merged and lists joined."""
    values = {}
    # Copies: the lists and maps of the caller stay as they are.
    for path, value in copy.deepcopy(list(entries)):
        node = values
        for key in path[:-1]:
            node = node.setdefault(key, {})
        old = node.get(path[-1])
        if isinstance(old, dict) and isinstance(value, dict):
            old.update(value)
        elif isinstance(old, list) and isinstance(value, list):
            old.extend(value)
        else:
            node[path[-1]] = value
    return json.dumps(values)


def named(path, said):
    """Whether an error names a path of values: the schema writes it with slashes, the chart with dots."""
    forms = "|".join(re.escape(form) for form in ("/" + "/".join(path), ".".join(path)))
    return bool(re.search(rf"(^|[\s'\"])({forms})($|[\s'\"=:,/.])", said))
