"""The table of connections matches the addresses that the programs are given."""

import re
import unittest

import chart

# The variable that tells a program the address of Kafka, Redis or Postgres.
HOSTS = re.compile(r"^(?:[a-z-]+=)?kapture-([a-z-]+?)(?:-\d+\.kapture-[a-z]+)?(?::(\d+))?$")
PORTS = {"REDIS_HOST": "6379", "POSTGRES_HOST": "5432"}
ADDRESSES = ("KAFKA_BOOTSTRAP_SERVERS", "EXPORTER_TARGETS", "PROBE_PEERS", "LOADER_WEBAPP", "TEST_AUDITOR", "TEST_EXPORTER", "BENCHMARK_EXPORTER")
# Not in the environment: between brokers and controllers (server.properties), replicas of Redis, loaders, whose addresses the
# benchmark asks the exporter for, and users.
OTHERS = {
    ("kafka", "kafka", 9092), ("kafka", "kafka", 9093), ("redis", "redis", 6379), ("benchmark", "loader", 8080), ("*", "exporter", 8080),
    ("*", "webapp", 8081),
}  # fmt: skip


def told(situation, *sets):
    for component, _, _, spec in chart.workloads(situation, *sets):
        for container in spec["containers"]:
            for name, value in chart.env(container).items():
                if name in PORTS or name in ADDRESSES:
                    for target in value.split(","):
                        to, port = HOSTS.match(target).groups()
                        yield component, to, int(port or PORTS[name])


def component(peer):
    return peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"]


def policies(situation, *sets):
    for (kind, _), obj in chart.render(situation, "networkPolicy.enabled=true", *sets).items():
        if kind == "NetworkPolicy":
            yield chart.component(obj), obj["spec"]


def let_in(situation, *sets):
    for to, policy in policies(situation, *sets):
        for rule in policy.get("ingress", []):
            for source in map(component, rule.get("from", [])) if "from" in rule else ["*"]:
                yield source, to, rule["ports"][0]["port"]


def let_out(situation, *sets):
    for source, policy in policies(situation, *sets):
        for rule in policy["egress"]:
            for to in map(component, rule["to"]) if "to" in rule else ["*"]:
                for port in rule["ports"]:
                    yield source, to, port["port"]


class Connections(unittest.TestCase):
    def test_policies_allow_exactly_what_the_programs_are_told_to_call(self):
        for situation, *sets in (["default"], ["full"], ["full", "loader.via=webapp"], ["smoke"]):
            with self.subTest(situation, sets=sets):
                others = {c for c in OTHERS if situation == "full" or not {"redis", "webapp"} & set(c)}
                arrows = set(told(situation, *sets)) | others
                self.assertEqual(set(let_in(situation, *sets)), arrows)
                running = {name for name, *_ in chart.workloads(situation, *sets)}
                dns = {(name, "*", 53) for name in running}
                self.assertEqual(set(let_out(situation, *sets)), {c for c in arrows if c[0] != "*"} | dns)
                self.assertEqual({name for name, _ in policies(situation, *sets)}, running)
                self.assertEqual(("loader", "webapp", 8081) in arrows, bool(sets))

    def test_without_probes_beside_the_stores_nothing_calls_them_for_reports(self):
        with_probes, without = (set(let_in("full", *sets)) for sets in ((), ("probe.stores=false",)))
        probes = {("exporter", "redis"), ("exporter", "postgres"), ("redis", "etl-redis"), ("postgres", "etl-postgres")}
        self.assertEqual(with_probes - without, {(*pair, 8080) for pair in probes})
        targets = chart.env(chart.container("exporter", "exporter", "full", "probe.stores=false"))["EXPORTER_TARGETS"]
        self.assertNotRegex(targets, "(^|,)(redis|postgres)=")

    def test_what_is_somebody_elses_is_let_out_by_its_port(self):
        out = set(let_out(
            "default", "kafka.enabled=false", 'kafka.external={"bootstrapServers": "[fd00::1]:9094,k:19092"}',
            "postgres.external.host=db", "postgres.external.port=6543", "postgres.auth.existingSecret=mine",
        ))  # fmt: skip
        self.assertEqual({c[2] for c in out if c[:2] == ("loader", "*")}, {53, 9094, 19092})
        self.assertEqual({c[2] for c in out if c[:2] == ("etl-postgres", "*")}, {53, 9094, 19092, 6543})

    def test_further_rules_reach_every_pod(self):
        sets = (
            'networkPolicy.extraIngress=[{"from":[{"namespaceSelector":{}}]}]',
            'networkPolicy.extraEgress=[{"to":[{"ipBlock":{"cidr":"10.0.0.0/8"}}]}]',
        )
        for _, policy in policies("full", *sets):
            self.assertIn({"from": [{"namespaceSelector": {}}]}, policy["ingress"])
            self.assertIn({"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}, policy["egress"])

    def test_every_component_of_the_flow_is_there_and_calls_what_it_reads_from_and_writes_to(self):
        stages = {stage["name"]: stage for stage in chart.STAGES}
        arrows = set(told("full"))
        for stage in stages.values():
            before = stages.get(stage["after"], {"place": {"topic": ""}})
            for place in (stage["place"], before["place"]):
                to = place.get("store", "kafka")
                self.assertTrue([c for c in arrows if c[:2] == (stage["component"], to)], (stage["name"], to))

    def test_every_service_that_is_called_is_there_and_has_the_port(self):
        for situation in ("default", "full", "smoke"):
            for _, to, port in told(situation):
                service = chart.get("Service", to, situation)
                self.assertIn(port, [p["port"] for p in service["spec"]["ports"]])

    def test_each_component_with_a_report_is_polled_at_all_its_addresses(self):
        targets = chart.env(chart.container("exporter", "exporter", "full"))["EXPORTER_TARGETS"]
        polled = {t.split("=")[0] for t in targets.split(",")}
        self.assertEqual(polled, {"kafka", "redis", "postgres", *chart.FLOW.values(), "webapp", "auditor", "benchmark"})
        for component in polled:
            service = chart.get("Service", component, "full")["spec"]
            self.assertEqual((service["clusterIP"], service["publishNotReadyAddresses"]), ("None", True))
