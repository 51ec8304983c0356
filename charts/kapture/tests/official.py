"""What the official images declare (images/official.json), and where the chart must not mount anything."""

import functools
import json

import chart

READ_ONLY = {"configMap", "secret", "downwardAPI", "projected"}
# Images that users may set instead, and the server whose volumes they have.
SERVERS = {"kafka": {"apache/kafka", "apache/kafka-native"}, "postgres": {"library/postgres"}, "redis": {"library/redis", "valkey/valkey"}}
# Where the chart's scripts find programs, besides PATH.
USED = {"kafka": ["/opt/kafka/libs"], "postgres": ["/usr/lib/postgresql"], "redis": []}


@functools.lru_cache(maxsize=None)
def declared():
    """The content of official.json."""
    return json.loads((chart.CHART.parent.parent / "images" / "official.json").read_text())


def image(server):
    """What the server's default image declares."""
    return declared()["images"][server]


@functools.lru_cache(maxsize=None)
def paths(server):
    """{path: why it must not be hidden}, for all images that a server may run."""
    every = [node for group in ("images", "variants") for node in declared()[group].values() if isinstance(node, dict)]
    found = {path: "the chart's scripts use it" for path in [*USED[server], "/bin", "/usr/bin", "/usr/local/bin"]}
    for node in every:
        if node["repository"] in SERVERS[server]:
            found |= {d["path"]: "it is its user's" for d in node.get("directories", [])}
            found |= {path: "it is where it works" for path in [node.get("workdir")] if path}
            found |= {path: "it starts with it" for path in node.get("scripts", [])}
            found |= {path: "it is a VOLUME" for path in node.get("volumes", [])}
    return found


def covered(server, spec):
    """(path mounted read-only, path of an image at or below it, why) of the main container of a pod."""
    kinds = {volume["name"]: set(volume) - {"name"} for volume in spec.get("volumes", [])}
    main = next(c for c in spec["containers"] if c["name"] == server)
    for mount in main["volumeMounts"]:
        if mount.get("readOnly") or kinds.get(mount["name"], set()) & READ_ONLY:
            above = mount["mountPath"].rstrip("/")
            yield from ((mount["mountPath"], path, why) for path, why in paths(server).items() if f"{path}/".startswith(f"{above}/"))
