# PostgreSQL with one superuser and its database, reachable only over TCP.

# It refuses to run as root, and needs a user with a name: root runs it as `nobody`, with access to root's files.
unprivileged=()
[ "$(id -u)" != 0 ] || unprivileged=(setpriv --reuid=nobody --regid=nogroup --clear-groups "--inh-caps=-all,+dac_override" "--ambient-caps=-all,+dac_override" --securebits=+no_setuid_fixup)

start_postgres() {
  local bin home=$DIRECTORY/postgres
  bin=$("$REPOSITORY/ci/fetch/debian")/bin
  mkdir -p "$home"
  [ -e "$home/data" ] || initialise_postgres "$bin" "$home" >"$home/initdb.log" 2>&1 \
    || die "PostgreSQL's data can't be initialised: $(tail -n 5 "$home/initdb.log")"
  # Our server no longer runs, and another process may have its pid by now.
  rm -f "$home/data/postmaster.pid"
  # JIT would need LLVM, which is as large as everything else together.
  launch postgres "${unprivileged[@]}" "$bin/postgres" -D "$home/data" -p "$POSTGRES_PORT" -c listen_addresses=127.0.0.1 \
    -c unix_socket_directories= -c jit=off -c max_connections=200
}

# initialise_postgres BIN HOME: creates HOME/data, completely or not at all.
initialise_postgres() {
  rm -rf "$2/new"
  TZ=UTC "${unprivileged[@]}" "$1/initdb" --pgdata="$2/new" --username="$POSTGRES_USER" --pwfile=<(echo "$POSTGRES_PASSWORD") \
    --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-sync &&
    "${unprivileged[@]}" "$1/postgres" --single -D "$2/new" -c jit=off postgres <<<"create database $POSTGRES_DATABASE" &&
    mv "$2/new" "$2/data"
}

ready_postgres() {
  PGPASSWORD=$POSTGRES_PASSWORD "$("$REPOSITORY/ci/fetch/debian")/bin/psql" --host=127.0.0.1 --port="$POSTGRES_PORT" \
    --username="$POSTGRES_USER" --dbname="$POSTGRES_DATABASE" --command='select 1' >/dev/null 2>&1
}

# Fast shutdown: TERM would wait for clients to disconnect.
signal_postgres() { echo INT; }
