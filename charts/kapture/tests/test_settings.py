"""The settings shared by all pods, and a component's own, which override them: for every setting and every component."""

import unittest

import chart
import schema

SERVERS = ("kafka", "redis", "postgres")
PATHS = {name: tuple(path.split(".")) for path, name in chart.COMPONENTS.items()}
EXISTS = [{"key": "own", "operator": "Exists"}]
AFFINITY = [{"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": w, "preference": {}}]}} for w in (1, 2)]
SPREAD = [[{"topologyKey": key, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"a": "b"}}}] for key in ("rack", "row")]


def volume(name, size):
    return {"name": name, "emptyDir": {"sizeLimit": size}}


# Each setting: the shared value, the component's own, and the result.
MERGED = {
    "podLabels": ({"a": "1", "b": "1"}, {"b": "2", "c": "2"}, {"a": "1", "b": "2", "c": "2"}),
    "podAnnotations": ({"a": "1", "b": "1"}, {"b": "2", "c": "2"}, {"a": "1", "b": "2", "c": "2"}),
    "nodeSelector": ({"a": "1", "b": "1"}, {"b": "2", "c": "2"}, {"a": "1", "b": "2", "c": "2"}),
    "podSecurityContext": ({"supplementalGroups": [1], "fsGroup": 7}, {"fsGroup": 8}, {"supplementalGroups": [1], "fsGroup": 8}),
    "securityContext": ({"runAsUser": 7, "runAsGroup": 7}, {"runAsUser": 8}, {"runAsUser": 8, "runAsGroup": 7}),
    "tolerations": ([{"key": "all", "operator": "Exists"}], EXISTS, EXISTS),
    "affinity": (AFFINITY[0], AFFINITY[1], AFFINITY[1]),
    "topologySpreadConstraints": (SPREAD[0], SPREAD[1], SPREAD[1]),
    "priorityClassName": ("low", "high", "high"),
    "extraVolumes": (
        [volume("x", "1Mi"), volume("y", "1Mi")], [volume("y", "2Mi"), volume("z", "2Mi")],
        [volume("x", "1Mi"), volume("y", "2Mi"), volume("z", "2Mi")],
    ),
    "extraVolumeMounts": (
        [{"name": "x", "mountPath": "/x"}, {"name": "y", "mountPath": "/y"}], [{"name": "y", "mountPath": "/y", "readOnly": True}],
        [{"name": "x", "mountPath": "/x"}, {"name": "y", "mountPath": "/y", "readOnly": True}],
    ),
    "extraEnv": (
        [{"name": "A", "value": 1}, {"name": "B", "value": True}], [{"name": "B", "value": 2.5}, {"name": "C", "value": "c"}],
        {"A": "1", "B": "2.5", "C": "c"},
    ),
}  # fmt: skip
SHARED = {key: value for key, (value, _, _) in MERGED.items()}
CHOSEN = ("app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component")
OF_THE_CHART = ("app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart")


def found(metadata, spec, component):
    """A pod's actual settings, in the form of the results in MERGED."""
    main = spec["containers"][0]
    names = {"x", "y", "z"}
    env = {name: value for name, value in chart.env(main).items() if name in "ABC"}
    return {
        "podLabels": {k: v for k, v in metadata["labels"].items() if k in "abc"},
        "podAnnotations": {k: v for k, v in metadata["annotations"].items() if k in "abc"},
        "nodeSelector": spec["nodeSelector"],
        "podSecurityContext": {k: v for k, v in spec["securityContext"].items() if k in ("supplementalGroups", "fsGroup")},
        "securityContext": {k: v for k, v in main["securityContext"].items() if k in ("runAsUser", "runAsGroup")},
        "extraVolumes": [v for v in spec.get("volumes", []) if v["name"] in names],
        "extraVolumeMounts": [m for m in main.get("volumeMounts", []) if m["name"] in names],
        "extraEnv": env,
        **{key: spec.get(key) for key in ("tolerations", "affinity", "topologySpreadConstraints", "priorityClassName")},
    }


def wanted(component, own):
    """The settings that it must have."""
    result = {key: (merged if own else shared) for key, (shared, _, merged) in MERGED.items()}
    if not own:
        result["extraEnv"] = {"A": "1", "B": "true"}
    if component in SERVERS:
        # Shared variables are only for Kapture's own programs, because a change of them would restart the servers.
        result["extraEnv"] = {"B": "2.5", "C": "c"} if own else {}
    return result


