"""What a program measured can be kept as JSON, has every round, and can be shown."""

import programs
import json
import sys
import unittest
from unittest import mock

import documents
import records


class Programs(unittest.TestCase):
    def shown(self, record):
        """The page and the rows of a record that was written and read again."""
        again = json.loads(records.text(record))
        found = {again["kind"]: [again]}
        return "\n".join(documents.page(again)), "\n".join(documents.summary(found))

    def test_the_fan_out_keeps_every_round_of_every_copy(self):
        record = programs.record("fan-out", "--rounds", "3")
        copies = ["fan-out", "Kafka Streams", "at least once"]
        self.assertEqual({name: len(rounds) for name, rounds in record["rounds"].items()}, dict.fromkeys(copies, 3))
        self.assertEqual({name: len(rounds) for name, rounds in record["warm_up"].items()}, dict.fromkeys(copies, 6))
        page, rows = self.shown(record)
        self.assertIn("**199,900 sales/s exactly once**", page)
        self.assertIn("**1.00 times Kafka Streams** (round by round 1.00 (1.00 to 1.00))", page)
        self.assertIn("199,900 sales/s", rows)

    def test_the_loader_is_compared_with_its_rival_round_by_round(self):
        record = programs.record("loader", "--rounds", "3")
        copies = ["loader", "loader, lz4", "loader, snappy", "ProducerPerformance"]
        self.assertEqual({name: len(rounds) for name, rounds in record["rounds"].items()}, dict.fromkeys(copies, 3))
        page, rows = self.shown(record)
        self.assertIn("- **2.00 (2.00 to 2.00) times ProducerPerformance** round by round", page)
        self.assertIn("| ProducerPerformance | 99,950 (99,950 to 99,950) | 666,667 (666,667 to 666,667) |", page)
        self.assertIn("[1,333,333 sales per CPU second](programs/results/loader.md): 2.00 times ProducerPerformance", rows)

    def test_the_sinks_keep_every_round_of_every_role(self):
        record = programs.record("sinks", "--rounds", "2")
        self.assertEqual({name: len(rounds) for name, rounds in record["rounds"].items()}, {"postgres": 2, "redis": 2})
        page, _ = self.shown(record)
        self.assertIn("| postgres | **199,900 (199,900 to 199,900)** | 1.5 (1.5 to 1.5) |", page)

    def test_latency_keeps_its_rounds_and_all_attempts(self):
        record = programs.record("latency", "--rounds", "2", "--from", "8000")
        self.assertEqual([len(record[name]) for name in ("warm_up", "routed", "half")], [2, 2, 2])
        # A rate that was not held is tried twice.
        self.assertEqual([(step["offered"], step["held"]) for step in record["steps"]],
                         [(8_000, True), (10_000, True), (12_500, False), (12_500, False)])
        self.assertEqual(record["capacity"], 10_000)
        page, _ = self.shown(record)
        self.assertIn("**p99 150 (150 to 150) ms**", page)

    def test_the_auditor_is_compared_with_the_pipeline_of_its_run(self):
        record = programs.record("auditor", "--from", "8000", "--rounds", "2")
        self.assertEqual(len(record["rounds"]), 2)
        _, rows = self.shown({**record, "rounds": [{**each, "sales_per_s": 16_000} for each in record["rounds"]]})
        self.assertIn("1.60 times what loader, fan-out, Postgres and spout can handle together", rows)


SAMPLE = {"arrived": 1_000.0, "backlog": 50, "p99_s": 0.5, "sent_late_p99_s": 0.01, "findings": 0}


class Carry(unittest.TestCase):
    """A step of `carry`, from its samples."""

    carry = programs.command("carry")

    def judged(self, *changes):
        return self.carry.judged(1_000, [{**SAMPLE, **change} for change in changes])

    def test_a_step_holds_that_arrives_without_a_backlog_or_a_finding(self):
        step = self.judged(*[{}] * 12)
        self.assertTrue(step["held"])
        self.assertEqual((step["arrived"], step["backlog_first"], step["backlog_last"], step["p99_s"]), (1_000.0, 50, 50, 0.5))
        self.assertEqual(len(step["samples"]), 12)

    def test_a_step_does_not_hold_whose_backlog_grows(self):
        self.assertFalse(self.judged(*[{}] * 8, *[{"backlog": 1_050}] * 4)["held"])

    def test_a_step_does_not_hold_whose_backlog_is_unknown(self):
        step = self.judged(*[{}] * 8, *[{"backlog": None}] * 4)
        self.assertFalse(step["held"])
        self.assertIsNone(step["backlog_last"])

    def test_a_step_does_not_hold_that_arrives_too_slowly(self):
        self.assertFalse(self.judged(*[{"arrived": 970.0}] * 12)["held"])

    def test_a_step_does_not_hold_with_a_finding_or_without_an_auditor(self):
        self.assertFalse(self.judged(*[{}] * 11, {"findings": 1})["held"])
        self.assertFalse(self.judged(*[{"findings": None}] * 12)["held"])

    def test_a_late_report_of_the_auditor_is_no_fault(self):
        self.assertTrue(self.judged(*[{}] * 11, {"findings": None})["held"])

    def test_a_latency_that_is_never_known_is_absent(self):
        self.assertIsNone(self.judged(*[{"p99_s": None}] * 12)["p99_s"])

    def test_the_latency_is_the_one_at_stored(self):
        stage = lambda name, p99: {"name": name, "rate": 1.0, "lag": 2, "recent": {"p99_us": p99}}
        state = {"stages": [stage("stored", 500_000), stage("returned", 900_000)], "load": None, "findings": {"total": 3}}
        expected = {"arrived": 1.0, "backlog": 2, "p99_s": 0.5, "sent_late_p99_s": None, "findings": 3}
        self.assertEqual(self.carry.sample(state), expected)


class Setup(unittest.TestCase):
    """`setup`, with other commands."""

    def run_with(self, *commands, caches="warm"):
        setup, bench = programs.command("setup"), programs.Bench()
        with (mock.patch.multiple(setup, COMMANDS=commands, cached=lambda: ["/cache"], Measurement=lambda **_: bench),
              mock.patch.object(sys, "argv", ["setup", caches])):
            setup.main()
        return bench.record

    def test_each_command_is_timed_and_quoted(self):
        record = self.run_with("pwd", "true")
        self.assertEqual([(each["command"], each["said"]) for each in record["commands"]], [("pwd", str(records.ROOT)), ("true", "")])
        self.assertGreater(record["commands"][0]["seconds"], 0)
        self.assertIn("| `true` | 0 s | |", documents.page(record))

    def test_a_command_that_fails_leaves_no_result(self):
        with self.assertRaisesRegex(SystemExit, "false: exit code 1"):
            self.run_with("false")

    def test_what_is_cached_is_not_cold(self):
        with self.assertRaisesRegex(SystemExit, "not cold: /cache exists"):
            self.run_with("true", caches="cold")
