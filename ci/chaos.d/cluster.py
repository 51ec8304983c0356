"""Chapter `cluster`: what only a cluster has, on the three nodes of ci/cluster and the chart as it is installed there."""

import base64
import ctypes
import json
import os
import subprocess
import threading
import time

import flow
import offsets
from proof import RECOVER_SECONDS, Proof
from results import say
from servers import ROOT

NAMESPACE, NODES, BROKERS = "perf-test", 3, 3
# Little enough for ten loaders on one machine, evenly over the states, so that each always has some.
VALUES = "loader.rate=30,loader.skew=0,etl.fanOut.replicas=2"
LOADERS = (1, 10, 3)
# Longer than Kubernetes waits before it says that a node is gone.
NODE_LOST_SECONDS = 60
# A rolling update of three brokers, one by one, each until it is in sync again.
ROLL_SECONDS = 600
CLONE_NEWNET = 0x40000000


def run(outcome, random, quick):
    with Cluster(outcome) as cluster:
        chapter = Chapter(outcome, cluster, random)
        chapter.brokers(1 if quick else 3)
        chapter.pods()
        chapter.rolling()
        chapter.node(1 if quick else 2)


def command(*words, check=True):
    done = subprocess.run(words, cwd=ROOT, text=True, capture_output=True)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stdout}{done.stderr}")
    return done


def shown(*words):
    """What it prints, while what it says of its progress is seen."""
    return subprocess.run(words, cwd=ROOT, text=True, check=True, stdout=subprocess.PIPE).stdout


def kubectl(*words, check=True):
    return command("ci/cluster/kubectl", "-n", NAMESPACE, *words, check=check)


def helm(*words, check=True):
    return command("ci/cluster/helm", *words, "-n", NAMESPACE, check=check)


def connect_inside(host, port):
    """Connects from within the cluster's network: a thread may enter it alone, and its socket stays there."""
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


