# The Kustomize examples: the API server accepts each, and one of them runs, in a namespace other than the one that it was rendered for.
OTHER=elsewhere
e() { kubectl -n "$OTHER" "$@"; }
work=$(mktemp -d)
mkdir -p "$work/charts"
cp -r examples "$work/examples"
cp -r charts/kapture "$work/charts/kapture"
example=$work/examples/kustomize/more-broker-resources
# More than the default, but no more than fits three times on this node.
sed -i 's/cpu: "2", memory: 4Gi/cpu: 150m, memory: 1536Mi/; s/cpu: "4", memory: 4Gi/cpu: "2", memory: 1536Mi/; s/2048m/768m/g' "$example/kustomization.yaml"
render() { HELM=$(ci/fetch/kubectl-helm)/helm "$work/examples/kustomize/render" --set kafka.persistence.enabled=false,postgres.persistence.enabled=false; }
apply() { kubectl kustomize "$example" | e apply -f -; }
counted() {
  e create job --from=cronjob/kapture-check check-1 || return 1
  e wait job/check-1 --for=condition=Complete --timeout=150s || { e logs job/check-1; return 1; }
}

check "each example is accepted by the API server" ci/tests/kustomize
kubectl create namespace "$OTHER" >/dev/null
kubectl label namespace "$OTHER" pod-security.kubernetes.io/enforce=restricted >/dev/null
check "the chart is rendered for Kustomize" render
check "more-broker-resources is applied in another namespace" apply
check "all its pods are ready within 120 s" ready 120 "$OTHER" kapture
check "the CronJob check does the same as helm test" counted
check "its log reports success" prints "ok: all" e logs job/check-1
check "its namespace is deleted" kubectl delete namespace "$OTHER" --timeout=120s
rm -rf "$work"
