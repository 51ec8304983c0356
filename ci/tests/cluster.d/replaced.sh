# The preset smoke, whose only broker keeps nothing: when its pod is replaced, new sales flow through all stages without a hand.
returned() { stage returned 'sales // 0'; }
more_returned() { [ "$(returned)" -ge $((returned_before + $1)) ]; }
# adopted ROLE: whether that sink dropped the positions of the Kafka that is gone.
adopted() { [ "$(counter "etl-$1" ADOPTED)" -gt 0 ]; }
only_lost() { exporter /api/v1/state | jq -e '.findings | .age_seconds < 10 and all(.counts[]; .kind == "lost" or .findings == 0)'; }
nothing_lost() { exporter /api/v1/state | jq -e 'all(.findings.counts[]; .findings == 0)'; }
# judged: helm test passes, and tells of what the Kafka that is gone has lost, if it has.
judged() {
  local output
  if ! output=$(helm test kapture -n "$NAMESPACE" --logs 2>&1); then
    printf '%s\n' "$output"
    return 1
  fi
  nothing_lost || grep -E 'before Kafka was last replaced, .* lost at ' <<<"$output"
}

check "helm install, preset smoke, with both stores" \
  helm install kapture ./charts/kapture -n "$NAMESPACE" -f charts/kapture/presets/smoke.yaml --set redis.enabled=true
check "all pods are ready within 120 s" ready 120
returned_before=0
check "sales are returned" within 60 more_returned 100
check "the only broker is deleted" replace_pods "$NAMESPACE" kapture-kafka-0
# What was on its way when Kafka ended has been counted.
sleep 5
returned_before=$(returned || echo 0)
check "within 3 minutes, new sales are returned" within 180 more_returned 500
for role in redis postgres; do
  check "the role $role has adopted the new Kafka" within 30 adopted "$role"
done
check "all pods are ready again" ready 120
check "the auditor tells what was lost, and nothing else" within 60 only_lost
check "helm test finds all sales of the new Kafka, and tells what the old one lost" judged
check "helm uninstall of smoke" helm uninstall kapture -n "$NAMESPACE" --wait
