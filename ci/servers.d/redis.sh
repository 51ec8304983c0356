# Redis with a password, and an append-only file so that data survive a restart. Valkey if KAPTURE_VALKEY is set.

redis_bin() {
  local fetched=debian
  [ -z "${KAPTURE_VALKEY:-}" ] || fetched=valkey
  echo "$("$REPOSITORY/ci/fetch/$fetched")/bin"
}

start_redis() {
  local bin home=$DIRECTORY/redis
  bin=$(redis_bin)
  mkdir -p "$home/data"
  (
    umask 077
    cat >"$home/redis.conf" <<-END
	bind 127.0.0.1
	port $REDIS_PORT
	requirepass $REDIS_PASSWORD
	dir "$home/data"
	appendonly yes
	save ""
	END
  )
  launch redis "$bin/redis-server" "$home/redis.conf"
}

ready_redis() {
  [ "$(REDISCLI_AUTH=$REDIS_PASSWORD "$(redis_bin)/redis-cli" -h 127.0.0.1 -p "$REDIS_PORT" ping 2>/dev/null)" = PONG ]
}

signal_redis() { echo TERM; }
