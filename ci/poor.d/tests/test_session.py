"""A session, with a cluster that answers without running: degrees, advice, and what goes wrong."""

import contextlib
import json
import tempfile
import pathlib
import unittest
from unittest import mock

from sample import POSTGRES, capsule, cause

import capsules
import release
import session
from cases import RICH, Case, Degree, Expected
from disturbances import Disturbed

EXPECTED = Expected(("stored",), "postgres", "cpu-limit", "postgres.resources.limits.cpu")
CPU = "postgres.resources.limits.cpu"
LINK = cause("stored", "postgres", "network", row=13)


class Cluster:
    """Keeps what was asked of it. Every run answers with the next capsule."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    @contextlib.contextmanager
    def installed(self, values, mode):
        self.asked.append({name: value for name, value in values.items() if RICH.get(name) != value} or "rich")
        yield self
        self.asked.append("removed")

    def run(self, name):
        self.asked.append(name)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return capsules.run(None, answer)

    def upgrade(self, words):
        self.asked.append(words[-1])

    @contextlib.contextmanager
    def disturbed(self, _):
        self.asked.append("disturbed")
        yield Disturbed(node="node-1", renew=lambda: self.asked.append("renewed"))
        self.asked.append("calm")


class Sessions(unittest.TestCase):
    def measure(self, case, cluster, runs=1):
        measuring = session.Session(runs, "smoke")
        measuring.rich = 1000.0
        with mock.patch.object(session, "installed", cluster.installed), mock.patch.object(session, "say"):
            return measuring.measure(case)

    def test_the_twin_has_the_rich_values_and_tells_what_is_rich(self):
        cluster, measuring = Cluster(capsule(held=900.0), capsule(held=1000.0), capsule(held=2000.0)), session.Session(3, "smoke")
        with mock.patch.object(session, "installed", cluster.installed), mock.patch.object(session, "say"):
            twin = measuring.measure_twin()
        self.assertEqual(cluster.asked, ["rich", "rich-1", "rich-2", "rich-3", "removed"])
        self.assertEqual((measuring.rich, len(twin["runs"])), (1000.0, 3))

    def test_the_first_degree_that_bites_is_measured_and_its_advice_taken_by_the_command(self):
        case = Case("a", EXPECTED, tuple(Degree(cpu, {CPU: cpu}) for cpu in ("80m", "40m", "20m")), "")
        cluster = Cluster(capsule(POSTGRES, held=900.0), *[capsule(POSTGRES, held=100.0)] * 2, *[capsule(held=500.0)] * 2)
        record = self.measure(case, cluster, runs=2)
        self.assertEqual(cluster.asked, [
            {CPU: "80m"}, "a-1", "removed",
            {CPU: "40m"}, "a-1", "a-2", f"{CPU}=200m", "a-advised-1", "a-advised-2", "removed",
        ])  # fmt: skip
        self.assertEqual((record["poor"], len(record["runs"]), len(record["after"])), ("40m", 2, 2))
        self.assertEqual(record["notes"], ["80m does not bite: 900 sales/s"])

    def test_the_last_degree_is_measured_even_if_it_does_not_bite(self):
        record = self.measure(Case("a", EXPECTED, (Degree("x", {CPU: "80m"}),), ""), Cluster(*[capsule(held=990.0)] * 2), runs=2)
        self.assertEqual((len(record["runs"]), record["advice"], record["after"], record["notes"]), (2, None, [], []))

    def test_what_can_be_set_only_at_install_is_installed_and_nothing_else(self):
        partitions = cause("routed", "etl-fan-out", "parallelism", "kafka.salesPartitions", "24", only_at_install=True)
        cluster = Cluster(capsule(partitions, held=100.0), capsule(held=300.0))
        record = self.measure(Case("a", EXPECTED, (Degree("x", {CPU: "80m"}),), ""), cluster)
        self.assertEqual(cluster.asked[3:], [{CPU: "80m", "kafka.salesPartitions": "24"}, "a-advised-1", "removed"])
        self.assertEqual(len(record["after"]), 1)

    def test_advice_without_a_value_is_taken_by_ending_the_disturbance_if_the_part_was_named(self):
        expected = Expected(resource="network")
        for sample, asked in ((LINK, ["calm", "a-advised-1", "removed"]), ({**LINK, "resource": "disk"}, ["calm", "removed"])):
            cluster = Cluster(capsule(sample, held=100.0), capsule(held=300.0))
            record = self.measure(Case("a", expected, (Degree("x", disturbs=cluster.disturbed),), "", lift="a faster link"), cluster)
            self.assertEqual(cluster.asked, ["rich", "disturbed", "renewed", "a-1", *asked])
            self.assertEqual((record["node"], record["lifted"]), ("node-1", "a faster link" if len(asked) == 3 else None))

    def test_advice_is_taken_while_the_cluster_is_still_disturbed(self):
        cluster = Cluster(capsule(POSTGRES, held=100.0), capsule(held=100.0))
        self.measure(Case("a", Expected(resource="network"), (Degree("x", disturbs=cluster.disturbed),), "", lift="y"), cluster)
        self.assertEqual(cluster.asked[3:], ["a-1", f"{CPU}=200m", "renewed", "a-advised-1", "calm", "removed"])

    def test_for_a_part_that_is_not_the_limit_no_advice_is_taken(self):
        cluster = Cluster(capsule(POSTGRES, held=990.0))
        record = self.measure(Case("a", Expected(never="redis"), (Degree("x", {CPU: "80m"}),), ""), cluster)
        self.assertEqual((cluster.asked[-1], record["advice"]), ("removed", None))

    def test_what_cannot_be_produced_is_not_run_and_costs_the_others_nothing(self):
        def refuses(_):
            raise release.Unavailable("no tbf here")

        record = self.measure(Case("a", EXPECTED, (Degree("x", disturbs=refuses),), ""), Cluster())
        self.assertEqual((record["not_run"], record["runs"]), ("no tbf here", []))

    def test_a_run_that_does_not_end_makes_the_case_not_run(self):
        cluster = Cluster(capsule(POSTGRES, held=100.0), RuntimeError("a-2 had not ended"))
        record = self.measure(Case("a", EXPECTED, (Degree("x", {CPU: "80m"}),), ""), cluster, runs=2)
        self.assertEqual(record["not_run"], "a-2 had not ended")

    def test_advice_that_cannot_be_taken_is_noted(self):
        cluster = Cluster(capsule(POSTGRES, held=100.0), RuntimeError("not ready"))
        record = self.measure(Case("a", EXPECTED, (Degree("x", {CPU: "80m"}),), ""), cluster)
        self.assertEqual((record["not_run"], record["notes"]), (None, ["the advice could not be taken: not ready"]))


class Runs(unittest.TestCase):
    """A run on a release whose kubectl answers from here."""

    def run_with(self, *jobs, result=None, log="verdict=PASS capacity=1000 unit=sales/s\n"):
        jobs, asked = list(jobs), []

        def kubectl(*words, check=True, seconds=0):
            asked.append(words)
            answer = mock.Mock(returncode=0, stderr="")
            if words[0] == "logs":
                answer.stdout = log
            elif words[:2] == ("get", "job"):
                answer.stdout = json.dumps({"status": {"conditions": jobs.pop(0) if len(jobs) > 1 else jobs[0]}})
            elif words[:2] == ("get", "--raw"):
                state = {"stages": [{"name": "accepted", "lag": None}, {"name": "stored", "lag": 3}]}
                answer.stdout = json.dumps(state if words[2].endswith("/state") else result)
            return answer

        clock = iter(range(0, 1_000_000, 10))
        with (mock.patch.object(release, "kubectl", kubectl), mock.patch.object(release, "say"), mock.patch.object(release.time, "sleep"),
              mock.patch.object(release.time, "monotonic", lambda: next(clock)), tempfile.TemporaryDirectory() as folder,
              mock.patch.object(release, "KEPT", pathlib.Path(folder) / "kept")):
            run = release.Release("smoke").run("a-1")
            kept = [path.name for path in (pathlib.Path(folder) / "kept").iterdir()]
        return run, asked, kept

    def test_a_job_is_started_from_the_cronjob_and_its_capsule_comes_from_the_exporter(self):
        ended = [{"type": "Complete", "status": "True"}]
        run, asked, kept = self.run_with([], [], ended, result=capsule(POSTGRES))
        self.assertIn(("create", "job", "a-1", "--from=cronjob/kapture-benchmark"), asked)
        self.assertEqual(asked[-1][2], "/api/v1/namespaces/perf-test/services/kapture-exporter:8080/proxy/results/a-1.json")
        self.assertEqual((run["verdict"], run["named"]["component"], kept), ("PASS", "postgres", ["a-1.json"]))

    def test_a_job_that_failed_has_a_verdict_too(self):
        ended = [{"type": "FailureTarget", "status": "True"}, {"type": "Failed", "status": "True"}]
        run, _, _ = self.run_with(ended, result=capsule(verdict="INVALID"), log="verdict=INVALID reason=\"late\"\n")
        self.assertEqual(run["verdict"], "INVALID")

    def test_without_a_capsule_the_last_line_alone_tells_no_capacity(self):
        run, _, kept = self.run_with([{"type": "Complete", "status": "True"}])
        self.assertEqual((run["verdict"], run["capacity"], kept), ("PASS", None, []))

    def test_a_job_that_does_not_end_is_given_up(self):
        with self.assertRaisesRegex(RuntimeError, "a-1 had not ended after 600 s: verdict=PASS"):
            self.run_with([])

    def test_values_become_arguments_of_helm(self):
        self.assertEqual(release.settings({"a.b": "1", "c\\.d": "x"}), ["--set", "a.b=1", "--set", "c\\.d=x"])
