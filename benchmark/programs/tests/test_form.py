"""Figures are written with their spread, whether the record has the rounds or was converted."""

import programs  # noqa: F401
import unittest

from shown import form

ROUNDS = [{"p99_ms": 150.4}, {"p99_ms": 146.2}, {"p99_ms": 152.0}]
CONVERTED = {"p99_ms": {"median": 150, "lowest": 146, "highest": 152}}


class Form(unittest.TestCase):
    def test_a_spread_is_median_with_lowest_and_highest(self):
        self.assertEqual(form.spread(ROUNDS, "p99_ms").text(), "150 (146 to 152)")
        self.assertEqual(form.spread(ROUNDS, "p99_ms").text("{:.1f}"), "150.4 (146.2 to 152.0)")

    def test_a_converted_record_has_the_spread_itself(self):
        self.assertEqual(form.spread(CONVERTED, "p99_ms").text(), "150 (146 to 152)")

    def test_an_empty_cell_of_a_table_takes_no_room(self):
        self.assertEqual(form.table(["a", ""], [["1", ""]]), ["| a | |", "| --- | --- |", "| 1 | |"])

    def test_a_count_of_one_is_singular(self):
        self.assertEqual([form.count(number, "kill") for number in (0, 1, 1234)], ["0 kills", "1 kill", "1,234 kills"])

    def test_every_attempt_says_whether_it_held(self):
        step = {"offered": 24413, "arrived": 24556.1, "p50_ms": 223, "p99_ms": 412, "sent_late_p99_ms": 7.93, "held": False}
        self.assertEqual(form.steps("stored", [step])[-1], "| 24,413 | 24,556 | 223 | 412 | 7.9 | did not hold |")

    def test_the_source_names_date_command_commit_and_machine(self):
        machine = {"cores": 2, "cpu": "AMD EPYC", "memory_gib": 24, "system": "Linux 6"}
        record = {"begun": "2026-11-28T10:00:00Z", "command": "ci/chaos", "commit": "abc", "machine": machine}
        self.assertEqual(form.source(record), ["2026-11-28, by `ci/chaos`, commit abc, on 2 cores (AMD EPYC) and 24 GiB, Linux 6."])
        self.assertIn("Converted: by hand.", form.source({**record, "converted": "by hand."}))
