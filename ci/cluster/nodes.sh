# Sourced by the scripts that create and remove nodes. A node is a tree of processes in its own network, PID, mount, UTS and IPC namespaces.
source "$HERE/network.sh"
source "$HERE/cgroups.sh"

# placeholders NODE: a sed script that fills in the placeholders of config/ and manifests/.
placeholders() {
  local cni=/usr/lib/cni
  [ -x $cni/bridge ] || cni=/opt/cni/bin
  printf 's|@%s@|%s|\n' NODE "$1" ADDRESS "$(address "$1")" PODS "$(pods "$1")" FIRST "$(address node-1)" API_SERVER "$(api_server)" \
    ALL_PODS "$(all_pods)" SERVICES "$(services)" DNS "$(dns)" IMAGES "$IMAGES" KUBERNETES "$KUBERNETES" CLUSTER "$CLUSTER" CNI "$cni"
}

# configure NODE: writes the node's own /etc, once, before its first start.
configure() {
  local disk=$DISK/$1 file
  mkdir -p "$disk"/{etc/kapture/{cni,patches},etc.work,var/lib,var/log}
  for file in containerd.toml kubeadm-init.yaml kubeadm-join.yaml pods.conflist patches/; do
    cp -r "$HERE/config/$file" "$disk/etc/kapture/"
  done
  mv "$disk/etc/kapture/pods.conflist" "$disk/etc/kapture/cni/"
  find "$disk/etc/kapture" -type f -exec sed -i "$(placeholders "$1")" {} +
  printf '127.0.0.1 localhost\n%s %s\n' "$(address "$1")" "$1" >"$disk/etc/hosts"
  # The node itself resolves the cluster's names, for connections that come in from the machine. Its pods don't inherit this.
  printf 'nameserver %s\nsearch svc.cluster.local\noptions ndots:3\n' "$(dns)" >"$disk/etc/resolv.conf"
  : >"$disk/etc/kapture/resolv.conf"
}

# power_on NODE COUNT: starts the node with its directory, and waits for its containerd.
power_on() {
  mkdir -p "$STATE/$1"
  wire "$1" "$2"
  make_cgroups "$1"
  setsid nsenter --net="/run/netns/$(netns "$1")" unshare --pid --fork --mount --uts --ipc --kill-child \
    "$HERE/node-init" "$1" "$("$HERE/build")" >>"$DISK/$1/var/log/init.log" 2>&1 </dev/null 9>&- &
  echo $! >"$STATE/$1/pid"
  patiently 30 "$1's containerd; its logs are in $DISK/$1/var/log" inside "$1" sh -c "test -S /run/containerd/containerd.sock && ctr version"
}

# import NODE ARCHIVE: imports the cluster's image under all of its names.
import() {
  local name
  inside "$1" ctr -n k8s.io image import - <"$2"
  for name in kube-apiserver kube-controller-manager kube-scheduler kube-proxy etcd coredns pause local-path-provisioner shell; do
    inside "$1" ctr -n k8s.io image tag "$IMAGES/all:$KUBERNETES" "$IMAGES/$name:$KUBERNETES"
  done
}

# power_off NODE: kills the node's first process, and with it the tree. Its directory stays.
power_off() {
  unwire "$1"
  rm -f "$STATE/$1/pid"
  remove_cgroups "$1"
}
