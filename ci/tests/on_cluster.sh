# Sourced by the sessions on a local cluster: its kubectl and helm, and shared checks of a release.
NAMESPACE=perf-test
kubectl() { ci/cluster/kubectl "$@"; }
helm() { ci/cluster/helm "$@"; }
k() { kubectl -n "$NAMESPACE" "$@"; }

# The pods of a release that keep running: all but those of the test and the benchmark.
running='app.kubernetes.io/instance=kapture,app.kubernetes.io/component notin (test,benchmark)'
# ready [SECONDS [NAMESPACE RELEASE]]: succeeds if all of them become ready within the time.
ready() { kubectl -n "${2:-$NAMESPACE}" wait pod -l "${running/kapture/${3:-kapture}}" --for=condition=Ready --timeout="${1:-90}s"; }

# replace_pods NAMESPACE SELECTION...: deletes pods and waits until they are gone and have successors. kubectl's own waiting may miss
# that, and never ends, where a StatefulSet's new pod has the name of the old one.
replace_pods() {
  local old
  old=$(uids_of "$@") || return 1
  kubectl -n "$1" delete pod "${@:2}" --wait=false
  within 150 all_others "$old" "$1"
}
uids_of() { kubectl -n "$1" get pod "${@:2}" -o jsonpath='{..metadata.uid}' | tr ' ' '\n' | grep .; }
# all_others UIDS NAMESPACE: whether pods are there, and none with such a uid. Nothing is concluded if kubectl fails.
all_others() {
  local now
  now=$(uids_of "$2") && ! grep -qxF "$1" <<<"$now"
}
