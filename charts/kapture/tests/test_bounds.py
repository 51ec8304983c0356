"""The schema accepts the same values as the programs: bounds.json, which the programs' own tests read as well."""

import json
import unittest

import chart
import schema

BOUNDS = json.loads((chart.TESTS / "bounds.json").read_text())
LIMITS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "pattern", "enum", "multipleOf", "maxLength", "minLength"}
# Values with bounds that are not passed to a program, or not unchanged: where they go instead.
ELSEWHERE = {
    "replicas": "the object's own", "controllers": "the brokers' configuration", "resources": "the container's own", "size": "the claim's",
    "persistence": "the claim's", "image": "the container's own", "digests": "the container's own", "pullPolicy": "the container's own",
    "registry": "the container's own", "repository": "the container's own", "tag": "the container's own", "auth": "a Secret",
    "autoscaling": "the HorizontalPodAutoscaler's own", "maxMemory": "redis.conf", "jvmOptions": "the JVM's command line", "config": "server.properties", "name": "the account's", "schedule": "the CronJob's own",
    "nameOverride": "names", "fullnameOverride": "names", "priorityClassName": "the pod's own", "username": "free text", "rates": "lines that the loader checks",
}  # fmt: skip
QUANTITIES = {  # resources of a container: what the error must contain
    "kafka.resources.limits.memory=0": "/kafka/resources/limits/memory",
    "kafka.resources.limits.memory=0Mi": "/kafka/resources/limits/memory",
    "kafka.resources.limits.memory=1Mi": "set 512Mi or more",
    "kafka.resources.limits.cpu=0": "/kafka/resources/limits/cpu",
    "kafka.resources.limits.cpu=0m": "/kafka/resources/limits/cpu",
    "kafka.resources.limits.cpu=0.0": "/kafka/resources/limits/cpu",
    "kafka.resources.limits.cpu=0.0005": "/kafka/resources/limits/cpu",
    "kafka.resources.limits.cpu=-1": "/kafka/resources/limits/cpu",
    "kafka.resources.limits.cpu=1Gi": "/kafka/resources/limits/cpu",
    "kafka.resources.requests.cpu=2": "lower the request or raise the limit",
    "kafka.resources.requests.cpu=1001m": "lower the request or raise the limit",
    "kafka.resources.requests.memory=2Gi": "lower the request or raise the limit",
    "kafka.resources.limits.memory=1m": "/kafka/resources/limits/memory",
    "kafka.resources.limits.memory=1e9": "/kafka/resources/limits/memory",
    "loader.resources.limits.memory=1Mi": "set 32Mi or more",
    "probe.resources.limits.memory=1Mi": "set 16Mi or more",
    "probe.resources.requests.cpu=1": "lower the request or raise the limit",
    "test.resources.limits.memory=1Mi": "set 32Mi or more",
    "test.resources.requests.cpu=1.5": "lower the request or raise the limit",
    "redis.resources.limits.memory=1Mi": "set 64Mi or more",
    "postgres.resources.limits.memory=1Mi": "set 128Mi or more",
    "etl.spout.resources.requests.memory=300Mi": "lower the request or raise the limit",
    "kafka.persistence.size=0": "/kafka/persistence/size",
    "redis.persistence.size=0Gi": "/redis/persistence/size",
}  # fmt: skip


def cases():
    """(entry, with, typed, text or None if it must be refused)."""
    for entry in BOUNDS:
        others = tuple(entry.get("with", ()))
        yield from ((entry["value"], entry["variable"], others, typed, text) for typed, text in entry["accepted"])
        yield from ((entry["value"], entry["variable"], others, typed, None) for typed in entry["refused"])


def given(case):
    """The values of the variable in the containers that have it, or the error."""
    value, variable, others, typed, _ = case
    try:
        rendered = chart.workloads("default", *others, f"{value}={typed}")
        found = {chart.env(c)[variable] for _, _, _, spec in rendered for c in spec["containers"] if variable in chart.env(c)}
    except chart.Refused as error:
        return str(error)
    return found


class Bounds(unittest.TestCase):
    def test_what_is_accepted_arrives_and_the_rest_is_refused_by_its_path(self):
        for (value, variable, _, typed, text), found in chart.parallel(given, cases()):
            with self.subTest(value, typed=typed[:40]):
                if text is not None:
                    self.assertEqual(found, {text}, variable)
                else:
                    self.assertIsInstance(found, str, f"{typed[:40]!r} was rendered: {found}")
                    self.assertTrue(schema.named(tuple(value.split(".")), found) or f"{value} " in found, found)

    def test_every_bound_of_the_schema_that_reaches_a_program_is_there(self):
        there = {entry["value"] for entry in BOUNDS}
        for path, node, name in schema.nodes():
            bounded = [n for n in [node, *node.get("anyOf", [])] if LIMITS & set(n)]
            shared = path and path[-1] in chart.SHARED
            if bounded and not shared and ".".join(path) not in there:
                self.assertTrue(set(path) & set(ELSEWHERE), f"{'.'.join(path)}: in bounds.json, or in ELSEWHERE with a reason")

    def test_each_value_of_the_file_is_one_of_the_chart(self):
        paths = {".".join(path) for path, _, _ in schema.nodes()}
        for entry in BOUNDS:
            self.assertIn(entry["value"], paths)
            self.assertTrue(entry["accepted"] and entry["refused"], entry["value"])

    def test_impossible_quantities_are_refused_with_what_mends_them(self):
        for (typed, words), found in chart.parallel(lambda item: chart.refusal("full", item[0]), QUANTITIES.items()):
            with self.subTest(typed):
                self.assertIn(words, found or "rendered")
