"""What is taken from a run, and which advice from several."""

import unittest

from sample import POSTGRES, capsule, cause, errors, starved

import capsules
from release import words_of

LINE = 'verdict=PASS capacity=1000 low=990 high=1010 failed=2000 unit=sales/s limit=kapture-postgres-0/CPU-limit report=http://x/results/a.html'


def runs(*causes):
    return [capsules.run(None, capsule(each) if each else capsule()) for each in causes]


class Samples(unittest.TestCase):
    def test_the_samples_conform_to_the_published_schema(self):
        for sample in (capsule(), capsule(POSTGRES), capsule(POSTGRES, POSTGRES), starved()):
            self.assertEqual(list(errors(sample)), [])

    def test_what_does_not_conform_is_found(self):
        self.assertEqual(len(list(errors({**capsule(), "verdict": "MAYBE"}))), 1)
        self.assertEqual(len(list(errors({**capsule(), "more": 1}))), 1)
        self.assertEqual(len(list(errors(capsule({**POSTGRES, "resource": "luck"})))), 1)
        without = capsule()
        del without["found"]
        self.assertEqual(list(errors(without)), ["capsule has no found"])


class LastLine(unittest.TestCase):
    def test_it_is_the_last_that_begins_with_the_verdict(self):
        log = f"  0:10  1/~6 measure\nverdict=FAIL\n{LINE}\nerror: kafka is away\n"
        self.assertEqual(capsules.last_line(log), LINE)
        self.assertIsNone(capsules.last_line("starting\n"))

    def test_its_fields_may_have_spaces_and_quotes(self):
        fields = capsules.fields('verdict=INVALID reason="loaders \\"late\\": 3 % late, where 1 % is asked" report=x')
        self.assertEqual(fields, {"verdict": "INVALID", "reason": 'loaders "late": 3 % late, where 1 % is asked', "report": "x"})

    def test_one_that_was_cut_off_still_has_its_verdict(self):
        self.assertEqual(capsules.fields('verdict=INVALID reason="loaders la')["verdict"], "INVALID")


class Run(unittest.TestCase):
    def test_capacity_and_cause_come_from_the_capsule(self):
        run = capsules.run(LINE, capsule(POSTGRES))
        self.assertEqual((run["verdict"], run["capacity"], run["failed"], run["kind"]), ("PASS", 1000.0, 2000.0, "named"))
        self.assertEqual(run["named"]["change"]["value"], "postgres.resources.limits.cpu")
        self.assertEqual((run["named"]["expected"], run["unclear"]), (2500.0, []))
        self.assertTrue(run["named"]["command"].endswith("--set postgres.resources.limits.cpu=200m"))

    def test_without_a_capsule_only_the_verdict_is_known(self):
        run = capsules.run(LINE, None)
        self.assertEqual((run["verdict"], run["capacity"], run["named"]), ("PASS", None, None))
        self.assertEqual(run["reason"], "there is no capsule of it")
        self.assertIsNone(capsules.run(None, None)["verdict"])
        self.assertEqual(run.keys(), capsules.run(LINE, capsule()).keys())

    def test_causes_that_fit_equally_are_not_named(self):
        run = capsules.run(None, capsule(POSTGRES, cause("stored", "postgres", "disk", row=16)))
        self.assertIsNone(run["named"])
        self.assertEqual([each["resource"] for each in run["unclear"]], ["cpu-limit", "disk"])
        self.assertIsNone(capsules.run(None, capsule(POSTGRES, kind="unclear"))["named"])

    def test_a_run_in_which_no_step_failed_has_no_diagnosis(self):
        run = capsules.run(None, {**capsule(), "diagnosis": None})
        self.assertEqual((run["kind"], run["named"], run["unclear"]), (None, None, []))

    def test_if_not_even_the_lowest_rate_held_the_capacity_is_none_at_all(self):
        self.assertEqual(capsules.run(None, capsule(verdict="FAIL", held=None, end="nothing_held"))["capacity"], 0.0)
        self.assertIsNone(capsules.run(None, starved())["capacity"])

    def test_line_and_capsule_of_different_runs_are_refused(self):
        with self.assertRaisesRegex(ValueError, "the last line says PASS, and the capsule INVALID"):
            capsules.run(LINE, starved())


class Advice(unittest.TestCase):
    def test_the_advice_of_most_runs_is_taken(self):
        other = cause("routed", "kafka", "memory", "kafka.resources.limits.memory", "3072Mi")
        advice = capsules.advice(runs(other, POSTGRES, POSTGRES))
        self.assertEqual((advice["value"], advice["to"]), ("postgres.resources.limits.cpu", "200m"))
        self.assertEqual(words_of(advice["command"]), [
            "upgrade", "kapture", "./charts/kapture", "-n", "perf-test", "--reset-then-reuse-values", "--set", "postgres.resources.limits.cpu=200m",
        ])  # fmt: skip

    def test_what_can_be_set_only_at_install_has_no_command(self):
        advice = capsules.advice(runs(cause("routed", "etl-fan-out", "parallelism", "kafka.salesPartitions", "24", only_at_install=True)))
        self.assertEqual((advice["command"], advice["to"], advice["only_at_install"]), (None, "24", True))

    def test_there_is_none_without_something_to_set(self):
        disk = cause("stored", "postgres", "disk", "postgres.persistence.storageClass", only_at_install=True)
        self.assertIsNone(capsules.advice(runs(disk, cause("stored", "postgres", "network"), None)))
        self.assertIsNone(capsules.advice(runs(POSTGRES, disk, disk)), "most runs advised a faster disk")
        self.assertIsNone(capsules.advice([]))

    def test_a_full_stop_within_a_name_is_kept_for_helm(self):
        words = words_of("helm upgrade kapture ./charts/kapture --set 'kafka.config.num\\.io\\.threads=16'")
        self.assertEqual(words[-1], "kafka.config.num\\.io\\.threads=16")

    def test_only_helm_is_run(self):
        with self.assertRaisesRegex(ValueError, "is not a helm command"):
            words_of("rm -rf /")
