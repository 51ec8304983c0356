"""
Renders the chart with the real Helm, and finds objects in the rendering. rules.py checks everything that any test renders.
"""

import concurrent.futures
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import threading

import yaml

TESTS = pathlib.Path(__file__).parent
CHART = TESTS.parent
RELEASE, NAMESPACE = "kapture", "perf-test"
SITUATIONS = {path.stem: path for path in [*TESTS.glob("situations/*.yaml"), *CHART.glob("presets/*.yaml")]}

# The settings of all pods that can also be set for a single component.
SHARED = {
    "podLabels", "podAnnotations", "nodeSelector", "tolerations", "affinity", "topologySpreadConstraints", "priorityClassName",
    "podSecurityContext", "securityContext", "extraEnv", "extraVolumes", "extraVolumeMounts",
}  # fmt: skip
STAGES = json.loads((CHART.parents[1] / "crates/pipeline/pipeline.json").read_text())["stages"]
# Those that fill a stage, in the order of the flow, by the path of their values.
FLOW = {stage["values"]: stage["component"] for stage in STAGES}
# The components, by the path of their values.
COMPONENTS = {
    "kafka": "kafka", **FLOW, "webapp": "webapp", "redis": "redis", "postgres": "postgres", "auditor": "auditor", "exporter": "exporter",
    "benchmark": "benchmark", "test": "test",
}  # fmt: skip


AT_ONCE = (os.cpu_count() or 1) + 1
FREE = threading.Semaphore(AT_ONCE)


class Strict(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML as the API server reads it: duplicate keys are errors, and more words than in PyYAML are not strings."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith("timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"twice: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


Strict.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^[yYnN]$"), list("yYnN"))
Strict.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+([.][0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789"))
Strict.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?0o[0-7]+$"), list("-+0"))
Strict.bool_values = yaml.SafeLoader.bool_values | {"y": True, "n": False}


class Refused(Exception):
    """Helm refused to render; the text is its message."""


class Invalid(AssertionError):
    """Helm rendered something that the API server or the kubelet would refuse; the text gives the reason."""


def helm(*arguments, values=""):
    """Helm's output."""
    with FREE:
        command = [os.environ["HELM"], *arguments]
        # Helm ignores a last line of 4096 bytes, or a multiple, that does not end in a line break.
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, input=values + "\n")
    if done.returncode:
        raise Refused(done.stderr)
    return done.stdout


def is_json(typed):
    """Whether this is a list or a map in JSON."""
    try:
        return isinstance(json.loads(typed), (list, dict))
    except ValueError:
        return False


def pieces(rendered):
    """The texts of the objects of a rendering."""
    found = (re.sub(r"\A(---|# Source:.*)\n", "", piece) for piece in re.split(r"(?m)^---$\n", rendered))
    return [piece for piece in found if re.sub(r"(?m)^#.*", "", piece).strip()]


@functools.lru_cache(maxsize=None)
def load(piece):
    """The object in a text. It is shared: don't change it."""
    try:
        return yaml.load(piece, Strict)
    except (yaml.YAMLError, ValueError) as error:
        raise Invalid(f"{error} in:\n{piece}") from error


@functools.lru_cache(maxsize=None)
def text(situation="default", *sets, release=RELEASE, namespace=NAMESPACE, values="", chart=CHART, allow=None):
    """
    The output of `helm template` for a situation, some `--set path=value`, and the text of a values file. Generated passwords
    are masked. It must pass all rules, except for faults with `allow` in their line.
    """
    command = ["template", release, str(chart), "--namespace", namespace]
    command += ["--values", str(SITUATIONS[situation])] if situation else []
    command += ["--values", "-"]
    for item in sets:
        command += ["--set-json" if is_json(item.partition("=")[2]) else "--set", item]
    rendered = re.sub(r"(?m)^  password: .{40,}$", "  password: bWFkZSB1cA==", helm(*command, values=values))
    import rules

    faults = [fault for fault in rules.faults(pieces(rendered), load) if not (allow and re.search(allow, fault))]
    if faults:
        raise Invalid("\n".join(faults[:20]))
    return rendered


def refusal(*sets, **how):
    """Helm's refusal, or None if it renders."""
    try:
        text(*sets, **how)
    except Refused as error:
        return str(error)
    return None


def parallel(function, items):
    """[(item, result)], in order, with as many at once as the machine has room for."""
    items = list(items)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return list(zip(items, pool.map(function, items)))


@functools.lru_cache(maxsize=None)
def render(situation="default", *sets, **how):
    """The same as {(kind, name): object}. They are shared: don't change them."""
    objects = [load(piece) for piece in pieces(text(situation, *sets, **how))]
    return {(o["kind"], o["metadata"]["name"]): o for o in objects}


def get(kind, name, situation="default", *sets):
    """One object of a rendering, by its name without the release's."""
    return render(situation, *sets)[(kind, f"{RELEASE}-{name}")]


def workloads(situation="default", *sets, **how):
    """
    (component, replicas, pod's metadata, pod spec) of everything that runs, including those of the test and the benchmark. Of an
    autoscaled component, the fewest replicas.
    """
    rendered = render(situation, *sets, **how)
    for (kind, name), obj in sorted(rendered.items()):
        if kind in ("StatefulSet", "Deployment"):
            template, scaler = obj["spec"]["template"], rendered.get(("HorizontalPodAutoscaler", name))
            replicas = scaler["spec"]["minReplicas"] if scaler else obj["spec"]["replicas"]
            yield component(obj), replicas, template["metadata"], template["spec"]
        elif kind == "Pod":
            yield component(obj), 1, obj["metadata"], obj["spec"]
        elif kind == "CronJob" and component(obj) != "check":  # Its pod is that of `helm test`.
            template = obj["spec"]["jobTemplate"]["spec"]["template"]
            yield component(obj), 1, template["metadata"], template["spec"]


def component(obj):
    """The component that an object belongs to."""
    return obj["metadata"]["labels"]["app.kubernetes.io/component"]


def container(name, in_component, situation="default", *sets):
    """One container of a component."""
    for found, _, _, spec in workloads(situation, *sets):
        if found == in_component:
            return next(c for c in spec["containers"] if c["name"] == name)
    raise KeyError(in_component)


def env(container_):
    """Its variables, by name; the value of one with `valueFrom` is the source."""
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in container_.get("env", [])}


def volume_size(obj, name="data"):
    """The size of a StatefulSet's claim, or of the emptyDir instead of it."""
    for claim in obj["spec"].get("volumeClaimTemplates", []):
        if claim["metadata"]["name"] == name:
            return claim["spec"]["resources"]["requests"]["storage"]
    volumes = obj["spec"]["template"]["spec"]["volumes"]
    return next(v for v in volumes if v["name"] == name)["emptyDir"]["sizeLimit"]


def copy_to(folder):
    """Copies the chart, without its tests, to a new folder, and returns that."""
    shutil.copytree(CHART, folder, ignore=lambda here, _: {"tests"} if here == str(CHART) else set())
    return folder


def cpu(quantity):
    """The number of CPUs of a quantity."""
    value = str(quantity)
    return int(value[:-1]) / 1000 if value.endswith("m") else float(value)


def leaves(values, path=""):
    """The paths of all values that aren't maps; an empty map is a leaf."""
    for key, value in values.items():
        here = f"{path}.{key}" if path else key
        if isinstance(value, dict) and value:
            yield from leaves(value, here)
        else:
            yield here


def values():
    """The chart's own values."""
    return yaml.safe_load((CHART / "values.yaml").read_text())
