"""No two releases share anything in an external Kafka, Redis or Postgres, and no release's prefix is a prefix of another's."""

import itertools
import unittest

import chart

FOREIGN = (
    "kafka.enabled=false", "kafka.external.bootstrapServers=k:9092", "redis.external.host=r", "postgres.external.host=p",
    "postgres.auth.existingSecret=mine",
)  # fmt: skip
LONG = "l" * 40
GRID = [  # namespace, release, the chart's name in a parent (its alias)
    ("perf", "test-kapture", ""), ("perf-test", "kapture", ""), ("perf-test-kapture", "a", ""), ("perf", "test", ""),
    ("perf", "test", "kapture-a"), ("perf", "test", "a"), ("perf", "test-a", ""), ("perf", "kapture", ""), ("kapture", "perf", ""),
    ("a", "b", ""), ("a", "b-c", ""), ("a-b", "c", ""), ("a", "b", "c"), ("a", "b", "b"), ("b", "a", "b"), ("a", "a", "b"),
    ("1", "1", ""), ("11", "1", ""), ("1", "11", ""),
    (LONG, "one", ""), (LONG + "a", "one", ""), (LONG + "b", "one", ""), (LONG, LONG + "a", ""), (LONG, LONG + "b", ""),
    ("l" * 60 + "a", "one", ""), ("l" * 60 + "b", "one", ""), ("l" * 63, "one", ""), ("l" * 63, "ones", ""), ("l" * 62, "lone", ""),
    (LONG, "r" * 53, ""), (LONG, "r" * 52 + "s", ""), ("l" * 63, "r" * 53, "n" * 39), ("l" * 63, "r" * 53, "n" * 38 + "m"),
]  # fmt: skip


def identities(where):
    """{what: its text} of a release."""
    namespace, release, name = where
    sets = (f"nameOverride={name}",) if name else ()
    found = {}
    for component, _, _, spec in chart.workloads("full", *FOREIGN, *sets, release=release, namespace=namespace):
        if component == "auditor":
            found = chart.env(spec["containers"][0])
    own = chart.render("smoke", *sets, release=release, namespace=namespace)
    found["cluster-id"] = next(o["data"]["cluster-id"] for o in own.values() if "cluster-id" in o.get("data", {}))
    return {what: found[what] for what in ("KAFKA_PREFIX", "REDIS_PREFIX", "POSTGRES_SCHEMA", "cluster-id")}


class Identity(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.found = dict(chart.parallel(identities, GRID))

    def test_no_two_releases_share_an_identity(self):
        for what in next(iter(self.found.values())):
            for (one, a), (other, b) in itertools.combinations(self.found.items(), 2):
                self.assertNotEqual(a[what], b[what], f"{what} of {one} and {other}")

    def test_no_prefix_begins_anothers(self):
        for what in ("KAFKA_PREFIX", "REDIS_PREFIX"):
            for (one, a), (other, b) in itertools.permutations(self.found.items(), 2):
                self.assertFalse(b[what].startswith(a[what]), f"{what} {a[what]} of {one} begins that of {other}")

    def test_each_is_as_long_as_its_store_takes(self):
        for where, found in self.found.items():
            # Kafka's names may have 249 characters; Kapture adds less than 40 to the prefix.
            self.assertLessEqual(len(found["KAFKA_PREFIX"]), 209, where)
            self.assertRegex(found["KAFKA_PREFIX"], r"^[A-Za-z0-9._-]+$")
            self.assertLessEqual(len(found["POSTGRES_SCHEMA"].encode()), 63, where)
            self.assertRegex(found["cluster-id"], r"^[0-9a-f]{21}A$")

    def test_the_identity_stays_the_same_from_version_to_version(self):
        """After an upgrade, existing topics, keys and rows are found."""
        self.assertEqual(self.found["perf-test", "kapture", ""]["KAFKA_PREFIX"], "perf-test_kapture_")
        self.assertEqual(self.found["perf-test", "kapture", ""]["POSTGRES_SCHEMA"], "perf-test_kapture")
        self.assertEqual(self.found["perf", "test", "a"]["REDIS_PREFIX"], "perf_test.a_")
