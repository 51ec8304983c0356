# Unusual names, ids, passwords, versions and limits, all in one install.
STRANGE=strange
s() { kubectl -n "$STRANGE" "$@"; }
work=$(mktemp -d)
valkey=$(jq -r .images.valkey.tag images/official.json)
# Quotes, a backslash, a dollar sign, and the line break that `echo | base64` leaves.
printf '%s\n' 'it'\''s "quoted" \n $HOME;a=b' >"$work/password"

cp -r charts/kapture "$work/kapture"
sed -i 's/^version: .*/version: 0.1.0+build.5/; s/^appVersion: .*/appVersion: "0.1.0+abc"/' "$work/kapture/Chart.yaml"
package() { "$(ci/fetch/kubectl-helm)/helm" package "$work/kapture" --destination "$work"; }
# The local images have the tag of the real appVersion. The ids are such as OpenShift would choose.
strange() {
  helm "$1" 2024 "$work/kapture-0.1.0+build.5.tgz" -n "$STRANGE" \
    -f charts/kapture/presets/smoke.yaml -f charts/kapture/presets/gitops.yaml -f charts/kapture/presets/openshift.yaml \
    --set image.tag=0.1.0,redis.enabled=true,redis.image.repository=valkey/valkey \
    --set kafka.persistence.enabled=true,redis.persistence.enabled=true,postgres.persistence.enabled=true --set-string "redis.image.tag=$valkey" \
    --set podSecurityContext.runAsUser=1000660000,podSecurityContext.runAsGroup=0,podSecurityContext.fsGroup=1000660000 "${@:2}"
}
quota() { strange install --dry-run=server | grep -o 'create quota .*' | xargs "$PWD/ci/cluster/kubectl" -n "$STRANGE"; }
uids() {
  local pod
  for pod in kapture-2024-kafka-0 kapture-2024-postgres-0 kapture-2024-redis-0; do
    [ "$(s exec "$pod" -- id -u)" = 1000660000 ] || { echo "$pod: $(s exec "$pod" -- id)"; return 1; }
  done
}
used_up() {
  s get quota kapture -o json | jq -e '.status | (.used.pods | tonumber) + 2 == (.hard.pods | tonumber)
    and .used.persistentvolumeclaims == .hard.persistentvolumeclaims and .used["requests.storage"] == .hard["requests.storage"]'
}
# Creates a pod of each component under the LimitRange, with the given values.
within_limits() {
  helm template x ./charts/kapture -n "$STRANGE" "$@" | "$(ci/fetch/python)" ci/tests/cluster.d/pods.py |
    s create --dry-run=server -f - -o name
}

kubectl create namespace "$STRANGE" >/dev/null
kubectl label namespace "$STRANGE" pod-security.kubernetes.io/enforce=restricted >/dev/null
check "a chart whose version contains a + is packaged" package
check "a Secret with four strange passwords" s create secret generic kapture-passwords \
  --from-file=kafka="$work/password" --from-file=redis="$work/password" --from-file=postgres="$work/password" \
  --from-file=loader="$work/password"
check "the quota printed in the notes is created" quota
check "install as 2024, with an unusual user id and Valkey" strange install
check "all its pods are ready within 120 s" ready 120 "$STRANGE" 2024
check "all servers run under that user id" uids
check "helm test passes, within the same quota" helm test 2024 -n "$STRANGE" --logs
check "the passwords are changed to another" eval \
  "s create secret generic kapture-passwords --from-literal={kafka,redis,postgres,loader}='n\"ew' --dry-run=client -o yaml | s replace -f -"
check "all pods are restarted, as the error of a refused password advises" \
  replace_pods "$STRANGE" -l app.kubernetes.io/name=kapture,app.kubernetes.io/instance=2024
check "all are ready with the new password" within 60 ready 120 "$STRANGE" 2024
check "helm test passes with the new password" helm test 2024 -n "$STRANGE" --logs
check "the quota is used up, except for the pods of the test and the benchmark" used_up
check "uninstall" helm uninstall 2024 -n "$STRANGE" --wait
s delete quota kapture >/dev/null
s apply -f - >/dev/null <<'END'
{"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "cpu"},
 "spec": {"limits": [{"type": "Container", "min": {"cpu": "100m"}, "maxLimitRequestRatio": {"cpu": "4"}}]}}
END
check "a LimitRange with a minimum and a ratio refuses the default" fails_with "minimum cpu usage" within_limits
check "and admits all pods with guaranteed=true" within_limits --set guaranteed=true
check "a release with a dot in its name is refused before anything is made" fails_with "my-release" \
  helm install my.release ./charts/kapture -n "$STRANGE"
check "its namespace is deleted" kubectl delete namespace "$STRANGE" --timeout=120s
rm -rf "$work"
