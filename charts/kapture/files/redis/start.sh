#!/bin/sh
# Starts one Redis. The first pod is written; the others copy it.
set -eu
umask 077
export LC_ALL=C
config=/etc/kapture
. $config/password.sh
password=$(cleaned "$REDIS_PASSWORD")
# The password goes into a file, not onto the command line, where every process could read it.
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