def with_own(component):
    path = PATHS[component]
    entries = [((key,), value) for key, value in SHARED.items()] + [((*path, key), own) for key, (_, own, _) in MERGED.items()]
    return list(chart.workloads("full", values=schema.build(entries)))


def templates(*sets, values=""):
    """The pod templates of the servers."""
    return {c: (m, s) for c, _, m, s in chart.workloads("full", *sets, values=values) if c in SERVERS}


class Settings(unittest.TestCase):
    maxDiff = 2000

    def test_all_settings_are_here(self):
        self.assertEqual(set(MERGED), chart.SHARED)
        self.assertEqual({name for name, *_ in chart.workloads("full")}, set(PATHS))

    def test_a_components_own_count_over_those_of_all_and_nowhere_else(self):
        for component, pods in chart.parallel(with_own, PATHS):
            for name, _, metadata, spec in pods:
                with self.subTest(component, pod=name):
                    self.assertEqual(found(metadata, spec, name), wanted(name, name == component))

    def test_what_the_chart_sets_cannot_be_set_again(self):
        asked = []
        for component, _, _, spec in chart.workloads("full"):
            names = list(chart.env(spec["containers"][0]))
            asked += [(component, name) for name in dict.fromkeys((names[0], names[len(names) // 2], names[-1]))]

        def said(item):
            component, name = item
            return chart.refusal("full", values=schema.build([((*PATHS[component], "extraEnv"), [{"name": name, "value": "x"}])]))

        for item, answer in chart.parallel(said, asked):
            with self.subTest(item):
                self.assertIn(f"extraEnv can't set {item[1]}", answer or "rendered")
        self.assertIn("extraEnv can't set SERVICE_POD", chart.refusal("full", 'extraEnv=[{"name": "SERVICE_POD", "value": "x"}]'))

    def test_labels_by_which_pods_are_found_are_nobody_elses(self):
        asked = [(path, label) for label in CHOSEN for path in ("commonLabels", "podLabels", *(f"{p}.podLabels" for p in chart.COMPONENTS))]

        def said(item):
            path, label = item
            return chart.refusal("full", values=schema.build([(tuple(path.split(".")), {label: "x"})]))

        for (path, label), answer in chart.parallel(said, asked if len(asked) < 50 else asked[::2]):
            with self.subTest(path, label=label):
                self.assertIn(f"{path} can't set {label}", answer or "rendered")

    def test_other_labels_and_annotations_of_the_chart_are_there_once(self):
        for key in ("commonLabels", "podLabels", "podAnnotations", "serviceAccount.annotations", "kafka.persistence.annotations"):
            for label in (*OF_THE_CHART, "kapture/controllers", "helm.sh/hook", "helm.sh/hook-delete-policy", "checksum/config", "helm.sh/resource-policy"):
                with self.subTest(key, label=label):
                    try:
                        rendered = chart.render("full", values=schema.build([(tuple(key.split(".")), {label: "x"})]))
                        self.assertIn(("Pod", "kapture-test-every-sale-arrives"), rendered, "Helm takes it for no hook")
                    except chart.Refused as error:
                        self.assertIn(key, str(error))

    def test_what_is_for_the_programs_restarts_no_server(self):
        before = templates()
        for sets in (
            ['extraEnv=[{"name": "RUST_LOG", "value": "debug"}]'], ["image.tag=9.9"],
            [f"image.digests.{p}=sha256:{'0' * 64}" for p in ("loader", "etl", "auditor", "exporter")],
            [f"{p}.resources.limits.cpu=3" for p in chart.COMPONENTS if p not in SERVERS], ["loader.rate=7", "etl.fanOut.replicas=3"],
            ["image.tag=9.9", "networkPolicy.enabled=true", "auditor.replicas=0", "exporter.replicas=0"],
        ):  # fmt: skip
            self.assertEqual(templates(*sets), before, sets)

    def test_what_is_for_one_server_restarts_no_other(self):
        before = templates()
        for server in SERVERS:
            after = templates(f"{server}.image.tag=9.9", f"{server}.resources.limits.memory=2Gi")
            self.assertEqual({s for s in SERVERS if after[s] != before[s]}, {server})
