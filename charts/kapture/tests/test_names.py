"""With any names of release and namespace, the rendering is valid, or the chart refuses the name with an explanation."""

import unittest

import chart
import rules

RELEASES = [
    "2024", "true", "null", "1e3", "0x1f", "0", "1-2", "a", "y", "kapture", "x-kapture", "kapture-x", "kapture2", "yes",
    "a" * 53, "1" * 53, "a" * 39, "a" * 40, f"{'a' * 38}-{'b' * 14}", f"{'7' * 38}-b", f"{'k' * 31}-kapture", f"kapture-{'k' * 45}",
]  # fmt: skip
NAMESPACES = ["default", "1", "2024", "null", "n" * 63, "0" * 63]
OTHER = "zq-ns-7"
# Where the namespace may occur: in what is displayed, and in what must differ between namespaces on external servers.
SHOWN = {"TEST_RELEASE", "KAFKA_PREFIX", "REDIS_PREFIX", "POSTGRES_SCHEMA"}
FOREIGN = (
    "redis.enabled=true", "kafka.enabled=false", "kafka.external.bootstrapServers=k:9092", "redis.external.host=r",
    "postgres.external.host=p", "postgres.auth.existingSecret=mine", "networkPolicy.enabled=true",
)  # fmt: skip
OVERRIDES = ["a", "perf", "k" * 39, "x-1", "true", "null", "y"]


def attempt(how):
    """A fault, or None if it is rendered, or refused by the chart."""
    try:
        chart.text("full", "networkPolicy.enabled=true", *how.pop("sets", ()), **how)
    except (chart.Invalid, chart.Refused) as error:
        return str(error)
    return None


class Names(unittest.TestCase):
    def assertAllValid(self, hows):
        for how, fault in chart.parallel(lambda how: attempt(dict(how)), hows):
            with self.subTest(**how):
                self.assertIsNone(fault)

    def test_each_release_name_gives_valid_objects(self):
        self.assertAllValid({"release": release} for release in RELEASES)

    def test_each_namespace_gives_valid_objects(self):
        self.assertAllValid({"namespace": namespace, "sets": FOREIGN} for namespace in NAMESPACES)

    def test_each_override_gives_valid_objects(self):
        for key in ("nameOverride", "fullnameOverride"):
            self.assertAllValid({"values": f'{key}: "{name}"'} for name in OVERRIDES)

    def test_a_release_with_a_dot_is_refused_with_what_to_do(self):
        said = chart.refusal(release="my.release")
        self.assertIn('the release is called "my.release"', said)
        self.assertIn("my-release", said)
        self.assertNotIn("nil pointer", said)

    def test_overrides_that_cannot_begin_a_name_are_refused_by_their_path(self):
        for key in ("nameOverride", "fullnameOverride"):
            for name in ("2024", "Perf", "a.b", "-a", "a-", "a_b", "k" * 40, "{{ x }}"):
                with self.subTest(key, name=name):
                    self.assertIn(f"/{key}", chart.refusal(values=f'{key}: "{name}"') or "rendered")

    def test_the_namespace_is_only_where_it_must_differ_between_namespaces(self):
        """The addresses in pods resolve in any namespace, by the DNS search path."""
        for sets in ((), FOREIGN):
            for situation in ("full", "smoke"):
                for key, obj in chart.render(situation, *sets, namespace=OTHER).items():
                    named = {id(e.get("value")) for _, pod in rules.templates(obj) for c in pod["containers"]
                             for e in c["env"] if e["name"] in SHOWN}  # fmt: skip
                    for path, value in rules.leaves(obj):
                        if id(value) not in named:
                            self.assertNotIn(OTHER, str(value), f"{key} {path}")
                            self.assertNotRegex(str(value), r"[.]svc\b|cluster[.]local", f"{key} {path}")

    def test_the_namespace_changes_nothing_but_the_identity(self):
        here, there = (chart.render("full", namespace=namespace) for namespace in (chart.NAMESPACE, OTHER))
        different = set()
        for key, obj in here.items():
            new = dict(rules.leaves(there[key]))
            different |= {path.rsplit("/", 1)[-1] for path, value in rules.leaves(obj) if new[path] != value}
        self.assertLessEqual(different, {"cluster-id", "config", "value"}, "the id, its checksum, and TEST_RELEASE")
