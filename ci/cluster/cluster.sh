# Sourced after the preamble by the scripts of this folder: where the cluster's things are, and what they share.
HERE=$REPOSITORY/ci/cluster
KUBERNETES=v1.34.4
STORE=$CACHE/cluster          # what was built, kept for good: programs, images
DISK=$STORE/nodes             # what the nodes write: their containerd, kubelet, etcd and volumes; a lost node returns with it
STATE=/run/kapture-cluster    # the running cluster: network namespaces, process ids, kubeconfig; gone after a reboot
CGROUP=kapture                # every cgroup of the cluster is under this name

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
