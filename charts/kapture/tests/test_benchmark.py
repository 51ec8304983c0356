"""The CronJob of the benchmark: what it is told, how long it may take, and that a verdict is not run again."""

import re
import unittest

import chart

MODES = chart.CHART.parent.parent / "crates/benchmark/src/mode.rs"


def cronjob(*sets, situation="full"):
    return chart.get("CronJob", "benchmark", situation, *sets)["spec"]


def env(*sets, situation="full"):
    return chart.env(chart.container("benchmark", "benchmark", situation, *sets))


def pairs(text):
    return dict(pair.split("=") for pair in text.split(","))


class Benchmark(unittest.TestCase):
    def test_it_runs_only_when_asked_unless_it_has_a_schedule(self):
        self.assertIs(cronjob()["suspend"], True)
        spec = cronjob("benchmark.schedule=@daily")
        self.assertEqual((spec["suspend"], spec["schedule"], spec["concurrencyPolicy"]), (False, "@daily", "Forbid"))
        # Times that passed while it was suspended don't start a run when it no longer is.
        self.assertLessEqual(spec["startingDeadlineSeconds"], 3600)

    def test_a_failed_run_is_kept_as_long_as_any_other(self):
        spec = cronjob()
        self.assertEqual(spec["failedJobsHistoryLimit"], spec["successfulJobsHistoryLimit"])
        self.assertGreater(spec["failedJobsHistoryLimit"], 1)

    def test_no_verdict_is_run_again(self):
        job = cronjob()["jobTemplate"]["spec"]
        (rule,) = job["podFailurePolicy"]["rules"]
        self.assertEqual((job["backoffLimit"], rule["action"]), (0, "FailJob"))
        codes = re.findall(r"Self::\w+ => (\d)", (MODES.parent / "verdict.rs").read_text())
        self.assertEqual({"0", *map(str, rule["onExitCodes"]["values"])}, set(codes))
        pod = job["template"]["spec"]
        # The API server wants both for a podFailurePolicy.
        self.assertEqual((pod["restartPolicy"], rule["onExitCodes"]["containerName"]), ("Never", pod["containers"][0]["name"]))

    def test_each_mode_has_more_time_than_it_promises(self):
        promised = {mode.lower(): int(minutes) for mode, minutes in re.findall(r"\(Mode::(\w+), (\d+)\)", MODES.read_text())}
        self.assertEqual(set(promised), {"smoke", "default", "certificate"})
        for mode, minutes in promised.items():
            given = cronjob(f"benchmark.mode={mode}")["jobTemplate"]["spec"]["template"]["spec"]["activeDeadlineSeconds"]
            self.assertGreaterEqual(given, 60 * (minutes + 5), mode)

    def test_the_last_line_is_the_termination_message(self):
        container = chart.container("benchmark", "benchmark")
        self.assertEqual(container["terminationMessagePolicy"], "FallbackToLogsOnError")
        # Where Kubernetes reads it from by default.
        self.assertNotIn("terminationMessagePath", container)
        self.assertEqual(env()["BENCHMARK_TERMINATION_LOG"], "/dev/termination-log")

    def test_it_expects_the_replicas_that_are_rendered(self):
        for situation, sets in [("default", ()), ("full", ("loader.replicas=7", "kafka.replicas=5")), ("external-kafka", ()), ("ten-loaders", ())]:
            running = {name: str(n) for name, n, *_ in chart.workloads(situation, *sets) if name not in ("test", "benchmark")}
            self.assertEqual(pairs(env(*sets, situation=situation)["BENCHMARK_REPLICAS"]), running)

    def test_of_a_role_that_is_autoscaled_it_expects_the_fewest_and_knows_the_most(self):
        told = env(situation="autoscaled")
        fewest = pairs(env(situation="default")["BENCHMARK_REPLICAS"]) | {"etl-postgres": "2"}
        self.assertEqual(pairs(told["BENCHMARK_REPLICAS"]), fewest)
        self.assertEqual(pairs(told["BENCHMARK_MAX_REPLICAS"]), {"etl-fan-out": "12", "etl-postgres": "4"})
        self.assertNotIn("BENCHMARK_MAX_REPLICAS", env())

    def test_a_jump_of_the_load_is_asked_for_and_has_the_time_to_recover(self):
        self.assertNotIn("BENCHMARK_ELASTICITY_FROM", env())
        jump = ("benchmark.elasticity.from=500", "benchmark.elasticity.to=4000", "benchmark.elasticity.within=1h 30m")
        told = {name: value for name, value in env(*jump).items() if "ELASTICITY" in name}
        self.assertEqual(told, {"BENCHMARK_ELASTICITY_FROM": "500", "BENCHMARK_ELASTICITY_TO": "4000", "BENCHMARK_ELASTICITY_WITHIN": "1h 30m"})
        for mode in ("smoke", "default", "certificate"):
            without, given = (
                cronjob(f"benchmark.mode={mode}", *sets)["jobTemplate"]["spec"]["template"]["spec"]["activeDeadlineSeconds"] for sets in ((), jump)
            )
            self.assertEqual(given, without + 90 * 60, mode)

    def test_it_is_told_which_misbehaviours_are_on_and_how_strong_they_are(self):
        self.assertNotIn("BENCHMARK_MISBEHAVIOUR", env())
        told = env(
            "misbehaviour.layers=3", "misbehaviour.memory=64Mi", "misbehaviour.pauses.length=200ms", "misbehaviour.startUp=1m 30s",
            "misbehaviour.unbatched=true", "misbehaviour.nPlusOne=true", "misbehaviour.saleDelay=5ms",
        )  # fmt: skip
        on = "layers=3,memory=64Mi,pauses=200ms/10s,startUp=1m 30s,unbatched,nPlusOne,saleDelay=5ms"
        self.assertEqual(told["BENCHMARK_MISBEHAVIOUR"], on)

    def test_a_misbehaviour_is_done_to_whom_it_is_meant_for(self):
        on = ("misbehaviour.layers=3", "misbehaviour.memory=64Mi", "misbehaviour.unbatched=true", "misbehaviour.nPlusOne=true")
        having = {}
        for name, _, _, spec in chart.workloads("full", *on):
            for variable in {v for c in spec["containers"] for v in chart.env(c)}:
                if variable.startswith("MISBEHAVIOUR_") or variable in ("ETL_BATCH_SALES", "WEBAPP_N_PLUS_ONE"):
                    having.setdefault(variable, set()).add(name)
        roles = {stage["component"] for stage in chart.STAGES if stage["component"].startswith("etl-")}
        self.assertEqual(having, {"MISBEHAVIOUR_LAYERS": roles, "MISBEHAVIOUR_MEMORY_BYTES": roles, "ETL_BATCH_SALES": {"etl-postgres"}, "WEBAPP_N_PLUS_ONE": {"webapp"}})

    def test_it_is_told_what_was_installed(self):
        told = env("loader.seed=7", "loader.skew=0", "kafka.persistence.size=12Gi", f"redis.image.digest=sha256:{'0' * 64}", "etl.fanOut.transactionInterval=20ms")
        self.assertEqual(told["BENCHMARK_LOAD"], "seed=7,stores=1000,customers=10000,skew=0,hotStore=0,days=365,arrivals=even")
        self.assertEqual(pairs(told["BENCHMARK_VOLUMES"]), {"kafka": "12Gi", "redis": "1Gi", "postgres": "10Gi"})
        shop = env("webapp.enabled=true", "loader.via=webapp", "loader.reads=50")["BENCHMARK_LOAD"]
        self.assertTrue(shop.endswith(",arrivals=even,via=webapp,reads=50"), shop)
        versions = pairs(told["BENCHMARK_VERSIONS"])
        self.assertEqual(set(versions), {"kafka", "postgres", "kubernetes"})
        self.assertRegex(versions["kubernetes"], r"^\d+[.]\d+[.]\d+$")
        self.assertEqual((told["BENCHMARK_SALES_PARTITIONS"], told["BENCHMARK_TRANSACTION_INTERVAL"]), ("12", "20ms"))
        foreign = env(
            "kafka.enabled=false", "kafka.external.bootstrapServers=k:9092", "redis.external.host=r",
            "postgres.external.host=p", "postgres.auth.existingSecret=mine",
        )  # fmt: skip
        self.assertNotIn("BENCHMARK_VOLUMES", foreign)
        self.assertEqual(set(pairs(foreign["BENCHMARK_VERSIONS"])), {"kubernetes"})

    def test_its_token_is_that_of_the_loaders(self):
        for sets in ((), ("loader.auth.existingSecret=mine", "loader.auth.secretKey=rate")):
            loader = chart.env(chart.container("loader", "loader", "full", *sets))
            self.assertEqual(env(*sets)["BENCHMARK_TOKEN"], loader["LOADER_TOKEN"])
