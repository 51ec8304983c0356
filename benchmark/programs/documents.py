"""The blocks of the documents that are made from records, between `<!-- BEGIN: measured NAME -->` and its END.

A document may have any block: `summary`, the table of all newest results; `kills`, what the front page quotes; and for each
kind of record its newest result with a line for each earlier one.
"""

import re

import records
from shown import KINDS, chaos
from shown.form import count, source, table

BEGIN, END = "<!-- BEGIN: measured {} -->", "<!-- END: measured {} -->"
BLOCK = re.compile(r"^<!-- BEGIN: measured (?P<name>\S+) -->\n(?:.*\n)*?<!-- END: measured (?P=name) -->$", re.MULTILINE)
MARKER = re.compile(r"^<!-- (?:BEGIN|END): measured .*$", re.MULTILINE)
# In a document about measurements, a figure with one of these units is measured.
MEASURED = re.compile(r"\d[\d,.]* (?:sales/s|kills)\b|\bp99 \d[\d,.]*")
ABOUT_MEASUREMENTS = re.compile(r"README\.md|benchmark/.*")
# The figures of a summary that no other text has by chance: exact counts, and numbers with a unit.
FIGURES = re.compile(r"\b\d{1,3}(?:,\d{3})*,(?!000)\d{3}\b"), re.compile(r"\d[\d,.]* (?:sales/s|kills|sales|ms)\b|\d+\.\d\d times\b|\d{3,} s\b")


def linked(kind, base):
    return lambda words: f"[{words}]({base}{KINDS[kind].page})"


def rows(record, link):
    return KINDS[record["kind"]].module.rows(record, link)


def page(record):
    return [*source(record), "", *KINDS[record["kind"]].module.page(record)]


def summary(found, base="programs/results/"):
    shown = [
        [what, result, f"{newest['begun'][:10]}, {newest['commit']}"]
        for kind in KINDS if kind in found for newest in found[kind][:1] for what, result in rows(newest, linked(kind, base))
    ]
    return table(["what", "result", "date and commit"], shown)


def kills(found):
    newest = found["chaos"][0]
    return [f"`ci/chaos` breaks every part, on purpose and under load, and counts all sales after each: "
            f"[the results of {count(chaos.kills(newest), 'kill')}](benchmark/programs/results/{KINDS['chaos'].page})."]


def result(found, kind):
    """The newest record in full, and the others by what the summary said of them."""
    if kind not in found:
        return ["Not recorded yet."]
    newest, *earlier = found[kind]
    lines = page(newest)
    if earlier:
        plain = lambda record: "; ".join(f"{what}: {words}" for what, words in rows(record, str))
        past = [[record["begun"][:10], record["commit"], f"`{record['command']}`", plain(record)] for record in earlier]
        lines += ["", "Earlier:", "", *table(["date", "commit", "command", "result"], past)]
    return lines


def block(name, found):
    """The lines of one block; none if there is no such block."""
    if name in KINDS:
        return result(found, name)
    return {"summary": summary, "kills": kills}.get(name, lambda _: None)(found)


def spliced(text, found):
    """The document with all its blocks made from the records."""

    def renewed(match):
        name = match["name"]
        lines = block(name, found)
        if lines is None:
            raise ValueError(f"there is no block called {name}")
        return "\n".join([BEGIN.format(name), *lines, END.format(name)])

    rest = BLOCK.sub("", text)
    if stray := MARKER.search(rest):
        raise ValueError(f"this marker has no partner: {stray[0]}")
    return BLOCK.sub(renewed, text)


def figures(found):
    """The figures of all summaries, as they are written there, also those of earlier records."""
    words = [" ".join(row) for each in found.values() for record in each for row in rows(record, str)]
    return {figure for text in words for pattern in FIGURES for figure in pattern.findall(text)}


def copied(name, text, known):
    """The measured figures in a document that stand outside its blocks."""
    by_hand = BLOCK.sub("", text)
    stand = {figure for figure in known if re.search(rf"(?<![\d,.]){re.escape(figure)}(?!\w|[,.]\d)", by_hand)}
    if ABOUT_MEASUREMENTS.fullmatch(name):
        stand.update(MEASURED.findall(by_hand))
    return sorted(figure for figure in stand if not any(figure in other for other in stand - {figure}))


def paths():
    listed = records.shell("git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md").splitlines()
    return [path for path in listed if (records.ROOT / path).exists()]


def problems(texts, found):
    """What is wrong with the documents, of which `texts` has the content by path."""
    shown = {match["name"] for text in texts.values() for match in BLOCK.finditer(text)}
    for kind in found.keys() - shown:
        yield f"no document shows the records of {kind}: a page in benchmark/programs/results needs its block"
    known = figures(found)
    for path, text in texts.items():
        try:
            if spliced(text, found) != text:
                yield f"{path} is not what the records say: run benchmark/programs/tables"
        except ValueError as err:
            yield f"{path}: {err}"
        for figure in copied(path, text, known):
            yield f"{path}: \"{figure}\" was copied by hand: put it into a block, see benchmark/programs/documents.py"


def read():
    return {path: (records.ROOT / path).read_text() for path in paths()}


def update():
    """Renews all blocks, and prints which documents changed."""
    found = records.by_kind()
    for path, text in read().items():
        if (renewed := spliced(text, found)) != text:
            (records.ROOT / path).write_text(renewed)
            print(f"written: {path}")
