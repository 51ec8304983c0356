"""What can't work is refused before anything is installed, with a helpful error."""

import json
import unittest

import chart

MISTAKES = {  # what was typed: what the error must contain
    "loader.replcas=3": ["/loader", "replcas"],
    "loder.rate=1": ["loder"],
    "etl.fanout.replicas=2": ["/etl", "fanout"],
    "loader.rate=fast": ["/loader/rate"],
    "loader.rate=0": ["/loader/rate"],
    "loader.rate=-5": ["/loader/rate"],
    "loader.replicas=two": ["/loader/replicas", "integer"],
    "loader.replicas=-1": ["/loader/replicas"],
    "loader.stopAfter=24": ["/loader/stopAfter"],
    "loader.customers=150": ["/loader/customers", "200"],
    "kafka.controllers=2": ["/kafka/controllers", "1, 3"],
    "kafka.replicas=0": ["/kafka/replicas"],
    "kafka.persistence.enabled=yes": ["/kafka/persistence/enabled", "boolean"],
    "kafka.persistence.size=10GB": ["/kafka/persistence/size"],
    "kafka.resources.limits.cpus=2": ["cpus"],
    "redis.maxMemory=200MB": ["/redis/maxMemory"],
    "redis.auth.password=pass word": ["/redis/auth/password"],
    "postgres.replicas=2": ["/postgres/replicas", "1"],
    "auditor.replicas=2": ["/auditor/replicas"],
    "image.digests.shop=x": ["shop"],
    "image.pullPolicy=Sometimes": ["/image/pullPolicy"],
    "networkPolicy=true": ["/networkPolicy"],
    "webapp.enabled=maybe": ["/webapp/enabled", "boolean"],
    "loader.via=http": ["/loader/via"],
    "benchmark.mode=fast": ["/benchmark/mode"],
    "loader.autoscaling.enabled=true": ["/loader", "autoscaling"],
    "etl.redis.autoscaling.minReplicas=0": ["/etl/redis/autoscaling/minReplicas"],
    "etl.spout.autoscaling.targetCPUUtilizationPercentage=0": ["/etl/spout/autoscaling/targetCPUUtilizationPercentage"],
    "benchmark.schedule=daily": ["/benchmark/schedule"],
    "benchmark.schedule=0 3 * *": ["/benchmark/schedule"],
}

SCALED = "etl.{0}.autoscaling.enabled=true etl.{0}.resources.requests.cpu=500m"
CONTRADICTIONS = {  # values that contradict each other: the remedy that the error must contain
    "kafka.replicas=1": "set kafka.controllers=1 (at install only) or kafka.replicas=3",
    "kafka.replicas=2 kafka.controllers=1": "set kafka.replicas to 1, or to 3 or more",
    "kafka.enabled=false": "set kafka.external.bootstrapServers=host:9092",
    "kafka.external.bootstrapServers=k:9092": "set kafka.enabled=false to use yours, or leave it out",
    "kafka.enabled=false kafka.external.bootstrapServers=k:9092 kafka.external.username=me": "set kafka.auth.existingSecret",
    "kafka.enabled=false kafka.external.bootstrapServers=k:9092 kafka.external.replicationFactor=1": "nothing would be acknowledged; lower it",
    "kafka.persistence.size=500Mi": "set 1Gi or more",
    "kafka.retentionBytes=10000000000": "leave it out to keep 80 % of the volume",
    "kafka.resources.limits.memory=400Mi": "set 512Mi or more",
    "loader.catchUp=0.5": "set 1 to 1000, such as 2",
    "loader.via=webapp": "set webapp.enabled=true as well",
    "etl.fanOut.replicas=13": "set etl.fanOut.replicas=12",
    f"{SCALED.format('fanOut')} etl.fanOut.autoscaling.minReplicas=5": "minReplicas=5 is more than etl.fanOut.autoscaling.maxReplicas=4: lower",
    f"{SCALED.format('fanOut')} etl.fanOut.autoscaling.maxReplicas=13": "kafka.salesPartitions=12, the rest would be idle: set etl.fanOut.autoscaling.maxReplicas=12",
    f"{SCALED.format('postgres')} etl.postgres.autoscaling.maxReplicas=52": "state topics, 51, the rest would be idle: set etl.postgres.autoscaling.maxReplicas=51",
    "etl.spout.autoscaling.enabled=true": "set it to what a busy pod should use, such as 500m, or set guaranteed=true",
    "benchmark.elasticity.from=500": "without benchmark.elasticity.to: set both",
    "benchmark.elasticity.to=500": "without benchmark.elasticity.from: set both",
    "benchmark.elasticity.from=500 benchmark.elasticity.to=500": "set a lower rate",
    "redis.external.host=r": "set redis.enabled=true, or leave the host out",
    "postgres.enabled=false postgres.external.host=p": "set postgres.enabled=true, or leave the host out",
    "postgres.external.host=p": "set postgres.auth.existingSecret",
    "kafka.persistence.size=100Gi": "set postgres.persistence.size=40960Mi or more",
    "redis.enabled=true redis.maxMemory=250Mi": "or raise the limit",
    "kafka.auth.password=a kafka.auth.existingSecret=b": "leave one out",
}


