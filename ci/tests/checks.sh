# Counted checks: a failed one is shown, and the session continues.
passed=0 failed=0

# check CLAIM COMMAND...: counts the claim as passed if the command succeeds within LONGEST seconds.
LONGEST=400
check() {
  local claim=$1 begun=$SECONDS output
  shift
  if output=$(bounded "$LONGEST" "$@" 2>&1); then
    passed=$((passed + 1))
    printf 'ok    %3ds  %s\n' $((SECONDS - begun)) "$claim"
  else
    failed=$((failed + 1))
    printf 'FAIL  %3ds  %s\n' $((SECONDS - begun)) "$claim"
    sed 's/^/            /' <<<"$output" | tail -n 40
  fi
}

# bounded SECONDS COMMAND...: runs the command, a function too, and ends it with all that it started when the time is over.
bounded() {
  local limit=$1 job watch status=0
  shift
  "$@" <&0 &
  job=$!
  { sleep "$limit" && echo "ended after $limit s: $*" && end_tree "$job"; } &
  watch=$!
  wait "$job" || status=$?
  end_tree "$watch"
  return "$status"
}
end_tree() {
  local child
  for child in $(pgrep -P "$1"); do end_tree "$child"; done
  kill "$1" 2>/dev/null || true
}

# within SECONDS COMMAND...: repeats the command until it succeeds.
within() {
  local deadline=$((SECONDS + $1)) output
  shift
  until output=$("$@" 2>&1); do
    [ "$SECONDS" -lt "$deadline" ] || { echo "$output"; return 1; }
    sleep 1
  done
}

# fails_with TEXT COMMAND...: succeeds if the command fails and its output contains the text.
fails_with() {
  local text=$1 output
  shift
  if output=$("$@" 2>&1); then echo "succeeded: $output"; return 1; fi
  grep -qF -- "$text" <<<"$output" || { echo "$output"; return 1; }
}

# prints TEXT COMMAND...: succeeds if the command succeeds and its output contains the text.
prints() {
  local text=$1 output
  shift
  output=$("$@" 2>&1) || { echo "$output"; return 1; }
  grep -qF -- "$text" <<<"$output" || { echo "$output"; return 1; }
}

total() {
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ]
}
