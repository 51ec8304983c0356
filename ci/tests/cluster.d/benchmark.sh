# A smoke benchmark gives a verdict and keeps its report; when one is killed, the loads go back to what they were.
of_run() { k get pods -l batch.kubernetes.io/job-name="$1" -o jsonpath="{.items[*]$2}"; }
terminated=".status.containerStatuses[0].state.terminated"
asked_is() { exporter /api/v1/state | jq -e ".load.asked == $1"; }
asked_is_not() { exporter /api/v1/state | jq -e ".load.asked != null and .load.asked != $1"; }

check "an upgrade to a short benchmark" \
  helm upgrade kapture ./charts/kapture -n "$NAMESPACE" --reset-then-reuse-values --set benchmark.mode=smoke
check "all pods are ready" ready 120
rate=$(exporter /api/v1/state | jq .load.asked)

check "a Job from the CronJob" k create job run-1 --from=cronjob/kapture-benchmark
check "the page shows its step" within 60 prints run-1 exporter /api/v1/state
ended() { [ -n "$(of_run run-1 "$terminated.exitCode")" ]; }
check "it ends within four minutes" within 240 ended
log=$(k logs job/run-1)
last=$(tail -n 1 <<<"$log")
grep -E '^ *[0-9]+:[0-9]+ |^verdict=' <<<"$log" | tail -n 30
is_verdict() { [[ $last =~ ^verdict=(PASS|FAIL|INVALID)\  ]] || { tail -n 20 <<<"$log"; return 1; }; }
check "the last line of its log is a verdict" is_verdict
is_message() { diff <(echo "$last") <(echo "$(of_run run-1 "$terminated.message")"); }
check "so is the pod's termination message" is_message
is_code() {
  local -A codes=([PASS]=0 [FAIL]=1 [INVALID]=2)
  local verdict=${last#verdict=}
  [ "$(of_run run-1 "$terminated.exitCode")" = "${codes[${verdict%% *}]}" ]
}
check "and its exit code" is_code
check "it ran once" test "$(of_run run-1 .metadata.name | wc -w)" = 1
check "its report is served" within 30 prints "<!doctype html>" exporter /results/run-1.html
check "and its capsule" within 30 prints kapture-capsule exporter /results/run-1.json
check "the loads are what they were" within 30 asked_is "$rate"

check "another Job" k create job run-2 --from=cronjob/kapture-benchmark
check "it sets the loads" within 90 asked_is_not "$rate"
check "it is killed with -9" k delete pod -l batch.kubernetes.io/job-name=run-2 --grace-period=0 --force
check "the loads go back within their lease" within 30 asked_is "$rate"
k delete job run-1 run-2
