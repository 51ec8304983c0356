"""Writes the files derived from values.yaml. See `generate`."""

import json
import pathlib
import re
import sys

import yaml

CHART = pathlib.Path(__file__).parent
PROGRAMS = ("loader", "webapp", "etl", "auditor", "exporter", "probe", "benchmark")
LINE = 130


def documented(text):
    """{path: (description, documented default or None)}, from the comments of a values file, in its order."""
    found, path, comment, default = {}, [], [], None
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("# -- "):
            comment, default = [stripped[5:]], None
        elif stripped.startswith("# @default -- "):
            default = stripped[14:]
        elif stripped.startswith("# ") and comment:
            comment.append(stripped[2:])
        elif key := re.match(r"^( *)([A-Za-z]+):", line):
            path[len(key[1]) // 2 :] = [key[2]]
            if comment:
                found[".".join(path)] = (" ".join(comment), default)
            comment, default = [], None
        else:
            comment, default = [], None
    return found


def leaves(values, comments, path=""):
    """(path, value) of each row of the table: everything without commented entries."""
    for key, value in values.items():
        here = f"{path}.{key}" if path else key
        below = isinstance(value, dict) and any(other.startswith(here + ".") for other in comments)
        if below:
            yield from leaves(value, comments, here)
        else:
            yield here, value


def compact(node, indent=0, key=0):
    """JSON in which everything that fits is on one line. `key` is the width of what precedes it on the line."""
    flat = json.dumps(node, ensure_ascii=False)
    if indent + key + len(flat) < LINE or not node or not isinstance(node, (dict, list)):
        return flat
    pad, inner = " " * (indent + 2), []
    for name, value in node.items() if isinstance(node, dict) else enumerate(node):
        label = f"{json.dumps(name)}: " if isinstance(node, dict) else ""
        inner.append(pad + label + compact(value, indent + 2, len(label)))
    brackets = "{}" if isinstance(node, dict) else "[]"
    return brackets[0] + "\n" + ",\n".join(inner) + "\n" + " " * indent + brackets[1]


def described(schema, comments):
    """The schema with a description for each node, from the comments or from the definition that it refers to."""

    def fill(node, path):
        target = schema["$defs"].get(node.get("$ref", "").rsplit("/", 1)[-1], {})
        name = path.rsplit(".", 1)[-1]
        said = comments.get(path) or comments.get(name) or (target.get("description") or node.get("description"), None)
        if said[0]:
            node.pop("description", None)
            node |= {"description": said[0].replace("`", "")}
        for key, value in node.get("properties", {}).items():
            fill(value, f"{path}.{key}".lstrip("."))

    for key, value in schema["properties"].items():
        fill(value, key)
    # What the servers have in common is described in Kafka's comments.
    for name in ("image", "resources", "persistence", "auth"):
        for key, value in schema["$defs"][name]["properties"].items():
            fill(value, f"kafka.{name}.{key}")
    return schema


def table(values, comments):
    """The values as a Markdown table."""
    rows = ["| value | default | what it is |", "| --- | --- | --- |"]
    for path, value in leaves(values, comments):
        text, default = comments[path]
        shown = default or f"`{json.dumps(value, ensure_ascii=False)}`"
        rows.append(f"| `{path}` | {shown} | {text.replace('|', chr(92) + '|')} |")
    return "\n".join(rows)


def spliced(text, name, new):
    """The text, with everything between two markers replaced."""
    begin, end = f"<!-- BEGIN: {name} -->", f"<!-- END: {name} -->"
    before, rest = text.split(begin)
    return f"{before}{begin}\n{new}\n{end}{rest.split(end)[1]}"


def images(values, chart):
    """(name, image) of everything that the default values and the presets run."""
    own = values["image"]
    for program in PROGRAMS:
        tag = values["probe"]["tag"] if program == "probe" else own["tag"] or chart["appVersion"].replace("+", "_")
        yield f"kapture-{program}", f"{own['registry']}/{own['repository']}/kapture-{program}:{tag}"
    for store in ("kafka", "postgres", "redis"):
        image = values[store]["image"]
        yield store, f"{image['registry']}/{image['repository']}:{image['tag']}"


def annotated(text, found):
    """Chart.yaml with updated lists of images."""
    for key in ("helm.sh/images", "artifacthub.io/images"):
        block = "".join(f"    - name: {name}\n      image: {image}\n" for name, image in found)
        text = re.sub(rf"(?m)^  {re.escape(key)}: \|\n(?:    .*\n)*", f"  {key}: |\n{block}", text)
    return text


def outputs():
    """{file: its required content}."""
    text = (CHART / "values.yaml").read_text()
    values, comments = yaml.safe_load(text), documented(text)
    chart = (CHART / "Chart.yaml").read_text()
    schema = described(json.loads((CHART / "values.schema.json").read_text()), comments)
    return {
        CHART / "values.schema.json": compact(schema) + "\n",
        CHART / "files" / "defaults.json": json.dumps(values, indent=1, ensure_ascii=False) + "\n",
        CHART / "README.md": spliced((CHART / "README.md").read_text(), "values", table(values, comments)),
        CHART / "Chart.yaml": annotated(chart, list(images(values, yaml.safe_load(chart)))),
    }


def main():
    stale = {path: text for path, text in outputs().items() if not path.exists() or path.read_text() != text}
    for path, text in stale.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        print(path.relative_to(CHART), file=sys.stderr)


if __name__ == "__main__":
    main()
