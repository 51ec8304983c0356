"""The results of a run: progress messages and the final table."""

import enum
import statistics
import sys
import time

BEGUN = time.monotonic()


def say(words):
    """Prints a line of progress, in the form of the shell scripts."""
    print(f"{time.monotonic() - BEGUN:4.0f}s  {words}", file=sys.stderr, flush=True)


class Kind(enum.StrEnum):
    """What a fault is, whatever it is called."""

    # A process ends without warning.
    KILL = "kill"
    # A program is stopped until another has taken over: Kafka must refuse what it sends afterwards.
    FENCING = "fencing"
    OTHER = "other"


class Fault:
    """How often a fault was caused, and how long the pipeline took to recover each time."""

    def __init__(self, name, kind=Kind.OTHER):
        self.name, self.kind, self.times, self.seconds = name, kind, 0, []

    def row(self):
        median, longest = (f"{seconds(self.seconds):.1f}" if self.seconds else "" for seconds in (statistics.median, max))
        return [self.name, str(self.times), *[""] * 5, median, longest]


class Part:
    """Faults caused together, and the account after them."""

    def __init__(self, name):
        self.name, self.faults, self.account, self.where = name, {}, None, None

    def take(self, account, where):
        """`where` names the pipeline, because another pipeline's counts start at zero."""
        self.account, self.where = account, where

    def fault(self, name, kind=Kind.OTHER):
        return self.faults.setdefault(name, Fault(name, kind))

    def rows(self):
        counts = [""] * 5
        if self.account:
            found = self.account.found
            counts = [self.account.sent, found["lost"], found["duplicate"], found["altered"], self.account.unknown]
        times = sum(fault.times for fault in self.faults.values())
        yield [f"**{self.name}**", f"**{times}**", *(f"**{count:,}**" if count != "" else "**?**" for count in counts), "", ""]
        for fault in self.faults.values():
            yield fault.row()


class Results:
    """All parts, and what went wrong."""

    def __init__(self):
        self.parts, self.problems, self.notes = [], [], []

    def part(self, name):
        say(f"--- {name}")
        self.parts.append(Part(name))
        return self.parts[-1]

    def problem(self, words):
        self.problems.append(words)
        say(f"FAIL  {words}")

    def kills(self):
        return sum(fault.times for part in self.parts for fault in part.faults.values() if fault.kind is Kind.KILL)

    def table(self):
        heads = ["fault", "times", "sales sent", "lost", "duplicated", "altered", "unknown", "to recover, median s", "max s"]
        rows = [heads, ["---"] * len(heads), *(row for part in self.parts for row in part.rows())]
        return ["| " + " | ".join(row) + " |" for row in rows]

    def lines(self):
        """The table, followed by notes and problems."""
        trouble = [f"- {words}" for words in self.problems] or ["None."]
        notes = [f"- {words}" for words in [f"{self.kills()} kills in all.", *self.notes]]
        return [*self.table(), "", *notes, "", "What went wrong:", "", *trouble]
