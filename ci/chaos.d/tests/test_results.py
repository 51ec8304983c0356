"""The figures of a run of ci/chaos, and which faults must end in fencing."""

import pathlib
import sys
import types
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "ci" / "chaos.d"), str(ROOT / "benchmark" / "programs")]

import flow  # noqa: E402
import results  # noqa: E402
from processes.pauses import Pauses  # noqa: E402
from processes.programs import Program  # noqa: E402
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
    def problems(self, kind, log):
        """What is wrong after a fault of this kind that left this in the program's log."""
        outcome = results.Results()
        program = Program.__new__(Program)
        program.pod, program.log = "etl-0", lambda since: log[since:]
        pauses = Pauses(types.SimpleNamespace(outcome=outcome), None)
        pauses.must_be_fenced(results.Fault("etl stopped", kind), program, len("before: fenced\n"))
        return outcome.problems

    def test_a_program_that_kafka_refused_was_fenced(self):
        self.assertEqual(self.problems(Kind.FENCING, "before: fenced\nError: FencedInstanceId"), [])

    def test_a_program_that_kafka_did_not_refuse_since_is_a_problem(self):
        (problem,) = self.problems(Kind.FENCING, "before: fenced\nall is well")
        self.assertIn("etl stopped: etl-0 was not fenced: all is well", problem)

    def test_other_faults_need_not_end_in_fencing(self):
        self.assertEqual(self.problems(Kind.OTHER, "before: fenced\nall is well"), [])
