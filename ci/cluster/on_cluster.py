"""For programs that work on a release on the local cluster: its kubectl, the cluster itself with all images, a namespace.

The twin of `ci/tests/on_cluster.sh`. The scripts that this calls read KAPTURE_CLUSTER, the name of the cluster.
"""

import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMESPACE = "perf-test"


def command(*words, check=True, seconds=None, given=""):
    """A finished command with its output; an error if it fails, unless `check` is False, or takes longer than the seconds."""
    try:
        done = subprocess.run(words, cwd=ROOT, text=True, capture_output=True, timeout=seconds, input=given)
    except subprocess.TimeoutExpired as err:
        raise RuntimeError(f"{' '.join(words)}: not done after {seconds} s") from err
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: {(done.stdout + done.stderr).strip()[-1000:]}")
    return done


def shown(*words, seconds=None):
    """Its output, while its progress messages stay visible."""
    return subprocess.run(words, cwd=ROOT, text=True, check=True, stdout=subprocess.PIPE, timeout=seconds).stdout


def kubectl(*words, **limits):
    return command("ci/cluster/kubectl", "-n", NAMESPACE, *words, **limits)


def is_up():
    return command("ci/cluster/kubectl", "get", "--raw", "/readyz", check=False, seconds=120).returncode == 0


def bring_up(nodes, seconds=None):
    """Creates the cluster, unless it is up, and loads all images."""
    shown("ci/cluster/up", "--nodes", str(nodes), seconds=seconds)
    servers = shown("images/stand-ins", "kafka", "postgres", "redis", seconds=seconds)
    shown("ci/cluster/load", *servers.split(), *shown("images/build", seconds=seconds).split(), seconds=seconds)


def create_namespace(seconds=None):
    """The namespace, which enforces Pod Security `restricted`."""
    metadata = {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    command("ci/cluster/kubectl", "create", "-f", "-", given=json.dumps(namespace), seconds=seconds)
