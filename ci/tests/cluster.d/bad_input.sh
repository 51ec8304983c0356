# Malformed records are rejected and impossible values refused; nothing stops.
produce() {
  k exec -i kapture-kafka-0 -c kafka -- sh -c "java -Xmx64m -cp '/opt/kafka/libs/*' org.apache.kafka.tools.ConsoleProducer \
    --bootstrap-server kapture-kafka:9092 --topic sales --producer-property security.protocol=SASL_PLAINTEXT \
    --producer-property sasl.mechanism=PLAIN --producer-property \"sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule \
    required username=kapture password='\$KAFKA_PASSWORD';\"" <<<"$1"
}
more_rejected() { [ "$(counter etl-fan-out REJECTED)" -gt "$rejected_before" ]; }

rejected_before=$(counter etl-fan-out REJECTED)
check "a malformed record is sent to sales" produce '{"not":"a sale"'
check "it is rejected and counted" within 30 more_rejected
check "helm test passes despite it" helm test kapture -n "$NAMESPACE" --logs
check "a misspelt value is named" fails_with "replcias" \
  helm upgrade kapture ./charts/kapture -n "$NAMESPACE" --dry-run=client --set loader.replcias=3
check "scaling down the brokers is refused, with the way to drain them" fails_with "drain" \
  helm upgrade kapture ./charts/kapture -n "$NAMESPACE" --reset-then-reuse-values --dry-run=server --set kafka.replicas=1 --set kafka.controllers=1
