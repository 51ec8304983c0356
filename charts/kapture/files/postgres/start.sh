#!/bin/sh
# Starts Postgres; on a new volume it first makes the cluster, the user and the database, all called kapture.
set -eu
umask 077
export LC_ALL=C
# As the first process, a shell would not end before it becomes Postgres.
trap 'exit 143' TERM INT
config=/etc/kapture
data=/var/lib/postgresql/data/pgdata
new=$data.new
known=$data.password
. $config/password.sh
password=$(cleaned "$POSTGRES_PASSWORD")
literal=$(printf %s "$password" | sed "s/'/''/g")
hash=$(printf %s "$password" | sha256sum | cut -d' ' -f1)

# Postgres wants a name for its user id, and a platform that chose the id gave it none: the official image brings a library for that.
if ! getent passwd "$(id -u)" >/dev/null; then
  library=$(find /usr/lib -name libnss_wrapper.so 2>/dev/null | head -n 1)
  [ -n "$library" ] || { echo "user id $(id -u) has no name in this image, nor has it libnss_wrapper: use the official image, or user id 999" >&2; exit 1; }
  NSS_WRAPPER_PASSWD=/var/run/postgresql/passwd
  NSS_WRAPPER_GROUP=/var/run/postgresql/group
  echo "postgres:x:$(id -u):$(id -g):PostgreSQL:$data:/bin/false" >$NSS_WRAPPER_PASSWD
  echo "postgres:x:$(id -g):" >$NSS_WRAPPER_GROUP
  export NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP LD_PRELOAD="$library"
fi

# single DIRECTORY: runs SQL from stdin, a statement a line, before the server is up.
single() { postgres --single -D "$1" -c exit_on_error=on -c log_statement=none postgres >/dev/null; }

if [ ! -e $data ]; then
  # Made beside its place and moved there when it is complete, so that a kill in the middle starts again.
  rm -rf $new
  initdb --pgdata=$new --username=postgres --auth-local=peer --auth-host=scram-sha-256 \
    --encoding=UTF8 --locale=C --data-checksums
  echo "host kapture kapture all scram-sha-256" >>$new/pg_hba.conf
  printf '%s\n' "CREATE ROLE kapture LOGIN PASSWORD '$literal';" "CREATE DATABASE kapture OWNER kapture;" | single $new
  echo "$hash" >$known
  sync
  mv $new $data
elif [ "$(cat $known 2>/dev/null)" != "$hash" ]; then
  echo "the password in the Secret is new: it becomes that of the user kapture"
  printf '%s\n' "ALTER ROLE kapture PASSWORD '$literal';" | single $data
  echo "$hash" >$known
fi

# There is never a stale postmaster.pid in the way: as the container's first process, Postgres knows its own number.
exec postgres -D $data -c config_file=$config/postgresql.conf -c hba_file=$data/pg_hba.conf -c ident_file=$data/pg_ident.conf
