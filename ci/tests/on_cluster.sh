# Sourced by the sessions on a local cluster: its own kubectl and helm, and what they ask of a release.
NAMESPACE=perf-test
kubectl() { ci/cluster/kubectl "$@"; }
helm() { ci/cluster/helm "$@"; }
k() { kubectl -n "$NAMESPACE" "$@"; }

# What runs of a release; the test's pod has ended.
running=app.kubernetes.io/instance=kapture,app.kubernetes.io/component!=test
# ready [SECONDS [NAMESPACE RELEASE]]: all of that becomes ready within the time.
ready() { kubectl -n "${2:-$NAMESPACE}" wait pod -l "${running/kapture/${3:-kapture}}" --for=condition=Ready --timeout="${1:-90}s"; }
