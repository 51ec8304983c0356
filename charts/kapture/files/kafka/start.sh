#!/bin/sh
# Starts one broker, whose number is its pod's ordinal. The first of them are controllers as well.
set -eu
id=${POD##*-}
config=/etc/kapture
data=/var/lib/kafka/data
properties=/tmp/server.properties
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

# What was chosen at install can't be changed on its volumes: a quorum of other voters would never agree.
controllers=$(cat $config/controllers)
installed=$(cat $data/controllers 2>/dev/null || echo "$controllers")
if [ "$installed" != "$controllers" ]; then
  echo "this volume was installed with kafka.controllers=$installed, and now it is $controllers:" \
    "set kafka.controllers=$installed, or delete Kafka's volumes to begin with empty ones" >&2
  exit 1
fi

# Only a new volume: a disk that lost its data must not come back as an empty one that votes.
if [ ! -e $data/logs/meta.properties ]; then
  java "$@" -Xmx128m -XX:TieredStopAtLevel=1 kafka.tools.StorageTool format --ignore-formatted \
    --cluster-id "$(cat $config/cluster-id)" --config $properties
fi
echo "$controllers" >$data/controllers

# A peer's name may come up after this broker does: ask again soon, not after Java's ten seconds.
collector="-XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent"
# Java takes no two collectors.
case ${KAFKA_JVM_OPTIONS:-} in *-XX:+Use*GC*) collector= ;; esac
# shellcheck disable=SC2086 # options are several words
java "$@" $KAFKA_HEAP_OPTS -XX:MaxDirectMemorySize=128m -XX:+ExitOnOutOfMemoryError $collector \
  -Dsun.net.inetaddr.negative.ttl=1 ${KAFKA_JVM_OPTIONS:-} kafka.Kafka $properties &
broker=$!

# Whether any other pod is connected to the controllers' port, here or there; 01 is an open connection.
port=$(printf %04X 9093)
has_peers() {
  cat /proc/net/tcp /proc/net/tcp6 | grep -e ":$port [0-9A-F:]* 01 " -e ":$port 01 " |
    grep -qv ': \([0-9A-F]*\):[0-9A-F]* \1:'
}

# A broker that is to end asks the controllers to move away what it leads, for five minutes if none answers. When all brokers
# go at once, as helm uninstall ends them, the last one would ask nobody until its grace is over.
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
