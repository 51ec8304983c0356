"""Rules that hold for every pod, in every situation."""

import re
import unittest

import chart

UPSTREAM = {"kafka": "apache/kafka", "redis": "library/redis", "postgres": "library/postgres"}


class Pods(unittest.TestCase):
    def each(self):
        for situation in chart.SITUATIONS:
            for component, replicas, metadata, spec in chart.workloads(situation):
                with self.subTest(situation=situation, component=component):
                    yield situation, component, replicas, metadata, spec

    def test_every_pod_passes_restricted_pod_security(self):
        for situation, *_, spec in self.each():
            pod = spec["securityContext"]
            self.assertTrue(pod["runAsNonRoot"])
            ids = {key: pod[key] for key in ("runAsUser", "runAsGroup", "fsGroup") if key in pod}
            self.assertEqual(len(ids), 0 if situation == "openshift" else 3)
            self.assertNotIn(0, ids.values())
            self.assertEqual(pod["seccompProfile"], {"type": "RuntimeDefault"})
            self.assertIs(spec["automountServiceAccountToken"], False)
            self.assertIs(spec["enableServiceLinks"], False)
            self.assertFalse({"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(spec))
            for volume in spec.get("volumes", []):
                self.assertTrue({"configMap", "emptyDir"} & set(volume), volume)
            for container in spec["containers"]:
                self.assertEqual(
                    container["securityContext"],
                    {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                        "readOnlyRootFilesystem": True,
                    },
                )
                self.assertFalse([p for p in container.get("ports", []) if "hostPort" in p])

    def test_memory_is_requested_as_it_is_limited_and_every_empty_dir_is_bounded(self):
        for *_, spec in self.each():
            for container in spec["containers"]:
                resources = container["resources"]
                self.assertEqual(resources["requests"]["memory"], resources["limits"]["memory"])
                self.assertTrue(resources["requests"]["cpu"] and resources["limits"]["cpu"])
            for volume in spec.get("volumes", []):
                self.assertTrue("emptyDir" not in volume or volume["emptyDir"]["sizeLimit"], volume)

    def test_default_with_ten_loaders_requests_less_than_one_cpu(self):
        total = sum(
            replicas * chart.cpu(container["resources"]["requests"]["cpu"])
            for _, replicas, _, spec in chart.workloads("ten-loaders")
            for container in spec["containers"]
        )
        self.assertLess(total, 1.0)
        self.assertGreater(total, 0.5)

    def test_ten_loaders_leave_every_pod_template_as_it_was(self):
        before, after = chart.render("default"), chart.render("ten-loaders")
        self.assertEqual(before.keys(), after.keys())
        changed = [key for key, obj in before.items() if key[0] != "Secret" and obj != after[key]]
        # The benchmark's next run expects ten.
        self.assertEqual(sorted(changed), [("CronJob", "kapture-benchmark"), ("StatefulSet", "kapture-loader")])
        template = [r[("StatefulSet", "kapture-loader")]["spec"]["template"] for r in (before, after)]
        self.assertEqual(template[0], template[1])

    def test_no_component_has_its_replicas_in_a_pod_template(self):
        for component in (*chart.FLOW, "redis", "kafka"):
            with self.subTest(component):
                pods = [
                    [found for found in chart.workloads("full", f"{component}.replicas={n}") if found[0] != "benchmark"]
                    for n in (5, 6)
                ]
                self.assertEqual(*([(name, metadata, spec) for name, _, metadata, spec in each] for each in pods))

    def test_a_new_version_of_the_chart_alone_restarts_no_store(self):
        for _, component, _, metadata, spec in self.each():
            if component in UPSTREAM:
                words = str((metadata, [c for c in spec["containers"] if c["name"] == component], spec["volumes"]))
                self.assertNotIn("helm.sh/chart", words)
                self.assertNotIn("app.kubernetes.io/version", words)

    def test_selectors_and_claims_hold_only_what_never_changes(self):
        stable = {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"}
        for situation in chart.SITUATIONS:
            for (kind, name), obj in chart.render(situation).items():
                if kind not in ("StatefulSet", "Deployment"):
                    continue
                self.assertEqual(set(obj["spec"]["selector"]["matchLabels"]), stable, name)
                for claim in obj["spec"].get("volumeClaimTemplates", []):
                    self.assertEqual(set(claim["metadata"]["labels"]), stable, name)

    def test_images_are_the_known_ones_and_pinned(self):
        own = {"loader", "webapp", "etl", "auditor", "exporter", "probe", "benchmark"}
        for situation, component, _, _, spec in self.each():
            for container in spec["containers"]:
                image = container["image"]
                mirror = "registry.example/mirror" if situation == "external-kafka" else None
                ours = {f"{mirror or 'localhost'}/kapture/kapture-{p}" for p in own}
                theirs = {f"{mirror or 'docker.io'}/{name}" for name in UPSTREAM.values()}
                self.assertIn(image.rsplit(":", 1)[0], ours | theirs)
                self.assertRegex(image, r":[0-9]+[.][0-9]+[.]?[0-9]*$")
        test = chart.container("test", "test")["image"]
        self.assertIn(test, [c["image"] for n, _, _, s in chart.workloads() if n != "test" for c in s["containers"]])

    def test_every_pod_can_be_probed(self):
        for _, component, _, _, spec in self.each():
            if component in ("test", "benchmark"):
                self.assertEqual(spec["restartPolicy"], "Never")
                self.assertTrue(spec["activeDeadlineSeconds"])
                continue
            self.assertTrue(any("readinessProbe" in c for c in spec["containers"]))
            self.assertTrue(all("livenessProbe" in c for c in spec["containers"]))

    def test_names_fit_for_the_longest_release_name(self):
        for (_, name) in chart.render():
            self.assertLessEqual(len(name.removeprefix("kapture-")) + 40, 63, name)

    def test_a_changed_configuration_rolls_the_pods_that_read_it(self):
        def sums(*sets):
            return {n: m.get("annotations", {}).get("checksum/config") for n, _, m, _ in chart.workloads("full", *sets)}

        before = sums()
        after = sums("redis.maxMemory=100Mi", "postgres.resources.limits.memory=1Gi")
        self.assertEqual({n for n in before if before[n] != after[n]}, {"redis", "postgres"})
        self.assertTrue(before["kafka"] and re.fullmatch("[0-9a-f]{64}", before["kafka"]))
