"""The program as a whole, on a cluster that is not there."""

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import signal
import subprocess
import sys
import unittest
from unittest import mock

from sample import POSTGRES, ROOT, capsule

import capsules
import cases
import documents
import measurement


def program():
    loader = importlib.machinery.SourceFileLoader("poor_command", str(ROOT / "ci" / "poor"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


class Release:
    """Carries a fifth as long as it is poor."""

    def __init__(self, is_poor):
        self.is_poor = is_poor

    def run(self, name):
        return capsules.run(None, capsule(POSTGRES, held=200.0) if self.is_poor else capsule(held=1000.0))

    def upgrade(self, words):
        self.is_poor = False


@contextlib.contextmanager
def installed(values, mode):
    yield Release(values != cases.RICH)


class Program(unittest.TestCase):
    def run_with(self, *arguments):
        """What it prints, and what it would record."""
        module, finished = program(), {}

        def finish(self, kind, parameters, **figures):
            common = {"begun": "2026-11-28T10:00:00Z", "commit": "abc", "command": "ci/poor", "machine": {"cores": 2, "cpu": "AMD EPYC"}}
            finished.update(json.loads(json.dumps({"kind": kind, **common, "parameters": parameters, **figures})))

        output = io.StringIO()
        with (mock.patch.object(module.release, "cluster", contextlib.nullcontext), mock.patch.object(module.session, "installed", installed),
              mock.patch.object(module.session, "say"), mock.patch.object(measurement.Measurement, "finish", finish),
              mock.patch.object(module.signal, "signal"), mock.patch.object(sys, "argv", ["ci/poor", *arguments]),
              mock.patch.object(sys, "exit", side_effect=SystemExit), contextlib.redirect_stdout(output),
              contextlib.redirect_stderr(output)):  # fmt: skip
            with contextlib.suppress(SystemExit):
                module.main()
        return output.getvalue(), finished

    def test_the_record_of_some_cases_can_be_shown(self):
        _, record = self.run_with("postgres-cpu", "--runs", "2")
        self.assertEqual((record["kind"], len(record["cases"]), record["parameters"]["mode"]), ("poor-some", 1, "smoke"))
        page = "\n".join(documents.page(record))
        self.assertIn("| postgres-cpu | postgres.resources.limits.cpu=80m | 200 | yes |", page)
        self.assertIn("| 200 | 2,500 | 1,000 | +400 % | yes |", page)
        ((_, result),) = documents.rows(record, str)
        self.assertIn("2 of 2 runs named what it was", result)

    def test_without_cases_all_are_measured(self):
        values_only = tuple(case for case in cases.CASES if not case.degrees[0].disturbs)
        with mock.patch.object(cases, "CASES", values_only):
            _, record = self.run_with("--runs", "1")
        self.assertEqual((record["kind"], [case["name"] for case in record["cases"]]), ("poor", [case.name for case in values_only]))
        self.assertTrue(documents.page(record))

    def test_the_list_has_every_case_with_what_is_expected_and_measures_nothing(self):
        output, record = self.run_with("--list")
        self.assertEqual(record, {})
        for case in cases.CASES:
            self.assertIn(f"{case.name}\n    {case.degrees[0].words}\n", output)
        self.assertIn("    expected: INVALID, loader.resources.limits.cpu\n", output)

    def test_a_case_that_there_is_not_is_refused_with_those_that_there_are(self):
        output, record = self.run_with("postgres-gpu")
        self.assertEqual(record, {})
        self.assertIn("there is no case postgres-gpu, only postgres-cpu, kafka-cpu", output)


# The program with a cluster that only says what happens to it, and a first measurement that takes long.
STOPPED = """
import contextlib, sys, time
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv.pop(1))
import test_program
module = test_program.program()

@contextlib.contextmanager
def cluster():
    try:
        yield
    finally:
        print("removing", flush=True)
        time.sleep(0.5)
        print("removed", flush=True)

def measure_twin(self):
    print("measuring", flush=True)
    module.release.command("sleep", "60")

module.release.cluster, module.session.Session.measure_twin = cluster, measure_twin
module.main()
"""


class Stopping(unittest.TestCase):
    def test_a_signal_ends_it_and_all_is_removed_even_if_a_second_one_comes(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            here = str(ROOT / "ci" / "poor.d" / "tests")
            with subprocess.Popen([sys.executable, "-c", STOPPED, here, "--runs", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
                self.assertEqual(run.stdout.readline(), "measuring\n")
                run.send_signal(number)
                self.assertEqual(run.stdout.readline(), "removing\n")
                run.send_signal(number)
                output, errors = run.communicate(timeout=30)
            self.assertEqual((output, run.returncode), ("removed\n", 1))
            self.assertIn("stopped by a signal", errors)
