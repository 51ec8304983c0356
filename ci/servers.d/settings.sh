# Ports and passwords: chosen once for a directory and kept there, and published with the pids in servers.env.

secret() { od -An -N12 -tx1 /dev/urandom | tr -d ' \n'; }

# free_port: below the range from which outgoing connections take theirs, so that it is still free after a restart.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 10000))
    listening "$port" || { echo "$port"; return; }
  done
}

# settings: reads them, and makes them first where there are none.
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

# write_env: servers.env, whole at any moment.
write_env() (
  umask 077
  {
    echo "KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:$KAFKA_PORT"
    grep -v '^KAFKA_.*PORT=' "$DIRECTORY/settings"
    for server in "${all[@]}"; do echo "${server^^}_PID=$(pid_of "$server" || true)"; done
  } >"$DIRECTORY/servers.env.$$"
  mv "$DIRECTORY/servers.env.$$" "$DIRECTORY/servers.env"
)