def schema_leaves(node, schema, path=""):
    """The paths that a schema accepts; a map without named properties is a leaf."""
    while "$ref" in node:
        *_, group, name = node["$ref"].split("/")
        node = schema[group][name]
    for key, value in node.get("properties", {}).items():
        here = f"{path}.{key}" if path else key
        below = list(schema_leaves(value, schema, here))
        yield from below or [here]


class Refusals(unittest.TestCase):
    def test_a_mistake_is_refused_and_named(self):
        for (typed, words), said in chart.parallel(lambda item: chart.refusal("default", item[0]), MISTAKES.items()):
            for word in words:
                with self.subTest(typed):
                    self.assertIn(word, said or "rendered")

    def test_a_contradiction_is_refused_with_what_mends_it(self):
        for (typed, sentence), said in chart.parallel(lambda item: chart.refusal("default", *item[0].split(" ")), CONTRADICTIONS.items()):
            with self.subTest(typed):
                self.assertIn(sentence, said or "rendered")

    def test_several_contradictions_are_told_at_once(self):
        with self.assertRaises(chart.Refused) as caught:
            chart.text("default", "kafka.replicas=1", "etl.fanOut.replicas=13")
        for word in ("kafka.controllers=1", "etl.fanOut.replicas=12"):
            self.assertIn(word, str(caught.exception))

    def test_the_schema_is_closed_and_names_the_same_values(self):
        schema = json.loads((chart.CHART / "values.schema.json").read_text())

        def objects(node):
            if isinstance(node, dict):
                if "properties" in node and node.get("type") == "object":
                    yield node
                for value in node.values():
                    yield from objects(value)

        self.assertTrue(all(o.get("additionalProperties") is False for o in objects(schema)))
        admitted = {p for p in schema_leaves(schema, schema) if p.split(".")[0] not in ("enabled", "global")}
        optional = {p for p in admitted if p.endswith((".requests.memory", ".ephemeral-storage")) or p.startswith("image.digests.")}
        # The settings that every component also has are listed only once, for all pods.
        optional |= {p for p in admitted if "." in p and p.rsplit(".", 1)[1] in chart.SHARED}
        named = {p for p in chart.leaves(chart.values()) if not p.startswith("global.")}
        self.assertEqual(admitted - optional, named - {"image.digests"})
        for component in chart.COMPONENTS:
            own = {p.rsplit(".", 1)[1] for p in admitted if p.rsplit(".", 1)[0] == component}
            self.assertLessEqual(chart.SHARED, own, component)

    def test_it_can_be_a_subchart(self):
        self.assertEqual(chart.text("default"), chart.text("default", "enabled=true", "global.somebody.elses=1"))
