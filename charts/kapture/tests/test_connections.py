"""The table of connections says what the programs are told to call, no more and no less."""

import re
import unittest

import chart

# What a program that uses Kafka, Redis or Postgres is told.
HOSTS = re.compile(r"^(?:[a-z-]+=)?kapture-([a-z-]+?)(?:-0\.kapture-redis)?(?::(\d+))?$")
PORTS = {"REDIS_HOST": "6379", "POSTGRES_HOST": "5432"}
# Not from the environment: brokers and controllers among themselves (server.properties), copies of Redis, and whoever looks.
OTHERS = {("kafka", "kafka", 9092), ("kafka", "kafka", 9093), ("redis", "redis", 6379), ("*", "exporter", 8080)}


def told(situation):
    for component, _, _, spec in chart.workloads(situation):
        for container in spec["containers"]:
            for name, value in chart.env(container).items():
                if name in PORTS or name in ("KAFKA_BOOTSTRAP_SERVERS", "EXPORTER_TARGETS", "TEST_AUDITOR", "TEST_EXPORTER"):
                    for target in value.split(","):
                        to, port = HOSTS.match(target).groups()
                        yield component, to, int(port or PORTS[name])


def allowed(situation):
    for (kind, _), obj in chart.render(situation, "networkPolicy.enabled=true").items():
        if kind == "NetworkPolicy":
            for rule in obj["spec"]["ingress"]:
                sources = [f["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for f in rule.get("from", [])]
                for source in sources or ["*"]:
                    yield source, chart.component(obj), rule["ports"][0]["port"]


class Connections(unittest.TestCase):
    def test_policies_allow_exactly_what_the_programs_are_told_to_call(self):
        for situation in ("default", "full", "smoke"):
            with self.subTest(situation):
                others = {c for c in OTHERS if situation == "full" or c[0] != "redis"}
                self.assertEqual(set(allowed(situation)), set(told(situation)) | others)

    def test_every_service_that_is_called_is_there_and_has_the_port(self):
        for situation in ("default", "full", "smoke"):
            for _, to, port in told(situation):
                service = chart.get("Service", to, situation)
                self.assertIn(port, [p["port"] for p in service["spec"]["ports"]])

    def test_each_component_with_a_report_is_polled_at_all_its_addresses(self):
        targets = chart.env(chart.container("exporter", "exporter", "full"))["EXPORTER_TARGETS"]
        polled = {t.split("=")[0] for t in targets.split(",")}
        self.assertEqual(polled, {"kafka", "loader", "etl-fan-out", "etl-redis", "etl-postgres", "etl-spout", "auditor"})
        for component in polled:
            service = chart.get("Service", component, "full")["spec"]
            self.assertEqual((service["clusterIP"], service["publishNotReadyAddresses"]), ("None", True))
