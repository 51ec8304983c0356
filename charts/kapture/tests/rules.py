"""
What the API server and the kubelet require of an object beyond its schema. chart.py checks every rendering of every test. A
fault is a line of text that begins with its place.
"""

import functools
import re

import kubernetes
import reference
import restricted

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
SERVICE = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
SUBDOMAIN = re.compile(rf"(?=.{{1,253}}$){LABEL.pattern}([.]{LABEL.pattern})*")
VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
PORT = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")
ENV = re.compile(r"[-._A-Za-z][-._A-Za-z0-9]*")
KEY = re.compile(r"[-._A-Za-z0-9]{1,253}")
# What Go prints when a template gets an unexpected value.
GO = re.compile(r"%!|<nil>|<no value>|\bmap\[|\[map|\de\+\d")
# A StatefulSet's pods have a label with its name and 11 more characters; a CronJob's Jobs are named in the same way.
LONGEST = {"StatefulSet": 52, "CronJob": 52}
SCALES = {"": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def quantity(text):
    """The value of a quantity."""
    number, unit = re.fullmatch(r"([0-9.]+)([a-zA-Z]*)", str(text)).groups()
    return float(number) * SCALES[unit]


def twice(items):
    """The items that occur more than once."""
    items = list(items)
    return sorted({item for item in items if items.count(item) > 1})


def qualified(key):
    """Whether this can be the key of a label or an annotation."""
    prefix, slash, name = key.rpartition("/")
    return bool((SUBDOMAIN.fullmatch(prefix) if slash else True) and name and VALUE.fullmatch(name))


def leaves(node, path=""):
    """(path, value) of everything that is neither a map nor a list."""
    if isinstance(node, (dict, list)):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(value, f"{path}/{key}")
    else:
        yield path, node


def templates(obj):
    """(metadata, spec) of the pods that an object creates."""
    if obj["kind"] == "Pod":
        yield obj["metadata"], obj["spec"]
    spec = obj.get("spec", {})
    if obj["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    if "template" in spec:
        yield spec["template"]["metadata"], spec["template"]["spec"]


def metadata_faults(metadata):
    for kind in ("labels", "annotations"):
        for key, value in (metadata.get(kind) or {}).items():
            if not qualified(key):
                yield f"{kind}: {key!r} is not a key"
            if kind == "labels" and not VALUE.fullmatch(value):
                yield f"labels: {key} can't have the value {value!r}"


def container_faults(container, volumes):
    if not LABEL.fullmatch(container["name"]):
        yield "its name is not a label"
    if wrong := reference.fault(container["image"]):
        yield f"image {container['image']!r} {wrong}"
    env = container.get("env", [])
    yield from (f"env {name} exists twice" for name in twice(e["name"] for e in env))
    for entry in env:
        if not ENV.fullmatch(entry["name"]):
            yield f"env {entry['name']!r} is not a name"
        if "value" in entry and "valueFrom" in entry:
            yield f"env {entry['name']} has a value and a source"
        if secret := entry.get("valueFrom", {}).get("secretKeyRef"):
            if not SUBDOMAIN.fullmatch(secret["name"]) or not KEY.fullmatch(secret["key"]):
                yield f"env {entry['name']} comes from no possible Secret: {secret}"
    mounts = container.get("volumeMounts", [])
    yield from (f"{path} is mounted twice" for path in twice(m["mountPath"].rstrip("/") for m in mounts))
    yield from (f"{m['name']} is mounted but is not a volume" for m in mounts if m["name"] not in volumes)
    ports = container.get("ports", [])
    names = [p["name"] for p in ports if "name" in p]
    yield from (f"port {name!r} is not a name" for name in names if not PORT.fullmatch(name))
    yield from (f"port {p} exists twice" for p in twice(names) + twice(p["containerPort"] for p in ports))
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        for way in ("httpGet", "tcpSocket"):
            port = container.get(probe, {}).get(way, {}).get("port")
            if isinstance(port, str) and port not in names:
                yield f"{probe} uses the port {port!r}, which does not exist"
    resources = container.get("resources", {})
    for name, limit in resources.get("limits", {}).items():
        if quantity(limit) <= 0:
            yield f"its limit of {name} is {limit}"
        if quantity(resources.get("requests", {}).get(name, 0)) > quantity(limit):
            yield f"it requests more {name} than its limit"


def pod_faults(metadata, spec):
    yield from metadata_faults(metadata)
    volumes = [v["name"] for v in spec.get("volumes", [])]
    claims = spec.get("claims", [])
    yield from (f"volume {name} exists twice" for name in twice(volumes + claims))
    yield from (f"volume {name!r} is not a label" for name in volumes if not LABEL.fullmatch(name))
    for volume in spec.get("volumes", []):
        if len(volume) != 2:
            yield f"volume {volume['name']} has not one kind: {sorted(volume)}"
    yield from (f"container {name} exists twice" for name in twice(c["name"] for c in spec["containers"]))
    secrets = [s.get("name", "") for s in spec.get("imagePullSecrets", [])]
    yield from (f"imagePullSecrets: {name} exists twice" for name in twice(secrets))
    yield from (f"imagePullSecrets: {name!r} is not a name" for name in secrets if not SUBDOMAIN.fullmatch(name))
    for key in ("priorityClassName", "serviceAccountName"):
        if key in spec and not SUBDOMAIN.fullmatch(spec[key]):
            yield f"{key}: {spec[key]!r} is not a name"
    for toleration in spec.get("tolerations", []):
        exists = toleration.get("operator") == "Exists"
        if exists and toleration.get("value") or not exists and not toleration.get("key"):
            yield f"toleration {toleration} can't be"
        if toleration.get("key") and not qualified(toleration["key"]):
            yield f"toleration: {toleration['key']!r} is not a key"
        if not VALUE.fullmatch(toleration.get("value", "")):
            yield f"toleration: {toleration['value']!r} is not a value"
        if "tolerationSeconds" in toleration and toleration.get("effect") != "NoExecute":
            yield f"toleration {toleration} has seconds without NoExecute"
    for key, value in spec.get("nodeSelector", {}).items():
        if not qualified(key) or not VALUE.fullmatch(value):
            yield f"nodeSelector: {key}={value!r} can't be"
    spreads = [(s["topologyKey"], s["whenUnsatisfiable"]) for s in spec.get("topologySpreadConstraints", [])]
    yield from (f"topologySpreadConstraints: {s} exists twice" for s in twice(spreads))
    yield from (f"topologySpreadConstraints: {key!r} is not a key" for key, _ in spreads if not qualified(key))
    for container in spec["containers"]:
        yield from (f"container {container['name']}: {f}" for f in container_faults(container, volumes + claims))
    yield from restricted.faults(spec)


def object_faults(obj):
    metadata, spec = obj["metadata"], obj.get("spec", {})
    name = metadata["name"]
    if not (SERVICE if obj["kind"] == "Service" else SUBDOMAIN).fullmatch(name):
        yield "its name can't be"
    if len(name) > LONGEST.get(obj["kind"], 253):
        yield f"its name is {len(name)} characters long"
    yield from metadata_faults(metadata)
    for path, value in leaves(obj):
        if isinstance(value, str) and GO.search(value):
            yield f"{path} was printed by Go: {GO.search(value).group()!r}"
    for key in [*obj.get("data", {}), *obj.get("stringData", {})]:
        if not KEY.fullmatch(key):
            yield f"data: {key!r} is not a key"
    for labels, pod in templates(obj):
        claims = [c["metadata"]["name"] for c in spec.get("volumeClaimTemplates", [])]
        yield from pod_faults(labels, {**pod, "claims": claims})
        selector = spec.get("selector", {}).get("matchLabels", {})
        if not selector.items() <= labels["labels"].items():
            yield f"it selects other pods than its own: {selector}"
    for claim in spec.get("volumeClaimTemplates", []):
        yield from (f"claim {claim['metadata']['name']}: {f}" for f in metadata_faults(claim["metadata"]))
        if not SUBDOMAIN.fullmatch(claim["spec"].get("storageClassName") or "none"):
            yield f"claim: {claim['spec']['storageClassName']!r} is not a storage class"
    if obj["kind"] == "Service":
        yield from (f"port {p} exists twice" for p in twice(p["name"] for p in spec["ports"]))


@functools.lru_cache(maxsize=None)
def cached_faults(key, load):
    """The faults of one object, given as text."""
    obj = load(key)
    wrong = kubernetes.fault(obj)
    # If the types are wrong, the rest can't be checked.
    return tuple([f"schema: {wrong}"] if wrong else object_faults(obj))


def scaler_faults(where, spec, objects):
    target = (spec["scaleTargetRef"]["apiVersion"], spec["scaleTargetRef"]["kind"], spec["scaleTargetRef"]["name"])
    found = [o for o in objects if (o["apiVersion"], o["kind"], o["metadata"]["name"]) == target]
    if not found:
        yield f"{where} scales no object: {target}"
    for obj in found:
        # The next upgrade would take back what the autoscaler did.
        if "replicas" in obj["spec"]:
            yield f"{where} scales {obj['metadata']['name']}, which has replicas of its own"
        for container in obj["spec"]["template"]["spec"]["containers"]:
            if "cpu" not in container["resources"]["requests"]:
                yield f"{where} needs a CPU request of {container['name']}"
    if not 1 <= spec["minReplicas"] <= spec["maxReplicas"]:
        yield f"{where} has from {spec['minReplicas']} to {spec['maxReplicas']} replicas"


def together(objects):
    """Faults between objects."""
    names = [(o["kind"], o["metadata"]["name"]) for o in objects]
    yield from (f"{kind} {name} exists twice" for kind, name in twice(names))
    pods = [metadata["labels"] for o in objects for metadata, _ in templates(o)]
    for obj in objects:
        where, spec = f"{obj['kind']} {obj['metadata']['name']}", obj.get("spec", {})
        selectors = {
            "Service": [spec.get("selector")],
            "PodDisruptionBudget": [spec.get("selector", {}).get("matchLabels")],
            "NetworkPolicy": [spec.get("podSelector", {}).get("matchLabels")],
        }.get(obj["kind"], [])
        for selector in selectors:
            if not any(selector.items() <= labels.items() for labels in pods):
                yield f"{where} selects no pod: {selector}"
        if obj["kind"] == "HorizontalPodAutoscaler":
            yield from scaler_faults(where, spec, objects)
        if obj["kind"] == "StatefulSet" and ("Service", spec["serviceName"]) not in names:
            yield f"{where} has no Service {spec['serviceName']}"
        for _, pod in templates(obj):
            for volume in pod.get("volumes", []):
                if volume["name"] == "config" and ("ConfigMap", volume["configMap"]["name"]) not in names:
                    yield f"{where} has no ConfigMap {volume['configMap']['name']}"


def faults(texts, load):
    """All faults of a rendering, given as the texts of its objects; `load` parses one."""
    found = []
    for text in texts:
        obj = load(text)
        found += [f"{obj.get('kind')} {obj.get('metadata', {}).get('name')}: {f}" for f in cached_faults(text, load)]
    return found or list(together([load(text) for text in texts]))
