"""
Checks that an example of examples/ does what it claims. `examples.py strict FILE`, `examples.py EXAMPLE BASE FILE` for one of
examples/kustomize, `examples.py gitops FOLDER`. See ../kustomize.
"""

import pathlib
import sys

import yaml
from chart import CHART, Strict

STATEFUL = "apps/v1 StatefulSet"


def load(path):
    """{"apps/v1 StatefulSet kapture-kafka": the object}."""
    objects = [o for o in yaml.load_all(pathlib.Path(path).read_text(), Strict) if o]
    found = {f"{o['apiVersion']} {o['kind']} {o['metadata']['name']}": o for o in objects}
    assert len(found) == len(objects), "two objects have one name"
    return found


def pods(objects):
    """(key, pod spec) of everything that creates pods."""
    for key, obj in objects.items():
        spec = obj.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            yield key, spec["template"]["spec"]


def container(objects, key, name):
    """One container of a workload."""
    return next(c for c in dict(pods(objects))[key]["containers"] if c["name"] == name)


def env(container_):
    """Its plain variables."""
    return {e["name"]: e["value"] for e in container_["env"] if "value" in e}


def strict(path):
    objects = load(path)
    assert not [key for key in objects if " Pod " in key], "the pod of `helm test` is there"
    for key, obj in objects.items():
        assert "namespace" not in obj["metadata"], f"{key} has a namespace"
    for key, spec in pods(objects):
        assert f"v1 ServiceAccount {spec['serviceAccountName']}" in objects, key
        for volume in spec.get("volumes", []):
            if "configMap" in volume:
                assert f"v1 ConfigMap {volume['configMap']['name']}" in objects, (key, volume)
        for one in spec["containers"]:
            for entry in one["env"]:
                if ref := entry.get("valueFrom", {}).get("secretKeyRef"):
                    assert ref["key"] in objects[f"v1 Secret {ref['name']}"]["data"], (key, ref)
                # An address with the namespace would point to the namespace that the chart was rendered for. TEST_RELEASE is only a title.
                assert "perf-test" not in str(entry) or entry["name"] == "TEST_RELEASE", (key, entry)


def changed(base, objects):
    """The keys of objects that were added, removed or changed."""
    return {key for key in base.keys() | objects.keys() if base.get(key) != objects.get(key)}


def base_only(base, objects):
    assert not changed(base, objects)
    secrets = [key for key in objects if " Secret " in key]
    assert secrets == ["v1 Secret kapture-passwords"], secrets
    assert set(objects[secrets[0]]["data"]) == {"kafka", "redis", "postgres", "loader"}


def persistent_volumes(base, objects):
    claims = {f"v1 PersistentVolumeClaim data-kapture-kafka-{n}" for n in range(3)}
    told = {key for key, spec in pods(base) if any("KAFKA_RETENTION_BYTES" in env(c) for c in spec["containers"])}
    stores = {f"{STATEFUL} kapture-kafka", f"{STATEFUL} kapture-postgres"}
    benchmark = "batch/v1 CronJob kapture-benchmark"
    wanted = claims | told | stores | {benchmark}
    assert changed(base, objects) == wanted, changed(base, objects) ^ wanted
    assert env(container(objects, benchmark, "benchmark"))["BENCHMARK_VOLUMES"] == "kafka=20Gi,postgres=20Gi"
    for key in stores:
        spec = objects[key]["spec"]["volumeClaimTemplates"][0]["spec"]
        assert (spec["storageClassName"], spec["resources"]["requests"]["storage"]) == ("fast", "20Gi"), spec
    kafka = objects[f"{STATEFUL} kapture-kafka"]
    for n in range(kafka["spec"]["replicas"]):
        claim = objects[f"v1 PersistentVolumeClaim {kafka['spec']['volumeClaimTemplates'][0]['metadata']['name']}-kapture-kafka-{n}"]
        assert (claim["spec"]["storageClassName"], claim["spec"]["volumeName"]) == ("", f"kafka-{n}"), claim
        assert claim["metadata"]["labels"] == kafka["spec"]["selector"]["matchLabels"], claim
    assert told
    for key, spec in pods(objects):
        for one in spec["containers"]:
            assert env(one).get("KAFKA_RETENTION_BYTES", str(20 * 2**30 * 8 // 10)) == str(20 * 2**30 * 8 // 10), key


def more_broker_resources(base, objects):
    key = f"{STATEFUL} kapture-kafka"
    assert changed(base, objects) == {key}
    kafka = container(objects, key, "kafka")
    assert kafka["resources"] == {"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"cpu": "4", "memory": "4Gi"}}
    assert env(kafka) == env(container(base, key, "kafka")) | {"KAFKA_HEAP_OPTS": "-Xms2048m -Xmx2048m"}
    assert container(objects, key, "probe") == container(base, key, "probe")


def another_generator(base, objects):
    key = f"{STATEFUL} kapture-loader"
    assert changed(base, objects) == {key}
    before, after = container(base, key, "loader"), container(objects, key, "loader")
    assert after["image"] == "registry.example/team/generator:1.0"
    assert env(after) == env(before) | {"GENERATOR_SHAPE": "bursts"}
    same = {name: value for name, value in before.items() if name not in ("image", "env")}
    assert same == {name: value for name, value in after.items() if name not in ("image", "env")}
    assert objects[key]["spec"]["replicas"] == 3


def gitops(folder):
    root = CHART.parent.parent
    folder = pathlib.Path(folder)
    found = [o for path in sorted(folder.glob("*.yaml")) for o in yaml.load_all(path.read_text(), Strict)]
    kinds = {o["kind"]: o["spec"] for o in found}
    assert sorted(o["kind"] for o in found) == ["Application", "GitRepository", "HelmRelease"], kinds.keys()
    source = kinds["Application"]["source"]
    names = {next(o["metadata"]["name"] for o in found if o["kind"] == kind) for kind in ("Application", "HelmRelease")}
    assert names == {source["helm"]["releaseName"], kinds["HelmRelease"]["releaseName"]}, names
    files = [root / source["path"] / name for name in source["helm"]["valueFiles"]]
    chart = kinds["HelmRelease"]["chart"]["spec"]
    files += [root / chart["chart"] / "Chart.yaml"] + [root / name for name in chart["valuesFiles"]]
    assert not [path for path in files if not path.is_file()], files
    assert files.count(CHART / "presets" / "gitops.yaml") == 2, files


def main():
    what, *paths = sys.argv[1:]
    if what in ("strict", "gitops"):
        {"strict": strict, "gitops": gitops}[what](paths[0])
    else:
        looks = {"base": base_only, "persistent-volumes": persistent_volumes,
                 "more-broker-resources": more_broker_resources, "another-generator": another_generator}  # fmt: skip
        looks[what](load(paths[0]), load(paths[1]))


main()
