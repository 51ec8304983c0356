# When a stage is broken, helm test fails and names it.
check "the postgres role is stopped" helm upgrade kapture ./charts/kapture -n "$NAMESPACE" --reset-then-reuse-values \
  --set etl.postgres.replicas=0 --force-conflicts
check "helm test fails and names the stage" fails_with "FAIL  stored" helm test kapture -n "$NAMESPACE" --logs
check "the postgres role is started again" helm upgrade kapture ./charts/kapture -n "$NAMESPACE" --reset-then-reuse-values \
  --set etl.postgres.replicas=1 --force-conflicts
check "all pods are ready again" ready 90
check "helm test passes again, nothing was lost" helm test kapture -n "$NAMESPACE" --logs
