"""Programs read every variable that they are given; they refuse others, but only when they run."""

import re
import unittest

import chart

CRATES = chart.CHART.parent.parent / "crates"
READERS = {  # prefix: where its variables are read
    "KAFKA_": "kafka/src",
    "REDIS_": "stores/src/redis",
    "POSTGRES_": "stores/src/postgres",
    "SERVICE_": "service/src",
    "LOADER_": "loader/src",
    "WEBAPP_": "webapp/src",
    "ETL_": "etl/src",
    "AUDITOR_": "auditor/src",
    "TEST_": "auditor/src/helm_test",
    "EXPORTER_": "exporter/src",
    "PROBE_": "probe/src",
    "BENCHMARK_": "benchmark/src",
}
CONFIG = re.compile(r"^pub(?:\([a-z]+\))? struct (?:Config|Sink|Settings) \{\n(.*?)^\}", re.M | re.S)
FIELD = re.compile(r"^    (?:pub(?:\([a-z]+\))? )?(\w+):", re.M)


def fields(prefix):
    """The variables that are read with this prefix."""
    for source in sorted((CRATES / READERS[prefix]).rglob("*.rs")):
        for body in CONFIG.findall(source.read_text()):
            yield from (prefix + name.upper() for name in FIELD.findall(body))


class Variables(unittest.TestCase):
    def test_programs_are_given_only_variables_that_they_read(self):
        known = {prefix: set(fields(prefix)) for prefix in READERS}
        for situation in chart.SITUATIONS:
            for component, _, _, spec in chart.workloads(situation):
                for container in spec["containers"]:
                    if "/kapture-" not in container["image"]:
                        continue
                    for name in chart.env(container):
                        prefix = next(p for p in READERS if name.startswith(p))
                        self.assertIn(name, known[prefix], f"{component} in {situation}")

    def test_no_variable_is_empty(self):
        for situation in chart.SITUATIONS:
            for component, _, _, spec in chart.workloads(situation):
                for container in spec["containers"]:
                    for name, value in chart.env(container).items():
                        self.assertTrue(value, f"{name} of {component} in {situation}")

    def test_only_roles_behind_a_kafka_that_keeps_nothing_adopt_a_new_one(self):
        cases = [  # the situation, what is set, and whether they do
            ("smoke", [], True),
            ("smoke", ["kafka.persistence.enabled=true"], False),
            ("full", [], False),
            ("full", ["kafka.persistence.enabled=false"], True),
            ("external-kafka", [], False),
            ("external-kafka", ["kafka.persistence.enabled=false"], False),
        ]
        for situation, sets, adopts in cases:
            with self.subTest(situation=situation, sets=sets):
                roles = {stage["component"] for stage in chart.STAGES if stage["store"]} if adopts else set()
                told = {
                    component: value
                    for component, _, _, spec in chart.workloads(situation, "redis.enabled=true", *sets)
                    for container in spec["containers"]
                    for name, value in chart.env(container).items()
                    if name == "ETL_ADOPT_NEW_KAFKA"
                }
                self.assertEqual(told, dict.fromkeys(roles, "true"))
