"""Any text, in any value that takes text, arrives unchanged as a string, or is refused with an error that names its path."""

import json
import re
import unittest

import chart
import rules
import schema

HOSTILE = [
    "true", "2024", "1e3", "null", "y", "0777", "0x1f", "1_000", "~", "a: b", "- x", "#x", "a #x", "{{ x }}", '"quoted"', "it's", "%d", "x" * 300,
    "two\nlines", " spaced ", "ünï", "[a]", "{a: b}", "*a", "&a", "!a", "@a", "`a`", "a\\b", "", "2024-01-01",
]  # fmt: skip
# How to fill a definition of the schema: one entry that contains the text, numbered so that entries don't collide.
SELECTOR = "preferredDuringSchedulingIgnoredDuringExecution"
FIXTURES = {
    "labels": lambda n, s: [{f"k{n}": s}],
    "annotations": lambda n, s: [{f"k{n}": s}],
    "config": lambda n, s: [{f"x.y{n}": s}],
    "pullSecrets": lambda n, s: [[s], [{"name": s}]],
    "env": lambda n, s: [[{"name": f"N{n}", "value": s}], [{"name": f"M{n}", "valueFrom": {"secretKeyRef": {"name": "a", "key": s}}}]],
    "tolerations": lambda n, s: [[{"key": f"t{n}", "operator": "Equal", "value": s}], [{"key": s, "operator": "Exists"}]],
    "spread": lambda n, s: [[{"topologyKey": s}]],
    "named": lambda n, s: [[{"name": f"v{n}", "configMap": {"name": "a", "items": [{"key": s, "path": "p"}]}}]],
    "mounts": lambda n, s: [[{"name": "spare", "mountPath": f"/m{n}", "subPath": s}]],
    "objects": lambda n, s: [[{"ports": [{"port": s}]}]],
}
OBJECTS = {
    "affinity": lambda n, s: {"nodeAffinity": {SELECTOR: [{"weight": 1, "preference": {"matchExpressions": [{"key": f"k{n}", "operator": "In", "values": [s]}]}}]}},
    "podSecurityContext": lambda n, s: {"seccompProfile": {"type": "Localhost", "localhostProfile": s}},
    "securityContext": lambda n, s: {"seLinuxOptions": {"level": s}},
}  # fmt: skip
# test_names.py covers names of objects. Text with a restricted format (sizes, times, digests) can't contain anything hostile.
ELSEWHERE = {"nameOverride", "fullnameOverride"}
# The chart's own servers don't run if external ones are set.
FOREIGN = {("kafka", "external"), ("redis", "external"), ("postgres", "external")}
BASE = {
    False: [
        (("redis", "enabled"), True), *(((s, "auth", "existingSecret"), "mine") for s in ("kafka", "loader", "postgres", "redis")),
        (("networkPolicy", "enabled"), True), (("extraVolumes",), [{"name": "spare", "emptyDir": {"sizeLimit": "1Mi"}}]),
    ],
    True: [
        (("redis", "enabled"), True), (("kafka", "enabled"), False),
        *(((s, "auth", "password"), "x") for s in ("kafka", "postgres", "redis")),
        (("kafka", "external", "bootstrapServers"), "k:9092"), (("redis", "external", "host"), "r"), (("postgres", "external", "host"), "p"),
    ],
}  # fmt: skip


def places(foreign):
    """[(path, text -> value)] of all values that take text, with the chart's own or with external servers."""
    found = []
    for path, node, name in schema.nodes():
        if not path or path[0] in ELSEWHERE or (path[:2] in FOREIGN or path[1:] == ("auth", "password")) != foreign:
            continue
        n, last = len(found), path[-1]
        if name == "object" and last in OBJECTS:
            found.append((path, lambda s, n=n, last=last: OBJECTS[last](n, s)))
        elif fixture := FIXTURES.get("config" if path == ("kafka", "config") else name):
            found += [(path, lambda s, n=n, i=i, f=fixture: f(n, s)[i]) for i in range(len(fixture(n, "")))]
        elif schema.is_string(node) and "enum" not in node:
            found.append((path, lambda s: s))
    if not foreign:
        found += [(("global", "imageRegistry"), lambda s: s), (("global", "imagePullSecrets"), lambda s: [s])]
    return found


# What the schema leaves to the API server.
FREE = r"env M\d+ comes from"


