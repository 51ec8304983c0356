# Every object of every situation is accepted by the API server, Pod Security and all.
accepted() { helm template kapture ./charts/kapture -n "$NAMESPACE" "$@" | k apply --dry-run=server --validate=strict -f -; }
combination() { charts/kapture/tests/combinations "$1" | accepted --values -; }

check "the default is accepted by the API server" accepted
for preset in charts/kapture/presets/*.yaml; do
  check "preset $(basename "$preset" .yaml) is accepted by the API server" accepted -f "$preset"
done
for name in $(charts/kapture/tests/combinations); do
  check "$name is accepted by the API server" combination "$name"
done
