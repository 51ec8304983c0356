"""The rules that every rendering must pass find real faults: each of these was found in a chart, some of them in this one."""

import copy
import unittest

import chart
import kubernetes
import reference
import rules


def broken(kind, name, change):
    """The faults of an object of the full rendering after a change."""
    obj = copy.deepcopy(chart.get(kind, name, "full"))
    change(obj)
    wrong = kubernetes.fault(obj)
    return f"schema: {wrong}" if wrong else " | ".join(rules.object_faults(obj))


def pod(obj):
    return obj["spec"]["template"]["spec"]


def first(obj):
    return pod(obj)["containers"][0]


def put(path, value):
    """A change that sets something below the pod's spec."""

    def change(obj):
        *above, last = path
        node = pod(obj)
        for key in above:
            node = node[key]
        if isinstance(node, list):
            node.append(value)
        else:
            node[last] = value

    return change


MAIN = ("containers", 0)
FAULTS = [  # a change of the StatefulSet kafka, and the fault that must be found
    (put(["hostnetwork"], True), "schema: .*must not contain .*hostnetwork"),
    (put([*MAIN, "args"], [1]), "schema: .*args.* must be string"),
    (put(["terminationGracePeriodSeconds"], "90"), "schema: .* must be integer"),
    (put(["nodeSelector"], {"disk": True}), "schema: .*nodeSelector.* must be string"),
    (put([*MAIN, "imagePullPolicy"], "Sometimes"), "schema: .*imagePullPolicy must be one of"),
    (put([*MAIN, "resources", "limits", "memory"], "1GB"), "schema: .*memory"),
    (put(["tolerations"], None), "schema: .*tolerations must be array"),
    (lambda obj: obj["spec"].pop("selector"), "schema: .*must contain .*selector"),
    (lambda obj: obj.update(apiVersion="apps/v1beta1"), "schema: .*must not contain .*apps/v1beta1"),
    (put([*MAIN, "env", "+"], {"name": "POD", "value": "x"}), "env POD exists twice"),
    (put([*MAIN, "volumeMounts", "+"], {"name": "tmp", "mountPath": "/tmp/"}), "/tmp is mounted twice"),
    (put([*MAIN, "volumeMounts", "+"], {"name": "none", "mountPath": "/none"}), "none is mounted but is not a volume"),
    (put(["volumes", "+"], {"name": "tmp", "emptyDir": {}}), "volume tmp exists twice"),
    (put(["volumes", "+"], {"name": "data", "emptyDir": {}}), "volume data exists twice"),
    (put([*MAIN, "ports", "+"], {"name": "clients", "containerPort": 1}), "port clients exists twice"),
    (put([*MAIN, "livenessProbe", "tcpSocket", "port"], "other"), "'other', which does not exist"),
    (put([*MAIN, "image"], "docker.io/apache/Kafka:4.1.1"), "is not a reference"),
    (put([*MAIN, "image"], "docker.io/apache/kafka"), "isn't pinned"),
    (put([*MAIN, "resources", "requests", "cpu"], "2"), "requests more cpu than its limit"),
    (put([*MAIN, "resources", "limits", "cpu"], "0m"), "limit of cpu is 0m"),
    (put(["imagePullSecrets"], [{"name": "a"}, {"name": "a"}]), "imagePullSecrets: a exists twice"),
    (put(["imagePullSecrets"], [{}]), "imagePullSecrets: '' is not a name"),
    (put(["nodeSelector"], {"disk": "a: b"}), "nodeSelector: disk='a: b' can't be"),
    (put(["tolerations"], [{"operator": "Exists", "value": "x"}]), "can't be"),
    (put(["securityContext", "runAsNonRoot"], False), "Pod Security: container kafka may run as root"),
    (put([*MAIN, "securityContext", "capabilities"], {}), "Pod Security: container kafka has capabilities"),
    (put(["volumes", "+"], {"name": "host", "hostPath": {"path": "/"}}), "Pod Security: volume host"),
    (lambda obj: obj["metadata"]["labels"].update({"app.kubernetes.io/version": "1+2"}), "can't have the value '1[+]2'"),
    (lambda obj: obj["metadata"].update(name="k" * 53), "53 characters"),
    (lambda obj: obj["metadata"]["annotations"].update(x="%!s(int=3)"), "printed by Go"),
    (lambda obj: obj["spec"]["selector"]["matchLabels"].update(team="a"), "selects other pods"),
]


class Rules(unittest.TestCase):
    def test_each_fault_is_found(self):
        for change, words in FAULTS:
            with self.subTest(words):
                self.assertRegex(broken("StatefulSet", "kafka", change), words)
        self.assertEqual(broken("StatefulSet", "kafka", lambda obj: None), "")

    def test_yaml_is_read_as_the_api_server_reads_it(self):
        for plain in ("y", "n", "yes", "1e3", "1E3", "0777", "0o7", "0x1f", "1_000", ".5", "~", "null", "2024"):
            self.assertNotIsInstance(chart.load(f"a: {plain}")["a"], str, plain)
        self.assertEqual(chart.load("a: 2024-01-01")["a"], "2024-01-01")
        with self.assertRaises(chart.Invalid):
            chart.load("{a: 1, a: 1}")

    def test_a_service_that_selects_nothing_is_found(self):
        objects = [copy.deepcopy(obj) for obj in chart.render().values()]
        self.assertEqual(list(rules.together(objects)), [])
        service = next(o for o in objects if o["kind"] == "Service")
        service["spec"]["selector"]["app.kubernetes.io/component"] = "nobody"
        self.assertIn("selects no pod", "".join(rules.together(objects)))

    def test_an_autoscaler_that_cannot_scale_is_found(self):
        def found(change):
            objects = {(o["kind"], o["metadata"]["name"]): copy.deepcopy(o) for o in chart.render("autoscaled").values()}
            change(objects[("HorizontalPodAutoscaler", "kapture-etl-postgres")]["spec"], objects[("Deployment", "kapture-etl-postgres")])
            return "".join(rules.together(list(objects.values())))

        self.assertEqual(found(lambda spec, target: None), "")
        self.assertIn("scales no object", found(lambda spec, target: spec["scaleTargetRef"].update(kind="StatefulSet")))
        self.assertIn("has replicas of its own", found(lambda spec, target: target["spec"].update(replicas=1)))
        self.assertIn("needs a CPU request of etl", found(lambda spec, target: first(target)["resources"]["requests"].pop("cpu")))
        self.assertIn("has from 5 to 4 replicas", found(lambda spec, target: spec.update(minReplicas=5)))

    def test_the_grammar_of_images_is_that_of_the_runtimes(self):
        digest = "sha256:" + "0" * 64
        good = ["a:1", "a/b:1", "docker.io/a/b:1", "r.example:5000/m/a__b-c.d:1_2-3.4", f"r/a@{digest}", f"a:1@{digest}", "[fd00::1]:5000/a:1"]
        bad = ["", "a:", "A:1", "/a:1", "a//b:1", "https://r/a:1", "r/a:1+2", "r/a:-1", f"r/a:{'x' * 129}", "r:x/a:1", "a@sha256:0", "-a:1", "a:latest"]
        for image in good:
            self.assertIsNone(reference.fault(image), image)
        for image in bad:
            self.assertIsNotNone(reference.fault(image), image)