def settled(text, all_places, base):
    """(what was accepted, the rendering, what went wrong), after leaving out what is refused with its path."""
    left, said = list(all_places), ""
    for _ in range(12):
        values = schema.build([*base, *((path, place(text)) for path, place in left)])
        try:
            return left, chart.render("default", values=values, allow=FREE), None
        except chart.Invalid as error:
            return left, {}, f"rendered with faults: {error}"
        except chart.Refused as error:
            said = str(error)
        for word in ("nil pointer", 'executing "', "can't evaluate", "wrong type", "%!", "YAML parse error"):
            if word in said:
                return left, {}, f"Go's own words: {said}"
        still = [(path, place) for path, place in left if not schema.named(path, said)]
        if len(still) == len(left):
            return left, {}, f"refused without a path: {said}"
        left = still
    return left, {}, f"refused again and again: {said}"


def altered(text, accepted, rendered, kept):
    """[(place, result)] of the places whose text was accepted but changed."""
    leaves = {key: dict(rules.leaves(obj)) for key, obj in rendered.items()}
    # The name of the service account is among the texts tried.
    leaves |= {(key[0], "account"): found for key, found in leaves.items() if key[0] == "ServiceAccount"}
    wrong = []
    for (place, mark), ends in kept.items():
        for key, path, sample in ends:
            # Other destinations contain more than this text: files, image names, checksums.
            if sample == mark and accepted.count(place) == 1:
                got = leaves[(key[0], "account") if key[0] == "ServiceAccount" else key].get(path)
                if variables := re.match(r"(.*/env/)\d+/value$", path):
                    # Positions shift when another variable was refused; `$$` is Kubernetes' escape for `$`.
                    others = leaves[key].items()
                    values = {value.replace("$$", "$") for at, value in others if at.startswith(variables[1]) and at.endswith("/value")}
                    got = text if text in values | {""} else got
                wrong += [] if got == text else [(".".join(place), path, got)]
    return wrong[:5]


class Strings(unittest.TestCase):
    def check(self, foreign):
        everywhere, base = places(foreign), BASE[foreign]
        # Finds the destination of each place's text, with texts that are all different.
        marks = {f"mark{n:03}": place for n, place in enumerate(everywhere)}
        kept, wrong = {}, None
        entries = [(mark, path, place) for mark, (path, place) in marks.items()]
        for _ in range(4):
            try:
                sample = chart.render("default", values=schema.build([*base, *((p, f(m)) for m, p, f in entries)]), allow=FREE)
                break
            except chart.Refused as error:
                wrong = str(error)
                entries = [e for e in entries if not schema.named(e[1], wrong)]
        else:
            self.fail(wrong)
        for key, obj in sample.items():
            for path, value in rules.leaves(obj):
                for mark, place, _ in entries:
                    if mark in str(value):
                        kept.setdefault((place, mark), []).append((key, path, str(value)))
        self.assertGreater(len(kept), 20 if not foreign else 3)

        def ask(text):
            return settled(text, everywhere, base)

        for text, (left, rendered, wrong) in chart.parallel(ask, HOSTILE):
            with self.subTest(text[:40], foreign=foreign):
                self.assertIsNone(wrong, text[:40])
            if text and rendered:
                self.assertEqual(altered(text, [path for path, _ in left], rendered, kept), [])

    def test_with_servers_of_our_own(self):
        self.check(False)

    def test_with_somebody_elses_servers(self):
        self.check(True)

    def test_values_of_one_text_do_not_reach_the_values_of_the_next(self):
        entries = [(("a",), [1]), (("a",), [2]), (("b",), {"c": 1}), (("b",), {"d": 2})]
        self.assertEqual([schema.build(entries) for _ in range(2)], ['{"a": [1, 2], "b": {"c": 1, "d": 2}}'] * 2)

    def test_values_of_any_length_reach_helm(self):
        shortest = json.dumps({"commonLabels": {"a": "b"}, "nodeSelector": {}})
        for length in (4095, 4096, 8192):
            values = shortest.ljust(length)
            with self.subTest(length):
                self.assertNotEqual(chart.text("default", values=values), chart.text("default"))

    def test_every_place_that_takes_text_is_tried(self):
        tried = {path for foreign in (False, True) for path, _ in places(foreign)}
        for path, node, name in schema.nodes():
            free = name in FIXTURES or name == "object"
            if path and path[0] not in ELSEWHERE and (free or schema.is_string(node) and "enum" not in node):
                self.assertIn(path, tried)
        self.assertGreater(len(tried), 150)
