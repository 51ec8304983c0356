"""Chapter `cluster`: faults that need a cluster, with the chart installed on three nodes of ci/cluster."""

import itertools
import time

import offsets
from results import Kind

from .release import BROKERS, NODES, Release, command, helm, kubectl

LOADERS = (10, 3, 1)
# Longer than Kubernetes takes to declare a node lost.
NODE_LOST_SECONDS = 60
# A rolling update of three brokers, one by one, waiting until each is in sync again.
ROLL_SECONDS = 600


def run(outcome, random, quick):
    with Release(outcome) as release:
        chapter = Chapter(outcome, release, random)
        chapter.brokers(1 if quick else 3)
        chapter.pods()
        chapter.rolling()
        chapter.node(1 if quick else 2)


class Chapter:
    """The parts, in the order in which they run; each fault is followed by an account and `helm test`."""

    def __init__(self, outcome, release, random):
        self.outcome, self.release, self.random = outcome, release, random
        self.loaders = itertools.cycle(LOADERS)

    def broken(self, name, times, breaks, kind=Kind.OTHER):
        """Breaks something `times` times while the loaders are scaled, and then counts all sales."""
        part = self.outcome.part(name)
        fault = part.fault(name, kind)
        for _ in range(times):
            self.scale_loaders()
            fault.times += 1
            began = time.monotonic()
            self.release.recovered(fault, breaks() or began)
        self.release.settle(part)

    def scale_loaders(self):
        self.release.scale(next(self.loaders))

    def kill_brokers(self, nodes):
        self.release.kill(*(f"kapture-kafka-{node}" for node in nodes))

    def brokers(self, times):
        kafka = self.release.kafka
        killed = {
            "broker": lambda: [self.random.randrange(BROKERS)],
            "active controller": lambda: [self.active_controller()],
            "coordinator of the fan-out's group": lambda: [kafka.coordinator("fan-out", offsets.GROUP)],
            "coordinator of the fan-out's transactions": lambda: [kafka.coordinator("fan-out-0", offsets.TRANSACTION)],
        }
        for name, nodes in killed.items():
            self.broken(f"{name} killed", times, lambda nodes=nodes: self.kill_brokers(nodes()), Kind.KILL)
        self.broken("all brokers killed at once", times, lambda: self.kill_brokers(range(BROKERS)), Kind.KILL)

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
        """Kills one pod of every component except the brokers, which have a part of their own."""
        part = self.outcome.part("pods of programs and stores deleted without grace")
        for component in self.release.components():
            if component == "kafka":
                continue
            fault = part.fault(f"{component} killed", Kind.KILL)
            self.scale_loaders()
            names = [pod["metadata"]["name"] for pod in self.release.pods() if self.release.component(pod) == component]
            fault.times += 1
            began = time.monotonic()
            self.release.kill(self.random.choice(sorted(names)))
            self.release.recovered(fault, began)
        self.release.settle(part)

    def rolling(self):
        def roll():
            helm(
                "upgrade", "kapture", "./charts/kapture", "--reset-then-reuse-values", "--force-conflicts",
                "--set", f"podAnnotations.chaos=a{self.random.randrange(1 << 16)},loader.replicas={self.release.loaders}",
            )
            for each in self.release.get("statefulset,deployment")["items"]:
                kubectl("rollout", "status", f"{each['kind'].lower()}/{each['metadata']['name']}", f"--timeout={ROLL_SECONDS}s")

        self.broken("rolling restart of everything by helm upgrade", 1, roll)

    def node(self, times):
        """A power cut and a restart with the same disk. The node's pods wait for it, because their volumes can't move."""

        def lose():
            node = f"node-{self.random.randint(2, NODES)}"
            command("ci/cluster/node", node, "down")
            time.sleep(NODE_LOST_SECONDS)
            command("ci/cluster/node", node, "up")
            back = time.monotonic()
            kubectl("wait", "--for=condition=Ready", f"node/{node}", "--timeout=180s")
            return back

        self.broken("a node without power for a minute", times, lose)
