# One Kafka broker that is also the controller. Clients log in with SASL/PLAIN, as in the chart.

start_kafka() {
  local kafka home=$DIRECTORY/kafka
  kafka=$("$REPOSITORY/ci/fetch/kafka")
  mkdir -p "$home"
  (umask 077 && kafka_properties >"$home/server.properties")
  # -XX: the fastest start, for a program that only writes two files.
  [ -e "$home/data/meta.properties" ] || java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$kafka/libs/*" kafka.tools.StorageTool \
    format --cluster-id "$(secret | cut -c1-22)" --config "$home/server.properties" >"$home/format.log" 2>&1 \
    || die "Kafka's storage can't be formatted: $(tail -n 5 "$home/format.log")"
  # shellcheck disable=SC2086 # several arguments
  launch kafka java ${KAPTURE_KAFKA_HEAP:--Xmx512m} "-Dlog4j2.configurationFile=$kafka/config/log4j2.yaml" -cp "$kafka/libs/*" \
    kafka.Kafka "$home/server.properties"
}

# The log line appears when the broker is registered, unfenced and serving all its listeners.
ready_kafka() { grep -q 'Kafka Server started' "$DIRECTORY/kafka/log" && listening "$KAFKA_PORT"; }

signal_kafka() { echo TERM; }

kafka_properties() {
  cat <<-END
	process.roles=broker,controller
	node.id=0
	controller.quorum.voters=0@127.0.0.1:$KAFKA_CONTROLLER_PORT
	listeners=CLIENTS://127.0.0.1:$KAFKA_PORT,CONTROLLER://127.0.0.1:$KAFKA_CONTROLLER_PORT
	listener.security.protocol.map=CLIENTS:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
	controller.listener.names=CONTROLLER
	inter.broker.listener.name=CLIENTS
	sasl.enabled.mechanisms=PLAIN
	sasl.mechanism.inter.broker.protocol=PLAIN
	listener.name.clients.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\
	  username="$KAFKA_USERNAME" password="$KAFKA_PASSWORD" user_$KAFKA_USERNAME="$KAFKA_PASSWORD";
	log.dirs=$DIRECTORY/kafka/data
	auto.create.topics.enable=false
	default.replication.factor=1
	min.insync.replicas=1
	offsets.topic.replication.factor=1
	offsets.topic.num.partitions=4
	transaction.state.log.replication.factor=1
	transaction.state.log.min.isr=1
	transaction.state.log.num.partitions=4
	share.coordinator.state.topic.replication.factor=1
	share.coordinator.state.topic.min.isr=1
	# As in the chart: a coordinator reads all of it before it answers.
	offsets.topic.segment.bytes=1048576
	transaction.state.log.segment.bytes=1048576
	group.initial.rebalance.delay.ms=0
	# A killed broker may come back only when its previous session has expired.
	broker.heartbeat.interval.ms=500
	broker.session.timeout.ms=3000
	# Half of the default, to fit in the heap.
	log.cleaner.dedupe.buffer.size=67108864
	END
}
