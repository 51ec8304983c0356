"""What a run is worth against its case, and what the page says of it."""

import unittest

from sample import POSTGRES, capsule, cause, starved

import capsules
import session
from cases import CASES, TWIN
from shown import poor
from shown.poor import Outcome

KNOWN = {case.name: case for case in (*CASES, TWIN)}


def measured(name, *samples, after=(), node=None, **more):
    """The record of a case with these capsules, and those after its advice."""
    runs = [capsules.run(None, sample) for sample in samples]
    record = {**session.begun(KNOWN[name]), "poor": "poor", "runs": runs, "node": node, "advice": capsules.advice(runs)}
    return {**record, "after": [capsules.run(None, sample) for sample in after], **more}


def outcome(name, sample, **more):
    case = measured(name, sample, **more)
    return poor.outcome(case["runs"][0], case)


class Outcomes(unittest.TestCase):
    def test_a_run_that_names_stage_resource_and_value_is_right(self):
        self.assertEqual(outcome("postgres-cpu", capsule(POSTGRES)), Outcome.RIGHT)

    def test_one_that_is_sure_of_something_else_is_wrong(self):
        for part in ({"stage": "cached"}, {"component": "redis"}, {"resource": "disk"}, {"change": {**POSTGRES["change"], "value": "postgres.replicas"}}):
            self.assertEqual(outcome("postgres-cpu", capsule({**POSTGRES, **part})), Outcome.WRONG, part)

    def test_one_that_names_no_cause_or_several_or_no_value_is_unclear(self):
        for sample in (capsule(), capsule(POSTGRES, POSTGRES), {**capsule(), "diagnosis": None}, capsule({**POSTGRES, "change": None})):
            self.assertEqual(outcome("postgres-cpu", sample), Outcome.UNCLEAR)

    def test_without_a_value_but_at_another_stage_it_is_wrong(self):
        self.assertEqual(outcome("postgres-cpu", capsule({**POSTGRES, "change": None, "stage": "cached"})), Outcome.WRONG)

    def test_one_without_a_verdict_on_the_cluster_is_neither(self):
        for verdict in ("INVALID", "COULD_NOT_RUN"):
            self.assertEqual(outcome("postgres-cpu", capsule(POSTGRES, verdict=verdict)), Outcome.NO_VERDICT)

    def test_a_broken_part_counts_as_named(self):
        full = cause("cached", "redis", "memory", "redis.resources.limits.memory", "512Mi", row=1)
        self.assertEqual(outcome("redis-full", capsule(full, kind="fault")), Outcome.RIGHT)

    def test_where_no_value_helps_none_may_be_named(self):
        link = cause("routed", "kafka", "network", row=13, node="node-3")
        self.assertEqual(outcome("slow-link", capsule(link), node="node-3"), Outcome.RIGHT)
        self.assertEqual(outcome("slow-link", capsule({**link, "node": "node-1"}), node="node-3"), Outcome.WRONG)
        self.assertEqual(outcome("slow-link", capsule({**link, "change": POSTGRES["change"]}), node="node-3"), Outcome.WRONG)

    def test_a_starved_loader_must_be_invalid_because_of_the_loaders(self):
        self.assertEqual(outcome("loader-cpu", starved()), Outcome.RIGHT)
        self.assertEqual(outcome("loader-cpu", capsule(POSTGRES)), Outcome.WRONG, "a verdict on the cluster")
        self.assertEqual(outcome("loader-cpu", capsule(verdict="INVALID", reason="clocks agree: no")), Outcome.UNCLEAR)
        self.assertEqual(outcome("loader-cpu", capsule(verdict="COULD_NOT_RUN")), Outcome.NO_VERDICT)

    def test_a_poor_part_that_is_not_the_limit_must_not_be_named(self):
        spout = cause("returned", "etl-spout", "cpu-limit", "etl.spout.resources.limits.cpu", "400m")
        self.assertEqual(outcome("spare-spout", capsule(spout)), Outcome.WRONG)
        for sample in (capsule(), capsule(POSTGRES)):
            self.assertEqual(outcome("spare-spout", sample), Outcome.RIGHT)

    def test_of_the_rich_twin_no_value_may_be_named(self):
        self.assertEqual(outcome("rich", capsule(POSTGRES)), Outcome.WRONG)
        for sample in (capsule(), capsule(cause("routed", "kafka", "node-cpu", row=2))):
            self.assertEqual(outcome("rich", sample), Outcome.RIGHT)


