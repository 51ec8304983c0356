"""Any version of the chart gives valid labels and images, and a tag that is a number in YAML is refused."""

import pathlib
import re
import tempfile
import unittest

import chart
import rules

VERSIONS = [
    ("0.1.0+build.5", "1.2.3+abc/def"), ("0.1.0-rc.1+exp.sha.5114f85", "1.0"), ("1.0.0", "v1.2.3-rc_1"),
    (f"1.0.0-{'x' * 70}", "y" * 100), ("0.1.0", "2024"), ("0.1.0", "1e3"), ("0.1.0", "main (abc)"), ("0.1.0", "-1-"),
]  # fmt: skip
TAGS = ["7.0", "20240501", "1e3", "7", "0777", "1.10", "0x10", "4_1"]
IMAGES = {"image": "", "kafka.image": "", "redis.image": "redis.enabled=true", "postgres.image": "", "probe": ""}


def copied(folder, version, app):
    """A copy of the chart with another version."""
    to = chart.copy_to(pathlib.Path(folder) / "kapture")
    about = (to / "Chart.yaml").read_text()
    about = re.sub(r"(?m)^version: .*", f'version: "{version}"', about)
    about = re.sub(r"(?m)^appVersion: .*", f'appVersion: "{app}"', about)
    (to / "Chart.yaml").write_text(about)
    return to


def rendered(versions):
    with tempfile.TemporaryDirectory() as folder:
        try:
            return chart.render("full", chart=copied(folder, *versions))
        except (chart.Invalid, chart.Refused) as error:
            return error


class Versions(unittest.TestCase):
    def test_each_version_gives_valid_labels_and_images(self):
        for versions, found in chart.parallel(rendered, VERSIONS):
            with self.subTest(versions=versions):
                self.assertIsInstance(found, dict, str(found))

    def test_the_version_is_in_labels_of_objects_and_in_no_pod(self):
        found = rendered(VERSIONS[0])
        self.assertEqual(found[("Service", "kapture-kafka")]["metadata"]["labels"]["helm.sh/chart"], "kapture-0.1.0_build.5")
        for obj in found.values():
            for metadata, spec in rules.templates(obj) if obj["kind"] != "Pod" else []:
                self.assertNotIn("build.5", str((metadata, spec)), obj["metadata"]["name"])

    def test_a_tag_that_yaml_takes_for_a_number_is_refused_for_every_image(self):
        asked = [(path, tag) for path in IMAGES for tag in TAGS]

        def said(item):
            path, tag = item
            first, _, rest = path.partition(".")
            inner = f"{{tag: {tag}}}"
            return chart.refusal("full", values=f"{first}: {{{rest}: {inner}}}" if rest else f"{first}: {inner}")

        for (path, tag), found in chart.parallel(said, asked):
            with self.subTest(path, tag=tag):
                self.assertIn(f"{path}.tag is the number", found or "rendered")
                self.assertIn("in quotes", found)

    def test_the_same_tags_in_quotes_are_taken_as_they_are(self):
        for tag in TAGS:
            found = chart.workloads("full", values=f'image: {{tag: "{tag}"}}\nkafka: {{image: {{tag: "{tag}"}}}}')
            images = {c["image"] for _, _, _, spec in found for c in spec["containers"]}
            self.assertTrue({f"localhost/kapture/kapture-loader:{tag}", f"docker.io/apache/kafka:{tag}"} <= images, images)
