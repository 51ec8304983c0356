"""Checks objects against Kubernetes' own schema: no unknown fields, no wrong types, no missing required fields."""

import functools
import json
import os
import re
import subprocess
import threading

import chart

try:
    import fastjsonschema
except ImportError as error:
    raise ImportError("this Python lacks fastjsonschema: use charts/kapture/tests/run [test_module.Class.test]") from error

# What the document describes only in words: as its type, or narrower.
QUANTITY = r"^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$"
BASE64 = r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
INT32 = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
INSTEAD = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "integer"], "pattern": QUANTITY},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["string", "integer"]},
}
ENUMS = {
    "core.v1.Container.imagePullPolicy": ["Always", "Never", "IfNotPresent"],
    "core.v1.PodSpec.restartPolicy": ["Always", "OnFailure", "Never"],
    "core.v1.ContainerPort.protocol": ["TCP", "UDP", "SCTP"],
    "core.v1.ServicePort.protocol": ["TCP", "UDP", "SCTP"],
    "networking.v1.NetworkPolicyPort.protocol": ["TCP", "UDP", "SCTP"],
    "networking.v1.NetworkPolicySpec.policyTypes": ["Ingress", "Egress"],
    "core.v1.Toleration.operator": ["Exists", "Equal"],
    "core.v1.Toleration.effect": ["NoSchedule", "PreferNoSchedule", "NoExecute"],
    "core.v1.TopologySpreadConstraint.whenUnsatisfiable": ["DoNotSchedule", "ScheduleAnyway"],
    "core.v1.SeccompProfile.type": ["RuntimeDefault", "Localhost", "Unconfined"],
    "core.v1.PodSecurityContext.fsGroupChangePolicy": ["OnRootMismatch", "Always"],
    "core.v1.EmptyDirVolumeSource.medium": ["", "Memory"],
    "core.v1.PersistentVolumeClaimSpec.accessModes": ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"],
    "apps.v1.StatefulSetSpec.podManagementPolicy": ["OrderedReady", "Parallel"],
    "apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy.whenDeleted": ["Retain", "Delete"],
    "apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy.whenScaled": ["Retain", "Delete"],
    "apps.v1.DeploymentStrategy.type": ["Recreate", "RollingUpdate"],
    "core.v1.Container.terminationMessagePolicy": ["File", "FallbackToLogsOnError"],
    "batch.v1.PodFailurePolicyRule.action": ["Count", "FailIndex", "FailJob", "Ignore"],
    "batch.v1.PodFailurePolicyOnExitCodesRequirement.operator": ["In", "NotIn"],
    "batch.v1.CronJobSpec.concurrencyPolicy": ["Allow", "Forbid", "Replace"],
}
KINDS = {
    "apps/v1": ["StatefulSet", "Deployment"],
    "autoscaling/v2": ["HorizontalPodAutoscaler"],
    "batch/v1": ["CronJob"],
    "networking.k8s.io/v1": ["NetworkPolicy"],
    "policy/v1": ["PodDisruptionBudget"],
    "v1": ["ConfigMap", "Pod", "Secret", "Service", "ServiceAccount"],
}
LOCK = threading.Lock()


def strict(node, name=""):
    """A definition of the document as a JSON schema without additional properties."""
    if "$ref" in node:
        return {"$ref": node["$ref"]}
    kind, form = node.get("type"), node.get("format")
    if kind == "object" and "properties" in node:
        properties = {key: enumerated(strict(value, key), f"{name}.{key}") for key, value in node["properties"].items()}
        return {"type": "object", "properties": properties, "required": node.get("required", []), "additionalProperties": False}
    if kind == "object" and "additionalProperties" in node:
        return {"type": "object", "additionalProperties": strict(node["additionalProperties"])}
    if kind == "array":
        return {"type": "array", "items": strict(node["items"])}
    if form == "int32":
        return INT32
    if form == "byte":
        return {"type": "string", "pattern": BASE64}
    return {"type": kind} if kind else {}


def enumerated(node, path):
    """The same, restricted to the words that the API server accepts."""
    words = ENUMS.get(path.removeprefix("io.k8s.api."))
    if not words:
        return node
    return {"type": "array", "items": {"enum": words}} if node["type"] == "array" else {"enum": words}


@functools.lru_cache(maxsize=None)
def schema():
    """One schema for all kinds that the chart may have: {"apps/v1 Deployment": the object}."""
    path = os.environ.get("KUBERNETES_SCHEMA")
    if not path:
        fetch = chart.CHART.parent.parent / "ci" / "fetch" / "kubernetes-schema"
        path = subprocess.run([fetch], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    with open(path, encoding="utf-8") as file:
        document = json.load(file)["definitions"]
    tops = {}
    for name, node in document.items():
        for kind in node.get("x-kubernetes-group-version-kind", []):
            version = f"{kind['group']}/{kind['version']}".lstrip("/")
            if kind["kind"] in KINDS.get(version, []):
                tops[f"{version} {kind['kind']}"] = name
    assert len(tops) == sum(map(len, KINDS.values())), sorted(tops)
    needed, waiting = {}, list(tops.values())
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed[name] = INSTEAD.get(name) or strict(document[name], name)
            waiting += re.findall(r'"#/definitions/([^"]+)"', json.dumps(needed[name]))
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": needed,
        "type": "object",
        "properties": {key: {"$ref": f"#/definitions/{name}"} for key, name in tops.items()},
        "additionalProperties": False,
    }


@functools.lru_cache(maxsize=None)
def validator():
    """The schema, compiled."""
    return fastjsonschema.compile(schema())


def fault(obj):
    """Why the schema refuses an object, or None."""
    with LOCK:
        validate = validator()
    try:
        validate({f"{obj.get('apiVersion')} {obj.get('kind')}": obj})
    except fastjsonschema.JsonSchemaValueException as error:
        return f"{error.message} (here: {str(error.value)[:80]!r})"
    return None
