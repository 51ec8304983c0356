"""One measurement: of a clean tree, written as a record and shown in the documents by the command that measured."""

import datetime
import os
import pathlib
import sys
import time

import documents
from records import RESULTS, ROOT, free, shell, text

BEGUN = time.monotonic()


def say(words):
    """Prints a line of progress, in the form of the shell scripts."""
    print(f"{time.monotonic() - BEGUN:4.0f}s  {words}", file=sys.stderr, flush=True)


def machine():
    """What the figures depend on; nothing that names this machine."""
    cpu = shell("sh", "-c", "sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cores": os.cpu_count(), "cpu": cpu, "memory_gib": round(memory), "system": f"Linux {os.uname().release}"}


def command():
    """This program with its arguments, as typed at the root of the repository."""
    return " ".join([str(pathlib.Path(sys.argv[0]).resolve().relative_to(ROOT)), *sys.argv[1:]])


class Measurement:
    """Made before the work begins, so that a dirty tree is refused then and not after it."""

    def __init__(self, recorded=True, otherwise=""):
        if recorded and shell("git", "status", "--porcelain"):
            sys.exit(f"the tree is dirty: commit first, so that the result can be repeated{otherwise}")
        self.recorded, self.commit = recorded, shell("git", "rev-parse", "--short=10", "HEAD")
        self.begun = datetime.datetime.now(datetime.UTC)

    def finish(self, kind, parameters, by=None, **figures):
        """Prints the result. If it is to be recorded, writes the record and shows it in the documents."""
        begun = self.begun.isoformat(timespec="seconds").replace("+00:00", "Z")
        common = {"kind": kind, "begun": begun, "commit": self.commit, "command": by or command(), "machine": machine()}
        record = {**common, "parameters": parameters, **figures}
        print("\n".join(documents.page(record)))
        if not self.recorded:
            return
        path = free(RESULTS, f"{self.begun:%Y-%m-%d}-{kind}")
        path.write_text(text(record))
        print(f"written: {path.relative_to(ROOT)}")
        documents.update()
