"""The table of cases: one poor thing each, values that the chart has, and names that the decision table has."""

import json
import re
import unittest

from sample import ROOT, SCHEMA

from cases import CASES, RICH, TWIN

DEFAULTS = json.loads((ROOT / "charts" / "kapture" / "files" / "defaults.json").read_text())
STAGES = json.loads((ROOT / "crates" / "pipeline" / "pipeline.json").read_text())["stages"]
# Of these values, more is poorer.
BURDENS = {"loader.hotStore"}
UNITS = {"": 1, "m": 1e-3, "Mi": 2**20, "Gi": 2**30}


def exists(value):
    """Whether values.yaml has it; what is below an empty map is free."""
    found = DEFAULTS
    for name in re.split(r"(?<!\\)\.", value):
        if found == {}:
            return True
        # The settings shared by all pods can be set for each component.
        found = found.get(name, DEFAULTS.get(name) if found is not DEFAULTS else None)
        if found is None:
            return False
    return True


def quantity(text):
    number, unit = re.fullmatch(r"(\d+)(m|Mi|Gi|)", text).groups()
    return int(number) * UNITS[unit]


class Cases(unittest.TestCase):
    def test_there_are_twelve_poor_parts_at_least_and_one_that_is_not_the_limit(self):
        limits = [case for case in CASES if not case.expected.never]
        self.assertGreaterEqual(len(limits), 12)
        self.assertGreaterEqual(len(CASES) - len(limits), 1)
        self.assertEqual(len({case.name for case in CASES}), len(CASES))

    def test_each_degree_has_exactly_one_poor_thing(self):
        for case in CASES:
            for degree in case.degrees:
                self.assertEqual(len(degree.values) + (degree.disturbs is not None), 1, degree.words)

    def test_the_chart_has_every_value(self):
        expected = [case.expected.value for case in CASES if case.expected.value]
        for value in {*RICH, *expected, *(value for case in CASES for degree in case.degrees for value in degree.values)}:
            self.assertTrue(exists(value), value)
        self.assertFalse(exists("postgres.resources.limits.cpus"))

    def test_a_poor_value_is_poorer_than_the_rich_one_and_each_degree_than_the_one_before(self):
        for case in CASES:
            for value in {value for degree in case.degrees for value in degree.values}:
                settings = [RICH.get(value, "0" if value in BURDENS else "1"), *(degree.values[value] for degree in case.degrees)]
                sizes = [quantity(each) for each in settings]
                self.assertEqual(sizes, sorted(set(sizes), reverse=value not in BURDENS), value)
                if value.endswith(".cpu"):
                    self.assertLessEqual(quantity(RICH.get(value.replace("limits", "requests"), "100m")), sizes[-1], value)

    def test_the_names_are_those_of_the_decision_table(self):
        resources = {each["const"] for each in SCHEMA["$defs"]["Resource"]["oneOf"]}
        stages = {stage["name"] for stage in STAGES}
        components = {"kafka", "redis", "postgres", *(stage["component"] for stage in STAGES), None}
        for case in CASES:
            expected = case.expected
            self.assertLessEqual(set(expected.stages), stages, case.name)
            self.assertIn(expected.component, components)
            self.assertTrue(expected.never in components if expected.never else expected.resource in resources, case.name)

    def test_what_no_value_can_mend_is_lifted_or_has_no_advice(self):
        for case in CASES:
            if case.lift:
                self.assertTrue(all(degree.disturbs for degree in case.degrees), case.name)

    def test_the_rich_fit_one_machine_of_24_gib(self):
        replicas = {"kafka": 3, "etl.fanOut": 2, "etl.postgres": 2}
        memory = {name.removesuffix(".resources.limits.memory"): quantity(value) for name, value in RICH.items() if name.endswith(".memory")}
        self.assertLess(sum(replicas.get(name, 1) * each for name, each in memory.items()), 8 * 2**30)

    def test_the_twin_is_only_rich(self):
        (degree,) = TWIN.degrees
        self.assertEqual((degree.values, degree.disturbs), ({}, None))
