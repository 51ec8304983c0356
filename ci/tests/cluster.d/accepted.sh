# The API server accepts every object of every situation, and also a pod of each workload, because Pod Security checks only pods.
accepted() {
  local rendering
  rendering=$(helm template kapture ./charts/kapture -n "$NAMESPACE" "$@") || return 1
  # A dry run creates no service account for the test's pod; `pods.py` does without one.
  helm template kapture ./charts/kapture -n "$NAMESPACE" --skip-tests "$@" | k apply --dry-run=server --validate=strict -f - || return 1
  "$(ci/fetch/python)" ci/tests/cluster.d/pods.py <<<"$rendering" | k create --dry-run=server --validate=strict -f -
}
combination() {
  charts/kapture/tests/combinations "$1" >"$values"
  accepted --values "$values"
}
values=$(mktemp)

check "the default is accepted by the API server" accepted
for preset in charts/kapture/presets/*.yaml; do
  check "preset $(basename "$preset" .yaml) is accepted by the API server" accepted -f "$preset"
done
for name in $(charts/kapture/tests/combinations); do
  check "$name is accepted by the API server" combination "$name"
done
rm "$values"
