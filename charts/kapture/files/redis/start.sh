#!/bin/sh
# Starts one Redis. The first pod takes all writes; the others are its replicas.
set -eu
umask 077
export LC_ALL=C
config=/etc/kapture
# For the probe's test writes. The server starts even if the disk is too full for it.
mkdir -p /data/probe || true
. $config/password.sh
password=$(cleaned "$REDIS_PASSWORD")
# The password goes into a file, because every process could read it on the command line.
{
  cat $config/redis.conf
  echo
  printf 'requirepass "%s"\n' "$(quoted "$password")"
  if [ "${POD##*-}" != 0 ]; then
    printf 'masterauth "%s"\n' "$(quoted "$password")"
    echo "replicaof $(cat $config/first) 6379"
  fi
} >/tmp/redis.conf
exec redis-server /tmp/redis.conf
