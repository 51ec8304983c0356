# Three rows are deleted and found missing; then uninstall, install again on what was kept, and leave nothing.
check "three rows are deleted from Postgres" prints "DELETE 3" postgres \
  "delete from kapture.sale_events where ctid in (select ctid from kapture.sale_events order by run, loader, block desc, index limit 3)"
check "helm test fails and counts them" fails_with "FAIL  stored" helm test kapture -n "$NAMESPACE" --logs
stored=$(postgres "select count(*) from kapture.sale_events")

# All brokers are ended at once, and none may wait out its grace of 90 s for controllers that are gone.
GONE=75
left() { k get all,configmap,secret,pvc,pdb,networkpolicy -l app.kubernetes.io/instance=kapture -o name; }
only_kept() { ! left | grep -vE '^(persistentvolumeclaim/data-kapture-(kafka|postgres|redis)-[0-9]+|secret/kapture-(kafka|postgres|redis)|pod/kapture-test-.*)$'; }
check "helm uninstall" helm uninstall kapture -n "$NAMESPACE" --wait
check "it leaves only claims, secrets and finished test pods" within "$GONE" only_kept
check "a second install on what was kept" helm install kapture ./charts/kapture -n "$NAMESPACE"
check "all its pods are ready within 90 s" ready 90
still_stored() { [ "$(postgres "select count(*) from kapture.sale_events")" -ge "$stored" ]; }
check "nothing stored was lost" within 30 still_stored
check "helm uninstall again" helm uninstall kapture -n "$NAMESPACE" --wait
check "the command of the notes deletes what was kept" \
  k delete pod,pvc,secret -l app.kubernetes.io/instance=kapture --timeout="${GONE}s"
nothing_left() { [ -z "$(left)" ]; }
check "nothing is left" within 30 nothing_left
