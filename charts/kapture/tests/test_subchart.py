"""The chart works as a dependency: with aliases, twice in one release, with a condition, and with shared globals."""

import contextlib
import itertools
import json
import pathlib
import tempfile
import unittest

import chart
import rules
import yaml

FOREIGN = {
    "kafka": {"enabled": False, "external": {"bootstrapServers": "k:9092"}}, "redis": {"enabled": True, "external": {"host": "r"}},
    "postgres": {"external": {"host": "p"}, "auth": {"existingSecret": "mine"}},
}  # fmt: skip
IDENTITY = ("KAFKA_PREFIX", "REDIS_PREFIX", "POSTGRES_SCHEMA")


@contextlib.contextmanager
def parent(*aliases):
    """A chart with this one as a dependency under each alias, as `helm dependency build` would create it."""
    with tempfile.TemporaryDirectory() as folder:
        top = pathlib.Path(folder) / "shop"
        chart.copy_to(top / "charts" / "kapture")
        version = yaml.safe_load((chart.CHART / "Chart.yaml").read_text())["version"]
        used = [{"name": "kapture", "version": version, "alias": a, "condition": f"{a}.enabled"} for a in aliases]
        (top / "Chart.yaml").write_text(json.dumps({"apiVersion": "v2", "name": "shop", "version": "1.0.0", "dependencies": used}))
        yield top


def rendered(top, values, release="kapture"):
    return chart.render.__wrapped__(None, chart=top, values=json.dumps(values), release=release)


def of(alias, objects):
    """The objects of one alias."""
    return {key: o for key, o in objects.items() if o["metadata"]["labels"]["app.kubernetes.io/name"] == alias}


def identity(objects):
    found = {}
    for obj in objects.values():
        for _, spec in rules.templates(obj):
            for container in spec["containers"]:
                found |= {name: value for name, value in chart.env(container).items() if name in IDENTITY}
        if "cluster-id" in obj.get("data", {}):
            found["cluster-id"] = obj["data"]["cluster-id"]
    return found


class Subchart(unittest.TestCase):
    def test_two_aliases_in_one_release_have_nothing_in_common(self):
        for aliases, release in [(("one", "two"), "shop"), (("kapture", "kapture2"), "kapture"), (("a", "a-b"), "a"), (("kapture", "kafka"), "1")]:
            for values in ({"redis": {"enabled": True}, "networkPolicy": {"enabled": True}}, FOREIGN):
                with self.subTest(aliases, own=values is not FOREIGN), parent(*aliases) as top:
                    objects = rendered(top, {alias: values for alias in aliases}, release)
                    parts = [of(alias, objects) for alias in aliases]
                    self.assertEqual(sum(map(len, parts)), len(objects))
                    self.assertEqual(len(parts[0]), len(parts[1]))
                    self.assert_apart(*parts)

    def assert_apart(self, one, other):
        for mine, theirs in itertools.permutations((one, other)):
            pods = [metadata["labels"] for o in theirs.values() for metadata, _ in rules.templates(o)]
            for (kind, name), obj in mine.items():
                spec = obj.get("spec", {})
                for node in [spec.get("selector"), spec.get("podSelector")]:
                    wanted = (node or {}).get("matchLabels", node) or {}
                    self.assertFalse([p for p in pods if wanted and wanted.items() <= p.items()], f"{kind} {name}")
        a, b = identity(one), identity(other)
        self.assertEqual(a.keys(), b.keys())
        for what in a:
            self.assertNotEqual(a[what], b[what])
            self.assertFalse("PREFIX" in what and (a[what].startswith(b[what]) or b[what].startswith(a[what])), what)

    def test_under_its_own_name_it_is_what_it_is_alone(self):
        with parent("kapture") as top:
            alone, part = chart.render("default"), rendered(top, {})
        self.assertEqual(alone, {key: obj for key, obj in part.items()})

    def test_a_condition_turns_it_off_and_its_values_can_say_so_too(self):
        with parent("one", "two") as top:
            objects = rendered(top, {"one": {"enabled": False}, "two": {"enabled": True}})
        self.assertEqual(of("one", objects), {})
        self.assertTrue(of("two", objects))

    def test_globals_of_the_parent_reach_it_and_those_of_others_do_not_hurt(self):
        shared = {"imageRegistry": "registry.example", "imagePullSecrets": [{"name": "a"}], "storageClass": "x", "postgresql": {"auth": {}}, "kafka": None}
        with parent("one") as top:
            objects = rendered(top, {"global": shared, "one": {"imagePullSecrets": ["a", "b"]}})
            said = chart.refusal(None, chart=top, values=json.dumps({"global": {"imageRegistry": 5}}))
        for obj in objects.values():
            for _, spec in rules.templates(obj):
                self.assertEqual(spec["imagePullSecrets"], [{"name": "a"}, {"name": "b"}])
                self.assertTrue(all(c["image"].startswith("registry.example/") for c in spec["containers"]))
        self.assertIn("global.imageRegistry", said)

    def test_an_alias_that_cannot_begin_a_name_is_refused_with_what_to_do(self):
        for alias in ("loadTest", "load_test", "a" * 41):
            with self.subTest(alias), parent(alias) as top:
                said = chart.refusal(None, chart=top) or "rendered"
                self.assertIn("set nameOverride, or the alias of the chart", said)
                objects = rendered(top, {alias: {"nameOverride": "load-test"}})
                self.assertEqual(len(of("load-test", objects)), len(objects))
