"""The results of a run: the figures that become its record."""

from measurement import say
from shown.chaos import COUNTS, Kind


class Fault:
    """How often a fault was caused, and how long the pipeline took to recover each time."""

    def __init__(self, name, kind=Kind.OTHER):
        self.name, self.kind, self.times, self.seconds = name, kind, 0, []

    def figures(self):
        return {"name": self.name, "kind": self.kind, "times": self.times, "seconds": self.seconds}


class Part:
    """Faults caused together, and the account after them."""

    def __init__(self, name):
        self.name, self.faults, self.account, self.where = name, {}, None, None

    def take(self, account, where):
        """`where` names the pipeline, because another pipeline's counts start at zero."""
        self.account, self.where = account, where

    def fault(self, name, kind=Kind.OTHER):
        return self.faults.setdefault(name, Fault(name, kind))

    def figures(self):
        account = self.account
        counts = account and {name: {"sent": account.sent, "unknown": account.unknown, **account.found}[name] for name in COUNTS}
        return {"name": self.name, "account": counts, "faults": [fault.figures() for fault in self.faults.values()]}


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

    def figures(self):
        return {"parts": [part.figures() for part in self.parts], "notes": self.notes, "problems": self.problems}
