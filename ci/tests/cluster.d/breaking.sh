# Kills a pod of each component, under load, and then counts every sale.
components=$(k get pods -l "$running" -o json | jq -r '[.items[].metadata.labels."app.kubernetes.io/component"] | unique[]')
for component in $components; do
  pod=$(k get pods -l "app.kubernetes.io/instance=kapture,app.kubernetes.io/component=$component" -o jsonpath='{.items[0].metadata.name}')
  check "$component is killed without grace" k delete pod "$pod" --grace-period=0 --force
  check "all pods are ready after the death of $component" within 120 ready 10
done
# What is late may be so for a while. A sale that is lost, doubled or altered fails every run, since the auditor never forgets it.
check "helm test passes after one kill per component" within 180 helm test kapture -n "$NAMESPACE" --logs
