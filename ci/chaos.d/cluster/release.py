"""The chart, installed on three nodes of ci/cluster, and access to its parts."""

import base64
import ctypes
import json
import os
import threading

import flow
import offsets
import on_cluster
from measurement import say
from on_cluster import NAMESPACE, command, kubectl, shown
from proof import RECOVER_SECONDS, Proof

NODES, BROKERS = 3, 3
# Low enough for ten loaders on one machine, and spread evenly over the states, so that each state always has sales.
VALUES = "loader.rate=30,loader.skew=0,etl.fanOut.replicas=2"
CLONE_NEWNET = 0x40000000


def helm(*words, check=True):
    return command("ci/cluster/helm", *words, "-n", NAMESPACE, check=check)


def connect_inside(host, port):
    """Connects from inside the cluster's network: a single thread can enter it, and the socket stays usable outside."""
    result = []

    def connect():
        name = os.environ.get("KAPTURE_CLUSTER", "kapture")
        with open(f"/run/netns/{name}-node-1") as network:
            if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), CLONE_NEWNET):
                result.append(OSError(ctypes.get_errno(), "the cluster's network can't be entered"))
                return
        try:
            result.append(offsets.connect_to(host, port))
        except OSError as err:
            result.append(err)

    thread = threading.Thread(target=connect)
    thread.start()
    thread.join()
    if isinstance(result[0], OSError):
        raise result[0]
    return result[0]


class Release(Proof):
    """The release kapture in its own namespace, for the duration of a `with`, on an existing or a new cluster."""

    # Each poll runs kubectl once or twice.
    look_seconds = 1

    def __enter__(self):
        self.ours = not on_cluster.is_up()
        on_cluster.bring_up(NODES)
        on_cluster.create_namespace()
        helm("install", "kapture", "./charts/kapture", "-f", "charts/kapture/presets/full.yaml", "--set", VALUES)
        password = base64.b64decode(self.get("secret", "kapture-kafka")["data"]["password"]).decode()
        connects = {node: lambda node=node: self.connect_to_broker(node) for node in range(BROKERS)}
        self.kafka = offsets.Kafka(connects, "kapture", password)
        say("waiting for the pods to be ready")
        self.all_within(RECOVER_SECONDS, self.waits_for_ready(), "the install")
        self.all_within(RECOVER_SECONDS, [flow.Chain(self.kafka, self.roles()).passed], "the install")
        return self

    def __exit__(self, *_):
        if self.outcome.problems:
            say(kubectl("get", "pods", "-o", "wide", check=False).stdout)
        command("ci/cluster/kubectl", "delete", "namespace", NAMESPACE, "--wait=false", check=False)
        if self.ours:
            shown("ci/cluster/down")

    # Access to its parts.

    def get(self, *what):
        return json.loads(kubectl("get", *what, "-o", "json").stdout)

    def pods(self):
        """All pods except those of `helm test` and of the benchmark."""
        pods = self.get("pods", "-l", "app.kubernetes.io/instance=kapture")["items"]
        return [pod for pod in pods if self.component(pod) not in ("test", "benchmark")]

    def component(self, pod):
        return pod["metadata"]["labels"]["app.kubernetes.io/component"]

    def components(self):
        return sorted({self.component(pod) for pod in self.pods()})

    def roles(self):
        return [component for component in self.components() if component in flow.GROUPS]

    def connect_to_broker(self, node):
        try:
            address = self.get("pod", f"kapture-kafka-{node}")["status"]["podIP"]
        except (RuntimeError, KeyError) as err:
            raise OSError(f"broker {node} has no address") from err
        return connect_inside(address, 9092)

    def kill(self, *pods):
        """Kills the pods directly, without waiting for Kubernetes to notice."""
        before = {pod["metadata"]["uid"] for pod in self.pods()}
        kubectl("delete", "pod", *pods, "--grace-period=0", "--force")
        # Nothing counts as recovered until all of them are replaced.
        names = lambda: [pod["metadata"]["name"] for pod in self.pods() if pod["metadata"]["uid"] not in before]
        self.all_within(RECOVER_SECONDS, [lambda: len(names()) >= len(pods)], f"{', '.join(pods)} started again")

    def proxied(self, service, path):
        return kubectl("get", "--raw", f"/api/v1/namespaces/{NAMESPACE}/services/{service}:8080/proxy{path}", check=False)

    # What Proof requires.

    def account(self):
        answer = self.proxied("kapture-auditor", "/api/v1/account")
        return json.loads(answer.stdout) if answer.returncode == 0 else None

    def waits_for_ready(self):
        return [self.all_ready]

    def all_ready(self):
        try:
            wanted, pods = self.get("statefulset,deployment")["items"], self.pods()
        except RuntimeError:
            # The API server may be slow, like the rest of the machine.
            return False
        conditions = [{one["type"]: one["status"] for one in pod["status"].get("conditions", [])} for pod in pods]
        ready = [each.get("Ready") == "True" for each in conditions]
        return len(ready) == sum(each["spec"]["replicas"] for each in wanted) and all(ready)

    def state(self):
        return f"{super().state()}\n{kubectl('get', 'pods', '-o', 'wide', check=False).stdout}"

    def scale(self, loaders):
        """Sets the number of loaders, now and for later restarts of the load."""
        self.loaders = loaders
        self.begin_load()

    def begin_load(self):
        self.replicas_of_loader(self.loaders)

    def stop_load(self):
        self.replicas_of_loader(0)
        gone = lambda: "loader" not in self.components()
        self.all_within(RECOVER_SECONDS, [gone], "the loaders' end")

    def replicas_of_loader(self, count):
        kubectl("scale", "statefulset", "kapture-loader", f"--replicas={count}")

    def helm_test(self):
        return helm("test", "kapture", "--logs", check=False)

    def recount(self):
        return kubectl("exec", "deployment/kapture-auditor", "--", "/kapture-auditor", "recount", "--json", check=False)

    def weigh(self, part):
        """Kubernetes kills containers that exceed their memory limit, and reports it."""
        for pod in self.pods():
            for container in pod["status"].get("containerStatuses", []):
                ended = container.get("lastState", {}).get("terminated", {})
                if ended.get("reason") == "OOMKilled":
                    self.outcome.problem(f"{part.name}: {pod['metadata']['name']} took more memory than its limit")
