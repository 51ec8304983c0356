# Sourced by the scripts that create and remove nodes: their network. One namespace is the switch, a bridge with a cable to each node.
# It has no access to the outside, on purpose.
SWITCH=$CLUSTER-switch

netns() { echo "$CLUSTER-$1"; }  # NODE

# Everything that depends on the family of the cluster's addresses.
of_family() { if [ "$FAMILY" = 4 ]; then echo "$1"; else echo "$2"; fi; }  # IPV4 IPV6
address() { of_family "172.30.0.$((10 + ${1#node-}))" "fd00:30::$((10 + ${1#node-}))"; }  # NODE
address_length() { of_family 24 64; }
api_server() { of_family "$(address node-1):6443" "[$(address node-1)]:6443"; }
pods() { of_family "10.244.${1#node-}.0/24" "fd00:244:${1#node-}::/64"; }  # NODE
all_pods() { of_family 10.244.0.0/16 fd00:244::/32; }
services() { of_family 10.96.0.0/12 fd00:96::/112; }
dns() { of_family 10.96.0.10 fd00:96::a; }
# Without accept_dad=0, a new address can't be used for a second or two, while the kernel checks that no other machine has it.
sysctls() { of_family net.ipv4.ip_forward=1 'net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.forwarding=1'; }

switch_on() {
  ip netns add "$SWITCH"
  ip -n "$SWITCH" link add bridge type bridge
  ip -n "$SWITCH" link set bridge up
}

switch_off() {
  [ ! -e "/run/netns/$SWITCH" ] || ip netns delete "$SWITCH"
  # The first namespace made this a mount point; the last one removes it.
  [ ! -d /run/netns ] || [ -n "$(ls /run/netns)" ] || umount /run/netns 2>/dev/null || true
}

# wire NODE COUNT: gives the node its network namespace, its cable to the switch, and routes to the other nodes' pods.
wire() {
  local ns other
  ns=$(netns "$1")
  ip netns add "$ns"
  # shellcheck disable=SC2046 # several arguments
  nsenter --net="/run/netns/$ns" sysctl -qw $(sysctls)
  ip link add eth0 netns "$ns" type veth peer name "$1" netns "$SWITCH"
  ip -n "$SWITCH" link set "$1" master bridge up
  ip -n "$ns" link set lo up
  ip -n "$ns" addr add "$(address "$1")/$(address_length)" dev eth0
  ip -n "$ns" link set eth0 up
  # A route to nowhere. Without it, the node itself can't send to a Service's address, which kube-proxy then rewrites.
  ip "-$FAMILY" -n "$ns" route add default dev eth0
  for ((other = 1; other <= $2; other++)); do
    [ "node-$other" = "$1" ] || ip -n "$ns" route add "$(pods "node-$other")" via "$(address "node-$other")"
  done
}

# unwire NODE: kills whatever still runs in the node's network namespace, and removes it.
unwire() {
  local ns
  ns=$(netns "$1")
  [ -e "/run/netns/$ns" ] || return 0
  ip netns pids "$ns" 2>/dev/null | xargs -r kill -9 2>/dev/null || true
  # The cable is removed separately: the namespace disappears only after its last process, and the node may be back before that.
  ip -n "$ns" link delete eth0 2>/dev/null || true
  ip netns delete "$ns"
}
