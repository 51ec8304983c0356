# Sourced after the preamble by the scripts of this folder: where the cluster's things are, and what they share.
HERE=$REPOSITORY/ci/cluster
KUBERNETES=v1.34.4
STORE=$CACHE/cluster          # what was built, kept for good: programs, images
DISK=$STORE/nodes             # what the nodes write: their containerd, kubelet, etcd and volumes; a lost node returns with it
STATE=/run/kapture-cluster    # the running cluster: network namespaces, process ids, kubeconfig; gone after a reboot
CGROUP=kapture                # every cgroup of the cluster is under this name
IMAGES=localhost/cluster      # the cluster's own images, all of them names of one

# at_it TEXT COMMAND...: runs a long step, says every 20 s that it goes on, and shows its output only if it fails.
at_it() {
  local text=$1 began=$SECONDS log pid
  shift
  mkdir -p "$STORE/logs"
  log=$STORE/logs/$(tr -cs 'a-zA-Z0-9\n' - <<<"$text").log
  say "$text"
  "$@" >"$log" 2>&1 &
  pid=$!
  until timeout 20 tail --pid="$pid" -s 0.1 -f /dev/null; do say "$text: at it since $((SECONDS - began)) s"; done
  wait "$pid" || { tail -n 30 "$log" >&2; die "$text failed; all of its output is in $log"; }
}

# inside NODE COMMAND...: runs it in the node's namespaces, as its root.
inside() {
  local first
  first=$(pgrep -P "$(cat "$STATE/$1/pid" 2>/dev/null || echo 0)") || die "node $1 is not running"
  shift
  nsenter --target "$first" --mount --uts --ipc --net --pid --wd=/ env PATH="/run/programs:$PATH" "$@"
}

# nodes: the names of the cluster's nodes, the control plane's first.
nodes() { (cd "$STATE" && printf '%s\n' node-*/ | tr -d /); }

# patiently SECONDS WHAT COMMAND...: repeats the command until it succeeds.
patiently() {
  local seconds=$1 what=$2 end=$((SECONDS + $1))
  shift 2
  until ("$@") >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || die "$what: not within $seconds s; the nodes' logs are in $DISK/*/var/log"
    sleep 0.2
  done
}

# run_inside PROGRAM ARGUMENT...: becomes kubectl or helm in the cluster's network, with the caller's directory, files and stdin.
run_inside() {
  local programs
  [ -e "$STATE/kubeconfig" ] || die "no cluster is up: ci/cluster/up makes one"
  programs=$("$REPOSITORY/ci/fetch/kubectl-helm")
  export KUBECONFIG=$STATE/kubeconfig
  exec nsenter --net=/run/netns/kapture-node-1 "$programs/$1" "${@:2}"
}
