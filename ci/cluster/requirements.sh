# Sourced by up: what it needs of the machine. Each thing that is missing is one sentence, said at once.

GIB=$((1024 * 1024))  # in KiB, df's unit

# possible: what no package can mend.
possible() {
  [ "$(id -u)" = 0 ] || die "must be root: a node is made of namespaces, mounts and cgroups"
  unshare --pid --fork --mount --uts --ipc --net true 2>/dev/null \
    || die "namespaces can't be made here, not even by root; a container needs --privileged for it"
}
possible_ipv6() { unshare --net ip -6 address add fd00:30::11/64 dev lo 2>/dev/null || die "this kernel has no IPv6"; }

requirements() {
  local disk free
  possible
  need go "install Go 1.24 or later; the cluster's programs are compiled"
  need java "install a Java runtime, 17 or later; the rest of the set-up starts Kafka with it"
  need npm "install Node.js with npm; kubectl and helm come from there"
  need apt-get "containerd and runc come from Debian's packages, and this is no Debian"
  mkdir -p "$STORE"
  # The first time: Go's caches 5 GiB, programs and image 1, a node 2, and its volumes.
  disk=6
  [ -n "$(find "$STORE" -maxdepth 1 -name 'image-*.tar')" ] || disk=12
  free=$(df --output=avail "$STORE" | tail -n 1)
  [ "$free" -ge $((disk * GIB)) ] || die "the disk of $CACHE is short: $disk GiB needed, $((free / GIB)) GiB free; KAPTURE_CACHE names another place"
}

# packages: installs what isn't there. Another vendor's containerd does as well, and must not be replaced by Debian's.
packages() {
  local wanted=(containernetworking-plugins iptables conntrack socat ipset procps iproute2)
  command -v containerd >/dev/null || wanted+=(containerd)
  command -v runc >/dev/null || wanted+=(runc)
  debian_packages "${wanted[@]}"
}
