"""Combinations of values that users really set give objects that the API server accepts and the images can run."""

import json
import re
import subprocess
import unittest

import chart
import official
import rules
import yaml

PATH = chart.TESTS / "combinations.yaml"
COMBINATIONS = yaml.safe_load(PATH.read_text())


def rendered(name):
    """The faults of a combination, or Helm's error."""
    try:
        return chart.render("default", values=json.dumps(COMBINATIONS[name]))
    except (chart.Refused, chart.Invalid) as error:
        return error


class Combinations(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.found = dict(chart.parallel(rendered, COMBINATIONS))

    def test_each_is_rendered_without_fault(self):
        for name, found in self.found.items():
            with self.subTest(name):
                self.assertIsInstance(found, dict, str(found))

    def test_none_mounts_anything_read_only_above_a_path_of_its_image(self):
        for name, found in self.found.items():
            for obj in found.values() if isinstance(found, dict) else []:
                server = chart.component(obj)
                for _, spec in rules.templates(obj):
                    if server in official.SERVERS:
                        self.assertEqual(list(official.covered(server, spec)), [], f"{server} in {name}")

    def test_none_but_who_names_it_stands_on_the_clusters_domain(self):
        for name, found in self.found.items():
            for key, obj in found.items() if isinstance(found, dict) else []:
                for path, value in rules.leaves(obj):
                    if ".svc" not in json.dumps(COMBINATIONS[name]):
                        self.assertIsNone(re.search(r"[.]svc\b|cluster[.]local", str(value)), f"{name}: {key} {path}")

    def test_there_are_many_and_the_script_prints_each(self):
        self.assertGreaterEqual(len(COMBINATIONS), 40)
        names = subprocess.run([chart.TESTS / "combinations"], capture_output=True, text=True, check=True).stdout.split()
        self.assertEqual(names, list(COMBINATIONS))
        one = subprocess.run([chart.TESTS / "combinations", "openshift"], capture_output=True, text=True, check=True).stdout
        self.assertEqual(yaml.safe_load(one), COMBINATIONS["openshift"])
