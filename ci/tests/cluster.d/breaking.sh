# One kill a role, under load, and then an exact account.
components=$(k get pods -l "$running" -o json | jq -r '[.items[].metadata.labels."app.kubernetes.io/component"] | unique[]')
for component in $components; do
  pod=$(k get pods -l "app.kubernetes.io/instance=kapture,app.kubernetes.io/component=$component" -o jsonpath='{.items[0].metadata.name}')
  check "$component is killed at once" k delete pod "$pod" --grace-period=0 --force
  check "all pods are ready after the death of $component" within 120 ready 10
done
check "helm test passes after one kill a role" helm test kapture -n "$NAMESPACE" --logs
