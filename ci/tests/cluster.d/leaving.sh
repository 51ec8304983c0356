# Three deleted rows are found missing; then uninstall, install again on what was kept, and remove everything.
check "three rows are deleted from Postgres" prints "DELETE 3" postgres \
  "delete from kapture.sale_events where ctid in (select ctid from kapture.sale_events order by stored_at desc limit 3)"
check "helm test fails and counts them" fails_with "FAIL  stored" helm test kapture -n "$NAMESPACE" --logs
stored=$(postgres "select count(*) from kapture.sale_events")

# All brokers stop at once, and none may use up its grace period of 90 s waiting for controllers that are gone.
GONE=75
left() { k get all,configmap,secret,pvc,pdb,networkpolicy -l app.kubernetes.io/instance=kapture -o name; }
only_kept() { ! left | grep -vE '^(persistentvolumeclaim/data-kapture-(kafka|postgres|redis)-[0-9]+|secret/kapture-(kafka|postgres|redis)|pod/kapture-test-.*)$'; }
check "helm uninstall" helm uninstall kapture -n "$NAMESPACE" --wait
check "it leaves only claims, secrets and finished test pods" within "$GONE" only_kept

# refused SENTENCE VALUES: an install on the kept volumes with values that contradict those of the first install.
refused() {
  check "installing on the kept volumes is refused with $2" fails_with "$1" \
    helm install kapture ./charts/kapture -n "$NAMESPACE" --set "$2"
}
# The brokers were scaled to four.
refused "set kafka.replicas=4" kafka.replicas=3
refused "set kafka.replicas=4" kafka.replicas=1,kafka.controllers=1
refused "set kafka.controllers=3" kafka.replicas=4,kafka.controllers=1
refused "set kafka.salesPartitions=12" kafka.replicas=4,kafka.salesPartitions=24
refused "set kafka.persistence.size=10Gi; or, where the storage class allows it" kafka.replicas=4,kafka.persistence.size=20Gi
refused "set postgres.persistence.size=10Gi" kafka.replicas=4,postgres.persistence.size=8Gi
refused "persistence.storageClass can't be changed" kafka.replicas=4,kafka.persistence.storageClass=other
refused "is not the one in the Secret" kafka.replicas=4,postgres.auth.password=another
check "a second install on what was kept" helm install kapture ./charts/kapture -n "$NAMESPACE" --set kafka.replicas=4
check "all its pods are ready within 90 s" ready 90
still_stored() { [ "$(postgres "select count(*) from kapture.sale_events")" -ge "$stored" ]; }
check "nothing stored was lost" within 30 still_stored
check "helm uninstall again" helm uninstall kapture -n "$NAMESPACE" --wait
# With GitOps, the chart can't look up anything in the cluster; then the broker itself refuses.
blind() { helm template kapture ./charts/kapture -n "$NAMESPACE" --skip-tests --set kafka.replicas=1,kafka.controllers=1 | k apply -f -; }
says_why() { k logs kapture-kafka-0 -c kafka | grep "set kafka.controllers=3"; }
check "a different number of controllers is rendered if nothing can be looked up" blind
check "the broker reports what does not fit, and the remedy" within 60 says_why
check "it is deleted" eval "helm template kapture ./charts/kapture -n '$NAMESPACE' --skip-tests | k delete --ignore-not-found -f -"
check "the command of the notes deletes what was kept" \
  k delete pod,pvc,secret -l app.kubernetes.io/name=kapture,app.kubernetes.io/instance=kapture --timeout="${GONE}s"
nothing_left() { [ -z "$(left)" ]; }
check "nothing is left" within 30 nothing_left
