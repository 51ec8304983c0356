"""Turns a rendering of the chart into processes on loopback: DIRECTORY/<pod>/command for each program's pod.

    helm template ... | plan.py DIRECTORY SERVERS_ENV PROGRAMS

What a pod gets from Kubernetes it gets here in the plainest way: an address of its own (127.0.1.N), the addresses
behind a Service's name, its name and ordinal. Kafka, Postgres and Redis are those of SERVERS_ENV. Prints a line a
process: its name, its component, the address of its admin port, the bytes of memory that a pod would have. The pods of
`helm test` and of the benchmark are planned, not listed.
"""

import pathlib
import re
import shlex
import sys

import yaml

ADMIN_PORT = 8080
SHOP_PORT = 8081
UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
# What programs show each other, such as the token that sets a loader's rate.
SECRET = "local"
# Components that run only when asked to. The CronJob `check` does what the pod of `helm test` does.
JOBS = ("test", "benchmark")
# One broker instead of three; the chart derives the rest from the number of brokers.
ONE_BROKER = {"KAFKA_REPLICATION_FACTOR": "1", "KAFKA_MIN_INSYNC_REPLICAS": "1"}


def program(container):
    """The name of Kapture's own program in a container, such as kapture-loader; None for servers."""
    found = re.search(r"/(kapture-[a-z]+)[:@]", container["image"])
    return found and found[1]


def pods(documents):
    """(pod's name, component, ordinal, container) of each pod that runs only one of Kapture's own programs."""
    for document in documents:
        labels = document["metadata"].get("labels", {})
        component = labels.get("app.kubernetes.io/component")
        name = document["metadata"]["name"]
        if document["kind"] == "Pod":
            yield name, component, 0, document["spec"]["containers"][0]
        elif document["kind"] == "CronJob" and component in JOBS:
            yield name, component, 0, document["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
        elif document["kind"] in ("Deployment", "StatefulSet"):
            container = document["spec"]["template"]["spec"]["containers"][0]
            if program(container):
                for ordinal in range(document["spec"]["replicas"]):
                    yield f"{name}-{ordinal}", component, ordinal, container


def memory(container):
    """The limit in bytes."""
    limit = str(container["resources"]["limits"]["memory"])
    return int(limit[:-2]) * UNITS[limit[-2:]] if limit[-2:] in UNITS else int(limit)


def environment(container, pod, ordinal, servers, addresses):
    """The variables of a container, including those that Kubernetes would fill in."""
    for variable in container["env"]:
        name = variable["name"]
        origin = variable.get("valueFrom", {})
        source = origin.get("fieldRef", {}).get("fieldPath", "")
        if name == "BENCHMARK_TERMINATION_LOG":
            # A file that the kubelet makes.
            continue
        if name in ONE_BROKER:
            yield name, ONE_BROKER[name]
        elif "secretKeyRef" in origin:
            # Overridden below if it is a server's.
            yield name, SECRET
        elif source == "metadata.name":
            yield name, pod
        elif "pod-index" in source:
            yield name, str(ordinal)
        elif source:
            yield name, "local"
        elif name == "EXPORTER_TARGETS":
            yield name, ",".join(targets(variable["value"], addresses))
        else:
            yield name, resolve(variable.get("value", ""), addresses)
    for server in {variable["name"].split("_")[0] for variable in container["env"]} & servers.keys():
        yield from servers[server].items()


def targets(value, addresses):
    """The exporter's targets that run here, with each Service's name replaced by the addresses of its pods."""
    for target in value.split(","):
        component, service = target.split("=")
        behind = addresses.get(service.split(":")[0])
        if behind:
            yield f"{component}={';'.join(behind)}"


def resolve(value, addresses):
    """A single `service:port`, replaced by that port at the address of its first pod."""
    service, _, port = value.partition(":")
    behind = addresses.get(service)
    return f"{behind[0].split(':')[0]}:{port}" if behind and port else value


def main():
    directory, servers_env, programs = map(pathlib.Path, sys.argv[1:])
    servers = {}
    for line in servers_env.read_text().splitlines():
        name, value = line.split("=", 1)
        if not name.endswith("_PID"):
            servers.setdefault(name.split("_")[0], {})[name] = value
    planned = list(pods([document for document in yaml.safe_load_all(sys.stdin) if document]))
    admin, addresses = {}, {}
    for number, (pod, component, _, _) in enumerate(planned, start=1):
        admin[pod] = f"127.0.1.{number}:{ADMIN_PORT}"
        addresses.setdefault(pod.rsplit("-", 1)[0], []).append(admin[pod])
    for pod, component, ordinal, container in planned:
        variables = dict(environment(container, pod, ordinal, servers, addresses))
        variables["SERVICE_ADMIN_ADDR"] = admin[pod]
        if component == "webapp":
            variables["WEBAPP_HTTP_ADDR"] = f"{admin[pod].split(':')[0]}:{SHOP_PORT}"
        home = directory / pod
        home.mkdir(parents=True, exist_ok=True)
        command = [str(programs / program(container)), *container.get("args", [])]
        lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(variables.items())]
        script = home / "command"
        script.touch(mode=0o700)
        script.write_text("\n".join(["#!/bin/sh", *lines, f"exec {shlex.join(command)}", ""]))
        if component not in JOBS:
            print(pod, component, admin[pod], memory(container))


main()
