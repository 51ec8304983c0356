# Every object of every situation is accepted by the API server, Pod Security and all.
accepted() { helm template kapture ./charts/kapture -n "$NAMESPACE" "$@" | k apply --dry-run=server -f -; }

check "the default is accepted by the API server" accepted
for preset in charts/kapture/presets/*.yaml; do
  check "preset $(basename "$preset" .yaml) is accepted by the API server" accepted -f "$preset"
done
