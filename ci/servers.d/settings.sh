# Ports and passwords: chosen once for a directory, kept there, and published in servers.env together with the pids.

secret() { od -An -N12 -tx1 /dev/urandom | tr -d ' \n'; }

# free_port: a port below the range used for outgoing connections, so that it is still free after a restart.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 10000))
    listening "$port" || { echo "$port"; return; }
  done
}

# settings: reads them, after choosing them if there are none.
settings() {
  local file=$DIRECTORY/settings
  [ -e "$file" ] || (
    umask 077
    cat >"$file" <<-END
	KAFKA_PORT=$(free_port)
	KAFKA_CONTROLLER_PORT=$(free_port)
	KAFKA_USERNAME=kapture
	KAFKA_PASSWORD=$(secret)
	POSTGRES_HOST=127.0.0.1
	POSTGRES_PORT=$(free_port)
	POSTGRES_DATABASE=kapture
	POSTGRES_USER=kapture
	POSTGRES_PASSWORD=$(secret)
	REDIS_HOST=127.0.0.1
	REDIS_PORT=$(free_port)
	REDIS_PASSWORD=$(secret)
	END
  )
  . "$file"
}

# write_env: writes servers.env atomically.
write_env() (
  umask 077
  {
    echo "KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:$KAFKA_PORT"
    grep -v '^KAFKA_.*PORT=' "$DIRECTORY/settings"
    for server in "${all[@]}"; do echo "${server^^}_PID=$(pid_of "$server" || true)"; done
  } >"$DIRECTORY/servers.env.$$"
  mv "$DIRECTORY/servers.env.$$" "$DIRECTORY/servers.env"
)
