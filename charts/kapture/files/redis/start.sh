#!/bin/sh
# Starts one Redis. The first pod is written; the others copy it.
set -eu
umask 077
config=/etc/redis
# The password goes into a file, not onto the command line, where every process could read it.
{
  cat $config/redis.conf
  echo
  echo "requirepass \"$REDISCLI_AUTH\""
  if [ "${POD##*-}" != 0 ]; then
    echo "masterauth \"$REDISCLI_AUTH\""
    echo "replicaof $(cat $config/first) 6379"
  fi
} >/tmp/redis.conf
exec redis-server /tmp/redis.conf