class Cluster(Proof):
    """The release kapture in a namespace of its own, from `with` to its end, on a cluster that is there or made for it."""

    def __enter__(self):
        self.ours = kubectl("get", "--raw", "/readyz", check=False).returncode != 0
        shown("ci/cluster/up", "--nodes", str(NODES))
        images = [*shown("images/stand-ins", "kafka", "postgres", "redis").split(), *shown("images/build").split()]
        shown("ci/cluster/load", *images)
        command("ci/cluster/kubectl", "create", "namespace", NAMESPACE)
        command("ci/cluster/kubectl", "label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
        helm("install", "kapture", "./charts/kapture", "-f", "charts/kapture/presets/full.yaml", "--set", VALUES)
        password = base64.b64decode(self.get("secret", "kapture-kafka")["data"]["password"]).decode()
        connects = {node: lambda node=node: self.connect_to_broker(node) for node in range(BROKERS)}
        self.kafka = offsets.Kafka(connects, "kapture", password)
        self.loaders = LOADERS[0]
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

    # Its parts.

    def get(self, *what):
        return json.loads(kubectl("get", *what, "-o", "json").stdout)

    def pods(self):
        """All but those of `helm test`."""
        pods = self.get("pods", "-l", "app.kubernetes.io/instance=kapture")["items"]
        return [pod for pod in pods if self.component(pod) != "test"]

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
        """At once, and not when Kubernetes has heard that it is gone."""
        before = {pod["metadata"]["uid"] for pod in self.pods()}
        kubectl("delete", "pod", *pods, "--grace-period=0", "--force")
        # Until all have their successors, nothing may be taken for recovered.
        names = lambda: [pod["metadata"]["name"] for pod in self.pods() if pod["metadata"]["uid"] not in before]
        self.all_within(RECOVER_SECONDS, [lambda: len(names()) >= len(pods)], f"{', '.join(pods)} started again")

    def proxied(self, service, path):
        return kubectl("get", "--raw", f"/api/v1/namespaces/{NAMESPACE}/services/{service}:8080/proxy{path}", check=False)

    # What the proof asks.

    def account(self):
        answer = self.proxied("kapture-auditor", "/api/v1/account")
        return json.loads(answer.stdout) if answer.returncode == 0 else None

    def waits_for_ready(self):
        return [self.all_ready]

    def all_ready(self):
        try:
            wanted, pods = self.get("statefulset,deployment")["items"], self.pods()
        except RuntimeError:
            # The API server is as busy as the rest of the machine.
            return False
        conditions = [{one["type"]: one["status"] for one in pod["status"].get("conditions", [])} for pod in pods]
        ready = [each.get("Ready") == "True" for each in conditions]
        return len(ready) == sum(each["spec"]["replicas"] for each in wanted) and all(ready)

    def state(self):
        return f"{super().state()}\n{kubectl('get', 'pods', '-o', 'wide', check=False).stdout}"

    def scale(self, loaders):
        kubectl("scale", "statefulset", "kapture-loader", f"--replicas={loaders}")

    def stop_load(self):
        self.scale(0)
        gone = lambda: "loader" not in self.components()
        self.all_within(RECOVER_SECONDS, [gone], "the loaders' end")

    def begin_load(self):
        self.scale(self.loaders)

    def helm_test(self):
        return helm("test", "kapture", "--logs", check=False)

    def recount(self):
        return kubectl("exec", "deployment/kapture-auditor", "--", "/kapture-auditor", "recount", "--json", check=False)

    def weigh(self, part):
        """Kubernetes itself ends what takes more memory than its limit, and says so."""
        for pod in self.pods():
            for container in pod["status"].get("containerStatuses", []):
                ended = container.get("lastState", {}).get("terminated", {})
                if ended.get("reason") == "OOMKilled":
                    self.outcome.problem(f"{part.name}: {pod['metadata']['name']} took more memory than its limit")


class Chapter:
    """The parts, in the order in which they run; each fault has its own account and its `helm test`."""

    def __init__(self, outcome, cluster, random):
        self.outcome, self.cluster, self.random = outcome, cluster, random
        self.loaders = 0

    def broken(self, name, times, breaks):
        """Breaks something `times` times, with the loaders being scaled meanwhile, and takes the account."""
        part = self.outcome.part(name)
        fault = part.fault(name)
        for _ in range(times):
            self.scale_loaders()
            fault.times += 1
            began = time.monotonic()
            self.cluster.recovered(fault, breaks() or began)
        self.cluster.settle(part)

    def scale_loaders(self):
        self.loaders += 1
        self.cluster.loaders = LOADERS[self.loaders % len(LOADERS)]
        self.cluster.scale(self.cluster.loaders)

    def broker(self, node):
        self.cluster.kill(f"kapture-kafka-{node}")

    def brokers(self, times):
        kafka = self.cluster.kafka
        self.broken("broker killed", times, lambda: self.broker(self.random.randrange(BROKERS)))
        self.broken("active controller killed", times, lambda: self.broker(self.active_controller()))
        self.broken("coordinator of the fan-out's group killed", times, lambda: self.broker(kafka.coordinator("fan-out", offsets.GROUP)))
        self.broken(
            "coordinator of the fan-out's transactions killed", times,
            lambda: self.broker(kafka.coordinator("fan-out-0", offsets.TRANSACTION)),
        )
        self.broken("all brokers killed at once", times, lambda: self.cluster.kill(*(f"kapture-kafka-{node}" for node in range(BROKERS))))

    def active_controller(self):
        login = "org.apache.kafka.common.security.plain.PlainLoginModule required username=kapture password='$KAFKA_PASSWORD';"
        script = (
            f'printf "security.protocol=SASL_PLAINTEXT\\nsasl.mechanism=PLAIN\\nsasl.jaas.config={login}\\n" >/tmp/chaos.properties'
            " && java -Xmx64m -cp '/opt/kafka/libs/*' org.apache.kafka.tools.MetadataQuorumCommand --bootstrap-server kapture-kafka:9092"
            " --command-config /tmp/chaos.properties describe --status"
        )
        said = kubectl("exec", "kapture-kafka-0", "-c", "kafka", "--", "sh", "-c", script).stdout
        (leader,) = (line.split()[-1] for line in said.splitlines() if line.startswith("LeaderId"))
        return int(leader)

    def pods(self):
        """One of every component; brokers have had their turn."""
        part = self.outcome.part("pods of programs and stores deleted without grace")
        for component in self.cluster.components():
            if component == "kafka":
                continue
            fault = part.fault(f"{component} killed")
            self.scale_loaders()
            names = [pod["metadata"]["name"] for pod in self.cluster.pods() if self.cluster.component(pod) == component]
            fault.times += 1
            began = time.monotonic()
            self.cluster.kill(self.random.choice(sorted(names)))
            self.cluster.recovered(fault, began)
        self.cluster.settle(part)

    def rolling(self):
        def roll():
            helm(
                "upgrade", "kapture", "./charts/kapture", "--reset-then-reuse-values", "--force-conflicts",
                "--set", f"podAnnotations.chaos=a{self.random.randrange(1 << 16)},loader.replicas={self.cluster.loaders}",
            )
            for each in self.cluster.get("statefulset,deployment")["items"]:
                kubectl("rollout", "status", f"{each['kind'].lower()}/{each['metadata']['name']}", f"--timeout={ROLL_SECONDS}s")

        self.broken("rolling restart of everything by helm upgrade", 1, roll)

    def node(self, times):
        """A power cut, and the return over the same disk. Its pods wait for it: their volumes do not move."""

        def lose():
            node = f"node-{self.random.randint(2, NODES)}"
            command("ci/cluster/node", node, "down")
            time.sleep(NODE_LOST_SECONDS)
            command("ci/cluster/node", node, "up")
            back = time.monotonic()
            kubectl("wait", "--for=condition=Ready", f"node/{node}", "--timeout=180s")
            return back

        self.broken("a node without power for a minute", times, lose)