class Counts(unittest.TestCase):
    def test_a_case_counts_if_it_takes_30_percent(self):
        for held, felt in ((700.0, True), (701.0, False), (0.0, True)):
            self.assertIs(poor.counts(measured("postgres-cpu", capsule(POSTGRES, held=held)), 1000.0), felt, held)

    def test_the_median_of_the_runs_decides(self):
        case = measured("postgres-cpu", *(capsule(POSTGRES, held=held) for held in (100.0, 900.0, 950.0)))
        self.assertIs(poor.counts(case, 1000.0), False)

    def test_what_must_not_be_felt_counts_if_it_is_not(self):
        self.assertIs(poor.counts(measured("spare-spout", capsule(held=900.0)), 1000.0), True)
        self.assertIs(poor.counts(measured("spare-spout", capsule(held=500.0)), 1000.0), False)

    def test_a_starved_loader_counts_if_it_was_noticed(self):
        self.assertIs(poor.counts(measured("loader-cpu", starved()), 1000.0), True)
        self.assertIs(poor.counts(measured("loader-cpu", capsule(POSTGRES, held=10.0)), 1000.0), False)

    def test_what_was_not_run_or_has_no_capacity_does_not_count(self):
        self.assertIs(poor.counts(measured("slow-disk", not_run="no blkio"), 1000.0), False)
        self.assertIs(poor.counts(measured("postgres-cpu", capsule(verdict="INVALID", held=None)), 1000.0), False)


class Gains(unittest.TestCase):
    def test_the_gain_is_the_ratio_of_the_medians(self):
        case = measured("postgres-cpu", capsule(POSTGRES), after=[capsule(held=held) for held in (1100.0, 1300.0, 9000.0)])
        self.assertAlmostEqual(poor.gain(case), 1.3)
        self.assertEqual(poor.cured([case]), [case])
        self.assertEqual(poor.cured([measured("postgres-cpu", capsule(POSTGRES), after=[capsule(held=1199.0)])]), [])

    def test_from_nothing_anything_is_more(self):
        self.assertEqual(poor.gain(measured("loader-cpu", starved(), after=[capsule(held=50.0)])), float("inf"))
        self.assertIsNone(poor.gain(measured("loader-cpu", starved(), after=[starved()])))
        self.assertIsNone(poor.gain(measured("postgres-cpu", capsule(held=0.0), after=[capsule(held=0.0)])))

    def test_advice_that_was_not_taken_brought_nothing(self):
        self.assertIsNone(poor.gain(measured("postgres-cpu", capsule(POSTGRES))))


class Page(unittest.TestCase):
    def record(self):
        few = capsule(POSTGRES, held=200.0)
        cases = [
            measured("postgres-cpu", few, few, capsule(held=200.0), after=[capsule(held=900.0)]),
            measured("kafka-cpu", *[capsule(POSTGRES, held=990.0)] * 3),
            measured("slow-disk", not_run="this kernel can't slow a disk down"),
            measured("spare-spout", *[capsule(held=1000.0)] * 3, advice=None),
        ]
        return {"parameters": {"mode": "smoke", "runs": 3}, "rich": measured("rich", *[capsule(held=1000.0)] * 3), "cases": cases}

    def test_the_summary_counts_only_what_bites(self):
        ((what, result),) = poor.rows(self.record(), str)
        self.assertEqual(what, "2 clusters made poor on purpose, one thing each, benchmark in mode smoke")
        self.assertEqual(result, "5 of 6 runs named what it was, 1 were unclear and 0 wrong; "
                                 "with the advice taken, 1 of 1 carried at least 20 % more")  # fmt: skip

    def test_the_page_has_what_was_expected_and_named_with_unclear_as_a_column(self):
        page = poor.page(self.record())
        value = "postgres.resources.limits.cpu"
        self.assertIn("The rich twin carries **1,000 sales/s**.", page[0])
        self.assertIn("| cluster | what is poor | capacity, sales/s | counts | expected | named (runs) | right | unclear | wrong | no verdict |", page)
        self.assertIn(f"| postgres-cpu | poor | 200 | yes | stored or returned: postgres cpu-limit, {value} | "
                      f"stored: postgres cpu-limit, {value} (2); nothing (1) | 2 | 1 | 0 | 0 |", page)  # fmt: skip
        (kafka,) = (line for line in page if line.startswith("| kafka-cpu | poor |"))
        self.assertIn("| 990 | no |", kafka)
        self.assertTrue(kafka.endswith("| 0 | 0 | 3 | 0 |"), kafka)

    def test_the_page_has_what_the_advice_should_bring_and_brought(self):
        page = poor.page(self.record())
        self.assertIn("| postgres-cpu | postgres.resources.limits.cpu: 80m to 200m | 200 | 2,500 | 900 | +350 % | yes |", page)

    def test_the_page_says_what_was_not_run_and_why(self):
        page = poor.page(self.record())
        self.assertIn("- slow-disk: this kernel can't slow a disk down", page)
        self.assertTrue(any(line.startswith("| slow-disk | poor | ? | not run |") for line in page))
