"""The figures of a run of ci/chaos, and what shows that Kafka fenced a program."""

import pathlib
import sys
import types
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "ci" / "chaos.d"), str(ROOT / "benchmark" / "programs")]

import flow  # noqa: E402
import results  # noqa: E402
from processes.pauses import Pauses  # noqa: E402
from processes.programs import Fenced, Program  # noqa: E402
from results import Kind  # noqa: E402
from shown import chaos  # noqa: E402


def account(sent, unknown=0, **found):
    """The auditor's account, in which all stages agree."""
    counts = {**dict.fromkeys(flow.FINDINGS, 0), **found}
    tally = {"expected": sent - unknown, "found": sent - unknown, "unknown": unknown, "not_auditable": 0}
    return {"stages": {"accepted": {**tally, **dict.fromkeys(flow.FINDINGS, 0)}, "stored": {**tally, **counts}}}


class Results(unittest.TestCase):
    def test_a_fault_says_what_kind_it_is(self):
        part = results.Results().part("part")
        kinds = [part.fault("nobody killed").kind, part.fault("etl gone", Kind.KILL).kind]
        self.assertEqual(kinds, [Kind.OTHER, Kind.KILL])

    def test_a_fault_that_is_caused_again_is_the_same(self):
        part = results.Results().part("part")
        part.fault("etl killed", Kind.KILL).times += 1
        part.fault("etl killed", Kind.KILL).times += 1
        self.assertEqual([fault["times"] for fault in part.figures()["faults"]], [2])

    def test_the_figures_have_every_recovery_and_the_account_and_can_be_shown(self):
        outcome = results.Results()
        part = outcome.part("part")
        fault = part.fault("etl killed", Kind.KILL)
        fault.times, fault.seconds = 2, [1.0, 3.0]
        part.take(flow.Account(account(1_000, unknown=3, lost=2)), None)
        outcome.part("cut short")
        outcome.problem("no account")
        figures = outcome.figures()
        self.assertEqual(figures["parts"][0]["faults"], [{"name": "etl killed", "kind": "kill", "times": 2, "seconds": [1.0, 3.0]}])
        self.assertEqual(figures["parts"][0]["account"], {"sent": 1_000, "lost": 2, "duplicate": 0, "altered": 0, "unknown": 3})
        self.assertIsNone(figures["parts"][1]["account"])
        page = chaos.page({"parameters": {"chapters": ["processes"]}, **figures})
        self.assertIn("| **part** | **2** | **1,000** | **2** | **0** | **0** | **3** | | |", page)
        self.assertIn("| etl killed | 2 | | | | | | 2.0 | 3.0 |", page)
        self.assertEqual(page[-1], "- no account")


class Fencing(unittest.TestCase):
    BEFORE = Fenced(pid=7, times=2, log_length=len("before: fenced\n"))

    def problems(self, times=2, pid=7, runs=True, log="before: fenced\n"):
        """What is wrong after a program was stopped, whose counter, process and log are these now."""
        outcome = results.Results()
        program = Program.__new__(Program)
        program.pod, program.pid, program.runs, program.log = "etl-0", pid, lambda: runs, lambda since: log[since:]
        program.asked = lambda path: {"counters": {flow.FENCED: times}} if runs else None
        pauses = Pauses(types.SimpleNamespace(outcome=outcome, within=lambda seconds, holds: holds()), None)
        pauses.must_be_fenced(results.Fault("etl stopped", Kind.FENCING), program, self.BEFORE)
        return outcome.problems

    def test_a_program_that_goes_on_has_counted_that_kafka_refused_it(self):
        self.assertEqual(self.problems(times=3), [])

    def test_a_program_that_did_not_count_it_since_is_a_problem_whatever_its_log_says(self):
        (problem,) = self.problems(log="before: fenced\nsomebody else was fenced")
        self.assertIn("etl stopped: etl-0 was not fenced: somebody else was fenced", problem)

    def test_a_program_that_exited_because_of_it_says_so_in_its_error(self):
        self.assertEqual(self.problems(runs=False, log="before: fenced\nError: consuming sales: FencedInstanceId"), [])
        self.assertEqual(self.problems(pid=8, times=0, log="before: fenced\nError: consuming sales: FencedInstanceId\n"), [])

    def test_a_program_that_exited_for_another_reason_is_a_problem(self):
        (problem,) = self.problems(runs=False, log="before: fenced\nfenced?\nError: the disk is full")
        self.assertIn("etl-0 was not fenced", problem)

    def test_what_a_new_process_counted_is_not_the_old_ones(self):
        self.assertEqual(len(self.problems(pid=8, times=9, log="before: fenced\nall is well")), 1)
