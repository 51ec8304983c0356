"""No values file makes Helm print a Go error: null and empty sections mean the default, and an error for a wrong type names its path."""

import json
import unittest

import chart
import schema

GO = ("nil pointer", 'executing "', "error calling", "can't evaluate", "wrong type", "%!", "parse error", "index of", "interface {}", "rendered with faults")
# Parts of Kubernetes objects, which the schema leaves to the API server.
FREE = r"schema: .*(affinity|ecurityContext)"
# The exception documented in values.yaml: it removes the limit.
REMOVES = "resources.limits.cpu"
WRONG = {  # a value of each type
    "a map": {"x": {"y": 1}}, "an empty map": {}, "a list": [1], "an empty list": [], "a text": "x", "an empty text": "", "a number": 7,
    "a fraction": 0.5, "a negative": -1, "a huge number": 1e300, "a truth": True, "a list of nulls": [None], "a list of maps": [{"x": None}],
    "a map of nulls": {"name": None}, "a list of lists": [[]],
}  # fmt: skip
GLOBALS = [
    None, [], "x", 5, True, {}, {"imageRegistry": 5}, {"imageRegistry": None}, {"imageRegistry": ["r"]}, {"imageRegistry": {}}, {"imageRegistry": True},
    {"imageRegistry": False}, {"imageRegistry": 0}, {"imagePullSecrets": "x"}, {"imagePullSecrets": 5}, {"imagePullSecrets": {"name": "x"}},
    {"imagePullSecrets": [1]}, {"imagePullSecrets": [{"a": "b"}]}, {"imagePullSecrets": [None]}, {"imagePullSecrets": [[]]}, {"imagePullSecrets": None},
    {"imagePullSecrets": [{"name": None}]}, {"imagePullSecrets": [{"name": 5}]}, {"imagePullSecrets": [""]}, {"imagePullSecrets": ["a", {"name": "a"}]},
    {"imagePullSecrets": {}}, {"imagePullSecrets": False}, {"imageRegistry": "a b"}, {"imageRegistry": "https://r.example"}, {"kafka": None},
]  # fmt: skip


def every_path(values, path=()):
    """The paths of values.yaml, including sections."""
    for key, value in values.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from every_path(value, (*path, key))


def said(values):
    """The error for a values file; "" if it renders like the default, else "another"."""
    try:
        rendered = chart.text("default", values=json.dumps(values), allow=FREE)
    except chart.Refused as error:
        return str(error)
    except chart.Invalid as error:
        return f"rendered with faults: {error}"
    return "" if rendered == chart.text("default") else "another"


def nested(path, value):
    return {path[0]: nested(path[1:], value)} if path else value


class NoGoErrors(unittest.TestCase):
    def assertSentence(self, answer, what):
        for word in GO:
            self.assertNotIn(word, answer, what)

    def test_null_at_every_path_means_the_default(self):
        paths = [path for path in every_path(chart.values()) if not ".".join(path).endswith(REMOVES)]

        def each(part):
            """The paths of a part that change the rendering or are refused, found by halves."""
            answer = said(schema_nulls(part))
            if not answer or len(part) == 1:
                return [(part[0], answer)] if answer else []
            half = len(part) // 2
            return each(part[:half]) + each(part[half:])

        def schema_nulls(part):
            # A path below a null can't be set at the same time.
            part = [p for p in part if not any(p[:n] in part for n in range(1, len(p)))]
            return json.loads(schema.build([(path, None) for path in part]))

        # One depth after the other, so that no null hides what is below it; the many deepest paths are set together.
        depths = sorted({len(path) for path in paths})
        for depth, found in chart.parallel(lambda depth: each([p for p in paths if len(p) == depth]), depths):
            self.assertEqual(found, [], depth)

    def test_each_section_alone_may_be_left_empty(self):
        sections = [key for key in chart.values()]
        for key, answer in chart.parallel(lambda key: said({key: None}), sections):
            with self.subTest(key):
                self.assertEqual(answer, "")

    def test_a_removed_cpu_limit_is_the_one_null_that_counts(self):
        rendered = chart.render("default", values="kafka: {resources: {limits: {cpu: null}}}")
        container = rendered[("StatefulSet", "kapture-kafka")]["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual(container["resources"]["limits"], {"memory": "1Gi"})

    def test_globals_that_a_parent_may_have_are_taken_or_refused_with_a_sentence(self):
        for value, answer in chart.parallel(lambda value: said({"global": value}), GLOBALS):
            with self.subTest(json.dumps(value)):
                self.assertSentence(answer, value)

    def test_a_wrong_type_at_any_path_is_refused_by_its_path(self):
        """Sets all paths at once, without those named in earlier errors, until it renders: a Go error at any path would show."""

        def each(item):
            _, value = item
            # Sections first: a wrong section hides what is in it.
            paths = sorted((p for p, _, _ in schema.nodes() if p), key=len)
            for depth in range(1, 1 + max(map(len, paths))):
                left = [p for p in paths if len(p) == depth and p[0] != "enabled"]
                for _ in range(12):
                    answer = said(json.loads(schema.build([(path, value) for path in left])))
                    if any(word in answer for word in GO) or answer in ("", "another"):
                        break
                    still = [path for path in left if not schema.named(path, answer)]
                    if len(still) == len(left):
                        return f"refused without a path: {answer}"
                    left = still
                if any(word in answer for word in GO):
                    return f"{depth} {answer}"
            return ""

        for (what, _), answer in chart.parallel(each, WRONG.items()):
            with self.subTest(what):
                self.assertEqual(answer, "")
