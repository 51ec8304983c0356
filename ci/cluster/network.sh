# Sourced by what makes and unmakes nodes: their network. One namespace is the switch, a bridge with a cable to each node; it has no
# way out, on purpose.
SWITCH=$CLUSTER-switch

netns() { echo "$CLUSTER-$1"; }                   # NODE
address() { echo "172.30.0.$((10 + ${1#node-}))"; }  # NODE

switch_on() {
  ip netns add "$SWITCH"
  ip -n "$SWITCH" link add bridge type bridge
  ip -n "$SWITCH" link set bridge up
}

switch_off() {
  [ ! -e "/run/netns/$SWITCH" ] || ip netns delete "$SWITCH"
  # The first namespace made this a mount; it goes with the last.
  [ ! -d /run/netns ] || [ -n "$(ls /run/netns)" ] || umount /run/netns 2>/dev/null || true
}

# wire NODE COUNT: gives the node its network namespace, its cable to the switch, and the way to each other node's pods.
wire() {
  local ns other
  ns=$(netns "$1")
  ip netns add "$ns"
  ip link add eth0 netns "$ns" type veth peer name "$1" netns "$SWITCH"
  ip -n "$SWITCH" link set "$1" master bridge up
  ip -n "$ns" link set lo up
  ip -n "$ns" addr add "$(address "$1")/24" dev eth0
  ip -n "$ns" link set eth0 up
  # Leads nowhere, but without it the node itself can't send to a Service's address, which kube-proxy would rewrite.
  ip -n "$ns" route add default dev eth0
  for ((other = 1; other <= $2; other++)); do
    [ "node-$other" = "$1" ] || ip -n "$ns" route add "10.244.$other.0/24" via "$(address "node-$other")"
  done
  nsenter --net="/run/netns/$ns" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
}

# unwire NODE: ends whatever still runs in the node's network namespace, and removes it.
unwire() {
  local ns
  ns=$(netns "$1")
  [ -e "/run/netns/$ns" ] || return 0
  ip netns pids "$ns" 2>/dev/null | xargs -r kill -9 2>/dev/null || true
  # The cable by itself: the namespace goes only after the last process in it, and the node may be back before.
  ip -n "$ns" link delete eth0 2>/dev/null || true
  ip netns delete "$ns"
}
