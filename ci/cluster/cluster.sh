# Sourced after the preamble by the scripts of this folder: paths of the cluster, and shared functions.
HERE=$REPOSITORY/ci/cluster
KUBERNETES=v1.34.4
CLUSTER=${KAPTURE_CLUSTER:-kapture}  # each name is a separate cluster
STORE=$CACHE/cluster                 # what was built and is kept: programs, image
DISK=$STORE/nodes-$CLUSTER           # what the nodes write: containerd, kubelet, etcd, volumes; survives a power cut
STATE=/run/$CLUSTER-cluster          # the running cluster: process ids, kubeconfig, forwarders
IMAGES=localhost/cluster             # the cluster's own images: several names of one image
FAMILY=$(cat "$STATE/family" 2>/dev/null || echo 4)  # 4 or 6: a cluster has addresses of only one family
[[ $CLUSTER =~ ^[a-z]+$ ]] || die "KAPTURE_CLUSTER must consist of lower-case letters, not $CLUSTER"

# at_it TEXT COMMAND...: runs a long step, reports every 20 s that it is running, and shows its output only if it fails.
at_it() {
  local text=$1 began=$SECONDS log pid
  shift
  mkdir -p "$STORE/logs"
  log=$STORE/logs/$(tr -cs 'a-zA-Z0-9\n' - <<<"$text").log
  say "$text"
  "$@" >"$log" 2>&1 </dev/null 9>&- &
  pid=$!
  until timeout 20 tail --pid="$pid" -s 0.1 -f /dev/null 9>&-; do say "$text: running for $((SECONDS - began)) s"; done
  wait "$pid" || { tail -n 30 "$log" >&2; die "$text failed; its whole output is in $log"; }
}

# patiently SECONDS WHAT COMMAND...: repeats the command until it succeeds.
patiently() {
  local seconds=$1 what=$2 end=$((SECONDS + $1))
  shift 2
  until ("$@") >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || die "waited $seconds s without success for $what"
    sleep 0.2
  done
}

# one_at_a_time: runs only one of up, down and node at a time. The lock is on descriptor 9, which no long-lived process may inherit.
one_at_a_time() {
  mkdir -p "$STORE"
  exec 9>"$STORE/lock-$CLUSTER"
  flock -n 9 || { say "waiting for another up, down or node to finish"; flock 9; }
}

# The state records the boot that it belongs to, because it is invalid after a reboot.
life() { cat /proc/sys/kernel/random/boot_id; }
begin_state() {
  mkdir -p "$STATE/forward"
  echo "$FAMILY" >"$STATE/family"
  # Restored by down: the kubelet sets the first four, and the last is too small for the watches of several nodes.
  sysctl vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops fs.inotify.max_user_instances >"$STATE/sysctl"
  [ "$(sysctl -n fs.inotify.max_user_instances)" -ge 1024 ] || sysctl -qw fs.inotify.max_user_instances=1024 || true
}
complete_state() { life >"$STATE/complete"; }

# state: none, up (even if nodes were powered off on purpose), or broken (unfinished, from before a reboot, or its first node died).
state() {
  if [ ! -e "$STATE" ] && [ ! -e "$DISK" ]; then echo none
  elif [ "$(cat "$STATE/complete" 2>/dev/null)" = "$(life)" ] && { [ ! -e "$STATE/node-1/pid" ] || powered node-1; }; then echo up
  else echo broken; fi
}

# powered NODE: whether its first process runs, in its network.
powered() { ip netns pids "$CLUSTER-$1" 2>/dev/null | grep -qxF "$(cat "$STATE/$1/pid" 2>/dev/null)"; }

# nodes: the names of the cluster's nodes, beginning with that of the control plane.
nodes() { (cd "$STATE" && printf '%s\n' node-*/ | tr -d /); }

# inside NODE COMMAND...: runs it in the node's namespaces, as its root.
inside() {
  local first
  first=$(pgrep -P "$(cat "$STATE/$1/pid" 2>/dev/null || echo 0)") || die "$1 is not running"
  shift
  nsenter --target "$first" --mount --uts --ipc --net --pid --wd=/ env PATH="/run/programs:$PATH" "$@"
}

# run_inside PROGRAM ARGUMENT...: runs kubectl or helm in the cluster's network, with the caller's directory, files and stdin.
run_inside() {
  local programs
  [ "$(id -u)" = 0 ] || die "must be root to enter the cluster's network"
  [ -e "$STATE/kubeconfig" ] && [ -e "/run/netns/$CLUSTER-node-1" ] || die "no cluster is up; ci/cluster/up creates one"
  programs=$("$REPOSITORY/ci/fetch/kubectl-helm")
  export KUBECONFIG=$STATE/kubeconfig
  exec nsenter --net="/run/netns/$CLUSTER-node-1" "$programs/$1" "${@:2}"
}
