#!/bin/sh
# Starts one broker, whose id is its pod's ordinal. The first brokers are also controllers.
set -eu
id=${POD##*-}
config=/etc/kapture
data=/var/lib/kafka/data
properties=/tmp/server.properties
# For the probe's test writes. The server starts even if the disk is too full for it.
mkdir -p $data/probe || true
export LC_ALL=C
. $config/password.sh
password=$(cleaned "$KAFKA_PASSWORD")
KAFKA_JAAS_PASSWORD=$(quoted "$password")
export KAFKA_JAAS_PASSWORD

roles=broker
listeners=CLIENTS://:9092
if [ "$id" -lt "$(cat $config/controllers)" ]; then
  roles=broker,controller
  listeners=$listeners,CONTROLLERS://:9093
fi
{
  cat $config/server.properties
  echo
  echo "node.id=$id"
  echo "process.roles=$roles"
  echo "listeners=$listeners"
  echo "advertised.listeners=CLIENTS://$POD.$(cat $config/domain):9092"
} >$properties

set -- -cp '/opt/kafka/libs/*' -Dlog4j2.configurationFile=$config/log4j2.properties -Djava.awt.headless=true -XX:-UsePerfData

# The number of controllers can't change on existing volumes: different sets of voters would never agree.
controllers=$(cat $config/controllers)
installed=$(cat $data/controllers 2>/dev/null || echo "$controllers")
if [ "$installed" != "$controllers" ]; then
  echo "this volume was installed with kafka.controllers=$installed, and now it is $controllers:" \
    "set kafka.controllers=$installed, or delete Kafka's volumes to start with empty ones" >&2
  exit 1
fi

# Format only a new volume: a voter whose disk lost its data must not come back with an empty one.
if [ ! -e $data/logs/meta.properties ]; then
  java "$@" -Xmx128m -XX:TieredStopAtLevel=1 kafka.tools.StorageTool format --ignore-formatted \
    --cluster-id "$(cat $config/cluster-id)" --config $properties
fi
echo "$controllers" >$data/controllers

collector="-XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent"
# Java refuses two garbage collectors.
case ${KAFKA_JVM_OPTIONS:-} in *-XX:+Use*GC*) collector= ;; esac
# A peer's name may resolve only after this broker has started: ask again after 1 s, not after Java's default of 10 s.
# shellcheck disable=SC2086 # options are several words
java "$@" $KAFKA_HEAP_OPTS -XX:MaxDirectMemorySize=128m -XX:+ExitOnOutOfMemoryError $collector \
  -Dsun.net.inetaddr.negative.ttl=1 ${KAFKA_JVM_OPTIONS:-} kafka.Kafka $properties &
broker=$!

# Whether this pod has a connection with another pod on the controllers' port, at either end; 01 means established.
port=$(printf %04X 9093)
has_peers() {
  cat /proc/net/tcp /proc/net/tcp6 | grep -e ":$port [0-9A-F:]* 01 " -e ":$port 01 " |
    grep -qv ': \([0-9A-F]*\):[0-9A-F]* \1:'
}

# A broker that shuts down asks the controllers to move its leaderships, and waits up to five minutes for an answer. When all
# brokers end at once, as in helm uninstall, the last one would wait for controllers that are gone, until it is killed.
stop() {
  kill -TERM $broker
  alone=0
  while kill -0 $broker 2>/dev/null; do
    if has_peers || [ "$id/$(cat $config/controllers)" = 0/1 ]; then alone=0; else alone=$((alone + 1)); fi
    if [ $alone = 10 ]; then
      echo "all controllers are gone: ending without them"
      kill -KILL $broker
    fi
    sleep 1
  done
  status=0
  wait $broker || status=$?
  exit $status
}
trap stop TERM
wait $broker
