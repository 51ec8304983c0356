#!/bin/sh
# Succeeds when this Redis answers.
. /etc/kapture/password.sh
REDISCLI_AUTH=$(cleaned "$REDIS_PASSWORD")
export REDISCLI_AUTH
redis-cli ping | grep -q PONG
