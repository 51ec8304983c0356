"""Reads a rendering of the chart and prints a pod of each of its workloads, as a controller would create it."""

import json
import sys

import yaml

pods = []
for document in yaml.safe_load_all(sys.stdin):
    outer = (document or {}).get("spec") or {}
    outer = outer.get("jobTemplate", {}).get("spec", outer)
    template = document if document and document["kind"] == "Pod" else outer.get("template")
    if not template:
        continue
    spec = template["spec"]
    # These may not exist in the cluster.
    spec.pop("serviceAccountName", None)
    spec.pop("priorityClassName", None)
    volumes = spec.setdefault("volumes", [])
    for claim in document["spec"].get("volumeClaimTemplates", []):
        volumes.append({"name": claim["metadata"]["name"], "emptyDir": {}})
    metadata = template["metadata"] | {"name": document["metadata"]["name"]}
    pods.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
json.dump({"apiVersion": "v1", "kind": "List", "items": pods}, sys.stdout)
