# kubectl scale works, and so does the upgrade after it.
loaders_are() { [ "$(k get statefulset kapture-loader -o jsonpath='{.status.readyReplicas}')" = "$1" ]; }

check "kubectl scale of the loaders" k scale statefulset kapture-loader --replicas=2
check "two loaders run" within 90 loaders_are 2
check "an upgrade after it works" helm upgrade kapture ./charts/kapture -n "$NAMESPACE" --reset-then-reuse-values
check "kubectl scale of the brokers" k scale statefulset kapture-kafka --replicas=4
check "four brokers are ready" within 120 k wait pod/kapture-kafka-3 --for=condition=Ready --timeout=5s
check "an upgrade after it works too" helm upgrade kapture ./charts/kapture -n "$NAMESPACE" --reset-then-reuse-values
check "helm test passes after scaling" helm test kapture -n "$NAMESPACE" --logs
