"""Whole renderings of named situations. A difference is what an upgrade would change: review it, then `run --update`."""

import difflib
import unittest

import chart


def path(situation):
    return chart.TESTS / "golden" / f"{situation}.yaml"


def update():
    for situation in chart.SITUATIONS:
        path(situation).write_text(chart.text(situation))
    for old in (chart.TESTS / "golden").glob("*.yaml"):
        if old.stem not in chart.SITUATIONS:
            old.unlink()


class Golden(unittest.TestCase):
    def test_each_situation_renders_what_is_checked_in(self):
        self.assertEqual({p.stem for p in (chart.TESTS / "golden").glob("*.yaml")}, set(chart.SITUATIONS))
        for situation in chart.SITUATIONS:
            with self.subTest(situation):
                golden = path(situation).read_text().splitlines()
                diff = difflib.unified_diff(golden, chart.text(situation).splitlines(), "golden", "now", lineterm="", n=2)
                self.assertEqual("\n".join(list(diff)[:60]), "", "if it is meant: charts/kapture/tests/run --update")

    def test_two_renderings_with_secrets_of_yours_are_identical(self):
        for situation in ("existing-secrets", "gitops"):
            first = chart.text.__wrapped__(situation, "redis.enabled=true")
            self.assertEqual(first, chart.text.__wrapped__(situation, "redis.enabled=true"))
            self.assertNotIn("kind: Secret", first)
