"""Records of measurements: one JSON file a run in results/, see `measurement` for how they are written.

A record has what all have (see `KEYS`) and the figures of its kind, raw: a list of rounds for whatever was repeated. Those that
were converted from Markdown say so under `converted`, and have the median and the extremes that were written down then instead of
the rounds.
"""

import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmark" / "programs" / "results"
KEYS = {"kind", "begun", "commit", "command", "machine", "parameters"}


def shell(*command):
    return subprocess.run(command, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout.strip()


def text(record):
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def free(folder, name):
    """The file for a record; a second one of the same day is numbered."""
    names = [f"{name}.json", *(f"{name}-{number}.json" for number in range(2, 100))]
    return next(folder / each for each in names if not (folder / each).exists())


def read(path):
    record = json.loads(path.read_text())
    if missing := KEYS - record.keys():
        sys.exit(f"{path.name} is not a record: it has no {', '.join(sorted(missing))}")
    return record


def by_kind(folder=RESULTS):
    """{kind: its records, newest first}."""
    found = {}
    for record in sorted(map(read, folder.glob("*.json")), key=lambda record: record["begun"], reverse=True):
        found.setdefault(record["kind"], []).append(record)
    return found
