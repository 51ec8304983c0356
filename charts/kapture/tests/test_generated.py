"""Generated files are up to date, every value has a description, and Helm's linter finds nothing."""

import importlib.util
import json
import unittest

import chart
import schema
import yaml

INIT = '{{- include "kapture.init" . -}}'


def generator():
    spec = importlib.util.spec_from_file_location("generate", chart.CHART / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Generated(unittest.TestCase):
    def test_generated_files_are_up_to_date(self):
        for path, wanted in generator().outputs().items():
            self.assertTrue(path.read_text() == wanted, f"{path.name} is stale: run charts/kapture/generate")

    def test_every_value_of_the_schema_is_described(self):
        missing = [".".join(path) for path, node, _ in schema.nodes() if not node.get("description")]
        self.assertEqual(missing, [])
        self.assertEqual([name for name, node in schema.schema()["$defs"].items() if not node.get("description")], [])

    def test_every_template_begins_with_the_defaults(self):
        files = [p for p in (chart.CHART / "templates").rglob("*") if p.is_file() and not p.name.startswith("_")]
        self.assertGreater(len(files), 15)
        for path in files:
            self.assertTrue(path.read_text().startswith(INIT), path.name)

    def test_the_linter_has_nothing_to_say(self):
        for values in chart.SITUATIONS.values():
            said = chart.helm("lint", "--strict", str(chart.CHART), "--values", str(values))
            self.assertNotIn("[WARNING]", said)
            self.assertNotIn("[ERROR]", said)

    def test_the_lists_of_images_are_what_default_and_presets_run(self):
        about = yaml.safe_load((chart.CHART / "Chart.yaml").read_text())
        run = set()
        for situation in ("default", *(p.stem for p in chart.CHART.glob("presets/*.yaml"))):
            run |= {c["image"] for *_, spec in chart.workloads(situation) for c in spec["containers"]}
        for key in ("helm.sh/images", "artifacthub.io/images"):
            listed = [entry["image"] for entry in yaml.safe_load(about["annotations"][key])]
            self.assertEqual(sorted(listed), sorted(run), key)

    def test_defaults_pass_their_own_schema(self):
        self.assertEqual(chart.text("default"), chart.text("default", values=json.dumps(chart.values())))
