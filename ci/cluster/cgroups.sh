# Sourced by the scripts that create and remove nodes: a node's own cgroup in each hierarchy, of version 1 or 2.

# hierarchies: the root of each; version 2 has only one.
hierarchies() {
  local root
  if [ -e /sys/fs/cgroup/cgroup.procs ]; then echo /sys/fs/cgroup; return; fi
  for root in /sys/fs/cgroup/*; do
    [ -L "$root" ] || [ ! -e "$root/cgroup.procs" ] || echo "$root"
  done
}

# make_cgroups NODE: creates its groups. The cluster as a whole gets the weight of ten busy processes of the machine.
make_cgroups() {
  local root group
  for root in $(hierarchies); do
    for group in "$CLUSTER" "$CLUSTER/$1" "$CLUSTER/$1/system"; do
      # Version 2: a group has the controllers that its parent delegates.
      [ "$root" != /sys/fs/cgroup ] || sed 's/^\| / +/g' "$root/cgroup.controllers" >"$(dirname "$root/$group")/cgroup.subtree_control"
      mkdir -p "$root/$group"
      # Version 1: a cpuset is empty until it is filled.
      [ "$root" != /sys/fs/cgroup/cpuset ] || cat "$root/cpuset.cpus" >"$root/$group/cpuset.cpus"
      [ "$root" != /sys/fs/cgroup/cpuset ] || cat "$root/cpuset.mems" >"$root/$group/cpuset.mems"
    done
    [ ! -e "$root/$CLUSTER/cpu.shares" ] || echo 10240 >"$root/$CLUSTER/cpu.shares"
    [ ! -e "$root/$CLUSTER/cpu.weight" ] || echo 1000 >"$root/$CLUSTER/cpu.weight"
  done
}

# remove_cgroups [NODE]: removes those of one node or of all, and kills the processes that are still in them.
remove_cgroups() {
  local root group end=$((SECONDS + 20))
  for root in $(hierarchies); do
    group=$root/$CLUSTER${1:+/$1}
    while [ -d "$group" ]; do
      # shellcheck disable=SC2038 # Process ids, not names, go through the pipe.
      find "$group" -name cgroup.procs -exec cat {} + 2>/dev/null | xargs -r kill -9 2>/dev/null || true
      find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
      [ "$SECONDS" -lt "$end" ] || die "the cgroup $group can't be emptied: a process in it does not exit"
      [ ! -d "$group" ] || sleep 0.1
    done
  done
}
