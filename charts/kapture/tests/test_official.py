"""The chart fits the official images: its mounts, its user ids and its image names."""

import copy
import unittest

import chart
import official


class Official(unittest.TestCase):
    def test_nothing_read_only_is_at_or_above_what_an_image_declares(self):
        for situation in chart.SITUATIONS:
            for component, _, _, spec in chart.workloads(situation):
                if component in official.SERVERS:
                    self.assertEqual(list(official.covered(component, spec)), [], f"{component} in {situation}")

    def test_a_mount_above_a_volume_would_be_found(self):
        spec = copy.deepcopy(chart.get("StatefulSet", "kafka")["spec"]["template"]["spec"])
        config = next(m for m in spec["containers"][0]["volumeMounts"] if m["name"] == "config")
        for path, below in [("/etc/kafka", "/etc/kafka/secrets"), ("/etc/kafka/secrets/", "/etc/kafka/secrets"), ("/", "/opt/kafka/libs")]:
            config["mountPath"] = path
            self.assertIn(below, [found for _, found, _ in official.covered("kafka", spec)], path)
        for path in ("/etc/kafka/secrets/mine", "/etc/kafka-more", "/etc/kapture"):
            config["mountPath"] = path
            self.assertEqual(list(official.covered("kafka", spec)), [], path)

    def test_values_name_the_images_that_are_described(self):
        for server in official.SERVERS:
            with self.subTest(server):
                ours, theirs = chart.values()[server]["image"], official.image(server)
                for key in ("registry", "repository", "tag"):
                    self.assertEqual(ours[key], theirs[key], key)

    def test_servers_run_as_the_user_of_their_image_and_own_their_volumes(self):
        for component, _, _, spec in chart.workloads("full"):
            if component in official.SERVERS:
                account, context = official.image(component)["account"], spec["securityContext"]
                self.assertEqual((context["runAsUser"], context["runAsGroup"]), (account["uid"], account["gid"]), component)
                self.assertEqual(context["fsGroup"], account["gid"], component)

    def test_data_is_mounted_at_the_volume_of_the_image_or_below(self):
        """A VOLUME without a mount would become an anonymous volume, whose data are lost with the pod."""
        for component, _, _, spec in chart.workloads("full"):
            if component in official.SERVERS:
                main = next(c for c in spec["containers"] if c["name"] == component)
                path = next(m["mountPath"] for m in main["volumeMounts"] if m["name"] == "data")
                declared = [p for p, why in official.paths(component).items() if why == "it is a VOLUME"]
                self.assertTrue(any(f"{path}/".startswith(f"{p}/") for p in declared), (component, path))
