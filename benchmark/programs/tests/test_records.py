"""Records are found by kind, newest first, and are what they say."""

import programs  # noqa: F401
import pathlib
import re
import tempfile
import unittest

import records
from shown import KINDS


def record(kind, begun):
    return {**dict.fromkeys(records.KEYS), "kind": kind, "begun": begun}


class Records(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def test_the_newest_of_each_kind_is_the_first(self):
        for kind, begun in (("sinks", "2026-11-27"), ("sinks", "2026-11-28T12:00:00Z"), ("sinks", "2026-11-28T09:00:00Z"), ("carry", "2026-11-25")):
            records.free(self.folder, f"{begun[:10]}-{kind}").write_text(records.text(record(kind, begun)))
        found = {kind: [each["begun"] for each in all_] for kind, all_ in records.by_kind(self.folder).items()}
        self.assertEqual(found, {"sinks": ["2026-11-28T12:00:00Z", "2026-11-28T09:00:00Z", "2026-11-27"], "carry": ["2026-11-25"]})

    def test_a_second_record_of_a_day_does_not_replace_the_first(self):
        for name in ("2026-11-28-sinks.json", "2026-11-28-sinks-2.json", "2026-11-28-sinks-3.json"):
            path = records.free(self.folder, "2026-11-28-sinks")
            self.assertEqual(path.name, name)
            path.touch()

    def test_what_lacks_a_key_is_not_a_record(self):
        path = self.folder / "a.json"
        path.write_text('{"kind": "sinks"}')
        with self.assertRaisesRegex(SystemExit, "a.json is not a record: it has no begun, command, commit"):
            records.read(path)

    def test_every_record_is_named_after_its_day_and_kind_and_can_be_shown(self):
        paths = sorted(records.RESULTS.glob("*.json"))
        self.assertGreater(len(paths), 10)
        for path in paths:
            each = records.read(path)
            self.assertRegex(path.stem, rf"^{re.escape(each['begun'][:10])}-{re.escape(each['kind'])}(-\d+)?$")
            self.assertIn(each["kind"], KINDS)
            self.assertTrue("converted" in each or each["begun"].endswith("Z"), path.name)
