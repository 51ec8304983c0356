#!/bin/sh
# rebalance.sh N: spreads all partitions over the brokers 0 to N-1, and waits until they have moved. Run it in a broker's
# container after adding brokers, or, with the smaller N, before removing some.
set -eu
brokers=${1:?how many brokers, counted from the first}
. /etc/kapture/password.sh
password=$(cleaned "$KAFKA_PASSWORD")
KAFKA_JAAS_PASSWORD=$(quoted "$password")
export KAFKA_JAAS_PASSWORD
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
umask 077
cat >"$work/client" <<END
security.protocol=SASL_PLAINTEXT
sasl.mechanism=PLAIN
sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="kapture" password="\${env:KAFKA_JAAS_PASSWORD}";
config.providers=env
config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider
END
tool() {
  class=$1
  shift
  java -Xmx96m -XX:TieredStopAtLevel=1 -cp '/opt/kafka/libs/*' -Dorg.apache.logging.log4j.level=OFF \
    "org.apache.kafka.tools.$class" --bootstrap-server localhost:9092 --command-config "$work/client" "$@"
}

tool TopicCommand --list | sed 's/.*/{"topic":"&"}/' | paste -sd, | sed 's/.*/{"version":1,"topics":[&]}/' >"$work/topics"
list=0
while [ "${list##*,}" -lt $((brokers - 1)) ]; do list=$list,$((${list##*,} + 1)); done
tool reassign.ReassignPartitionsCommand --generate --topics-to-move-json-file "$work/topics" --broker-list "$list" >"$work/answer"
sed -n '/^Proposed/{n;p;}' "$work/answer" >"$work/plan"
[ -s "$work/plan" ] || { cat "$work/answer" >&2; exit 1; }
tool reassign.ReassignPartitionsCommand --execute --reassignment-json-file "$work/plan" >"$work/answer" ||
  { cat "$work/answer" >&2; exit 1; }
while :; do
  tool reassign.ReassignPartitionsCommand --verify --reassignment-json-file "$work/plan" >"$work/answer" ||
    { cat "$work/answer" >&2; exit 1; }
  moving=$(grep -c 'still in progress' "$work/answer" || true)
  [ "$moving" != 0 ] || break
  echo "$moving partitions are still moving"
  sleep 5
done
echo "all partitions are on the brokers $list"
