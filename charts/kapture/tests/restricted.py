"""Pod Security `restricted`, as the API server checks it."""

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
MARK = "Pod Security: "


def faults(spec):
    """Why a pod would be refused. Each line has the mark, so that a test of a user's own settings can ignore them."""
    pod = spec.get("securityContext", {})
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key):
            yield f"{MARK}{key}"
    for volume in spec.get("volumes", []):
        if not set(volume) - {"name"} <= VOLUMES:
            yield f"{MARK}volume {volume['name']} is {sorted(set(volume) - {'name'})}"
    if pod.get("runAsUser") == 0:
        yield f"{MARK}the pod runs as root"
    for container in spec["containers"]:
        own = container.get("securityContext", {})
        name = f"{MARK}container {container['name']}"
        if not own.get("runAsNonRoot", pod.get("runAsNonRoot")) or own.get("runAsUser") == 0:
            yield f"{name} may run as root"
        if own.get("seccompProfile", pod.get("seccompProfile", {})).get("type") not in ("RuntimeDefault", "Localhost"):
            yield f"{name} has no seccomp profile"
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"{name} may gain privileges"
        if own.get("privileged"):
            yield f"{name} is privileged"
        capabilities = own.get("capabilities", {})
        if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
            yield f"{name} has capabilities"
        if own.get("procMount", "Default") != "Default":
            yield f"{name} sees all of /proc"
        if any("hostPort" in port for port in container.get("ports", [])):
            yield f"{name} has a port of the node"
