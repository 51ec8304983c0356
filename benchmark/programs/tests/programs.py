"""The measuring programs for tests: how to import them, and servers and programs that answer without running."""

import collections
import contextlib
import importlib.machinery
import importlib.util
import pathlib
import sys
from unittest import mock

PROGRAMS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROGRAMS))

# What every program can do here; a higher rate is not reached.
CAPACITY = 10_000
SALES = 2_000_000


def command(name):
    """A program of the folder above, as a module."""
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_") + "_command", str(PROGRAMS / name))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def record(name, *arguments):
    """The record that a program makes when it is run with these arguments, on a bench that is not there."""
    module, bench = command(name), Bench()
    account = {"stages": {stage: {"expected": SALES, "found": SALES, "compared": SALES} for stage in ("routed", "stored", "returned")},
               "findings": [], "auditable": True}
    with (mock.patch.object(module, "Bench", lambda unrecorded: bench), mock.patch("time.sleep"),
          mock.patch.object(sys, "argv", [name, *arguments]), mock.patch.object(module, "account", lambda: account, create=True)):
        module.main()
    return bench.record


class Process:
    def cpu(self):
        return 1.5

    def peak_mib(self):
        return 100.0


class Bench:
    """Answers as harness.Bench and its gauge do, and keeps the record."""

    def __init__(self):
        self.measured, self.record = self, None
        self.variables = collections.defaultdict(str)
        self.servers = collections.defaultdict(Process)
        self.binaries = pathlib.Path("release")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def environment(self, *servers, **more):
        return more

    def gauge(self, verb, *arguments, **more):
        latency = {"n": 1, "p50_ms": 80.0, "p99_ms": 150.0, "p999_ms": 160.0, "max_ms": 170.0}
        done = {"well": True, "found": SALES, "positions": SALES}
        return {
            "preload": {"sales": SALES, "mean_bytes": 547}, "routed": done, "stored": done, "follow": {**latency, "negative": 0},
            "group": {"first": 1_000, "last": SALES, "first_us": 1_000_000, "last_us": 11_000_000},
            "store": {"first": 1_000, "last": SALES, "first_us": 1_000_000, "last_us": 11_000_000},
            "load": {"first": 1_000, "last": SALES, "first_us": 1_000_000, "last_us": 11_000_000}, "account": {**done, "mean_bytes": 547},
            "report": {**latency, "seconds": 2.0, "counters": collections.defaultdict(lambda: 2 * CAPACITY)},
        }.get(verb, {})

    @contextlib.contextmanager
    def watching(self, *arguments, **more):
        yield lambda: self.gauge(*arguments)

    @contextlib.contextmanager
    def program(self, *arguments, **more):
        yield Process()

    role = program

    def finished(self, *arguments):
        return "7 records sent, 1.0 records/sec (0.1 MB/sec)\n2000000 records sent, 99950.0 records/sec (52.1 MB/sec)\n", 3.0, 600.0

    def empty(self, store, **apart):
        pass

    def finish(self, kind, parameters, **figures):
        machine = {"cores": 2, "cpu": "AMD EPYC", "memory_gib": 24, "system": "Linux 6"}
        self.record = {"kind": kind, "begun": "2026-11-28T10:00:00Z", "commit": "abc", "command": kind, "machine": machine,
                       "parameters": parameters, **figures}
