"""What is said of a record follows from its figures."""

import programs  # noqa: F401
import unittest

from shown import carry, chaos, fan_out, latency

PLAIN = str


def copies(**rates):
    """A record of copies with the rate and the CPU of each round."""
    sides = {"ours": "ours", "without": "without transactions"}
    return {
        "machine": {"cores": 2},
        "parameters": {"sales": 1, "mean_bytes": 2, "partitions": 3, "topics": 51, "rounds": 2, "warm_up_rounds": 0, "interval_ms": 100,
                       "copies": [{"name": name, "side": sides.get(name, "rival"), "about": "x"} for name in rates]},
        "rounds": {name: [{**dict.fromkeys(("broker_cpu_s", "client_peak_mib", "wall_s", "others_cores"), 1.0),
                           "sales_per_s": rate, "client_cpu_s": 1e6 / rate} for rate in each] for name, each in rates.items()},
    }


class FanOut(unittest.TestCase):
    def test_every_rival_of_the_table_has_its_ratios_under_its_own_name(self):
        record = copies(ours=[300_000, 400_000], flink=[200_000, 200_000], spark=[100_000, 100_000])
        ((_, result),) = fan_out.rows(record, PLAIN)
        self.assertEqual(result, "350,000 sales/s: 1.75 times flink with 0.58 of its CPU, 3.50 times spark with 0.29 of its CPU")
        page = "\n".join(fan_out.page(record))
        self.assertIn("- **1.75 times flink** (round by round 1.75 (1.50 to 2.00)), with 0.58 of its CPU", page)
        self.assertIn("- **3.50 times spark** (round by round 3.50 (3.00 to 4.00)), with 0.29 of its CPU", page)

    def test_the_price_is_what_is_missing_to_the_rate_without_transactions(self):
        page = "\n".join(fan_out.page(copies(ours=[90, 80], without=[100, 100])))
        self.assertIn("- the price of exactly-once: 15 % (round by round 15 (10 to 20) %)", page)


class Latency(unittest.TestCase):
    def test_the_summary_has_the_medians_of_the_rounds(self):
        record = {"parameters": {"rate": 20_000}, "capacity": 38_000, "routed": [{"p99_ms": ms} for ms in (140, 150, 160)],
                  "half": {"p99_ms": {"median": 416, "lowest": 316, "highest": 866}}}
        self.assertEqual([result for _, result in latency.rows(record, PLAIN)], ["p99 150 ms", "p99 416 ms"])


class Carry(unittest.TestCase):
    def record(self, *held):
        steps = [{"asked": 1_000 * (number + 1), "held": each, "arrived": 1.0, "backlog_first": 1, "backlog_last": None, "p99_s": None,
                  "sent_late_p99_s": 0.1} for number, each in enumerate(held)]
        return {"machine": {"cores": 2}, "parameters": {"seconds": 60, "latency_stage": "stored"}, "steps": steps, "memory": []}

    def test_the_highest_rate_that_held_is_the_result(self):
        ((_, result),) = carry.rows(self.record(True, True, False), PLAIN)
        self.assertEqual(result, "2,000 sales/s sustained for 60 s; 3,000 were not")

    def test_no_rate_that_held_is_a_result_too(self):
        ((_, result),) = carry.rows(self.record(False), PLAIN)
        self.assertEqual(result, "no rate sustained for 60 s; 1,000 were tried")
        self.assertIn("No rate held.", carry.page(self.record(False)))

    def test_the_heading_names_the_stage_that_was_measured_and_what_is_unknown_is_marked(self):
        page = carry.page(self.record(True))
        self.assertIn("| p99 due to stored, s |", page[2])
        self.assertEqual(page[4], "| 1,000 | 1 | 1 | ? | ? | 0.10 | held |")


def fault(name, kind, times, seconds):
    return {"name": name, "kind": kind, "times": times, "seconds": seconds}


ACCOUNT = {"sent": 5_000, "lost": 0, "duplicate": 0, "altered": 0, "unknown": 7}


class Chaos(unittest.TestCase):
    def record(self, *faults, account=ACCOUNT, problems=()):
        parts = [{"name": "part", "account": account, "faults": list(faults)}]
        return {"parameters": {"chapters": ["processes"]}, "parts": parts, "notes": [], "problems": list(problems)}

    def test_what_counts_as_a_kill_is_its_kind_and_not_its_name(self):
        record = self.record(fault("broker replaced", "kill", 3, [2.0]), fault("nobody killed", "other", 4, [1.0]))
        self.assertEqual(chaos.kills(record), 3)
        ((what, _),) = chaos.rows(record, PLAIN)
        self.assertEqual(what, "3 kills and 4 other faults, to the pipeline as processes")

    def test_the_slowest_recovery_is_named(self):
        record = self.record(fault("a", "kill", 2, [3.0, 90.0]), fault("b", "other", 1, {"median": 1, "highest": 20}))
        ((_, result),) = chaos.rows(record, PLAIN)
        self.assertEqual(result, "none of 5,000 sales lost, duplicated or altered; the slowest recovery took 90 s (a), "
                                 "after any other fault 20 s")

    def test_a_run_that_lost_a_sale_or_had_a_problem_failed(self):
        for record in (self.record(account={**ACCOUNT, "lost": 1}), self.record(problems=["helm test fails"])):
            ((_, result),) = chaos.rows(record, PLAIN)
            self.assertTrue(result.startswith("failed: of 5,000 sales, "), result)

    def test_a_part_without_an_account_is_marked(self):
        self.assertIn("| **part** | **1** | **?** | **?** | **?** | **?** | **?** | | |",
                      chaos.page(self.record(fault("a", "other", 1, []), account=None)))

    def test_a_fault_that_was_not_recovered_from_has_no_time(self):
        self.assertIn("| a | 1 | | | | | | | |", chaos.page(self.record(fault("a", "kill", 1, []))))
