#!/bin/sh
# Starts Postgres. On a new volume, it first creates the database cluster, and the user and the database `kapture`.
set -eu
umask 077
export LC_ALL=C
# As process 1, a shell ignores these signals unless they are trapped.
trap 'exit 143' TERM INT
config=/etc/kapture
data=/var/lib/postgresql/data/pgdata
new=$data.new
known=$data.password
# In a shared process namespace, processes of a server that was killed may still be writing. No other pod has this volume.
while grep -qsx postgres /proc/[0-9]*/comm; do sleep 0.2; done
# Both hold a process id from before a restart, which another process may have now: Postgres would take it for a running server.
rm -f $data/postmaster.pid /var/run/postgresql/.s.PGSQL.5432.lock
# For the probe's test writes. The server starts even if the disk is too full for it.
mkdir -p ${data%/*}/probe || true
. $config/password.sh
password=$(cleaned "$POSTGRES_PASSWORD")
literal=$(printf %s "$password" | sed "s/'/''/g")
hash=$(printf %s "$password" | sha256sum | cut -d' ' -f1)

# Postgres needs a name for its user id. An id chosen by the platform has none, so use the library that the official image has for this.
if ! getent passwd "$(id -u)" >/dev/null; then
  library=$(find /usr/lib -name libnss_wrapper.so 2>/dev/null | head -n 1)
  [ -n "$library" ] || { echo "user id $(id -u) has no name in this image, and the image has no libnss_wrapper: use the official image, or user id 999" >&2; exit 1; }
  NSS_WRAPPER_PASSWD=/var/run/postgresql/passwd
  NSS_WRAPPER_GROUP=/var/run/postgresql/group
  echo "postgres:x:$(id -u):$(id -g):PostgreSQL:$data:/bin/false" >$NSS_WRAPPER_PASSWD
  echo "postgres:x:$(id -g):" >$NSS_WRAPPER_GROUP
  export NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP LD_PRELOAD="$library"
fi

# single DIRECTORY: runs SQL from stdin, one statement per line, without a server.
single() { postgres --single -D "$1" -c exit_on_error=on -c log_statement=none postgres >/dev/null; }

if [ ! -e $data ]; then
  # Created next to its final place and moved there when complete, so that after a kill it starts over.
  rm -rf $new
  initdb --pgdata=$new --username=postgres --auth-local=peer --auth-host=scram-sha-256 \
    --encoding=UTF8 --locale=C --data-checksums
  echo "host kapture kapture all scram-sha-256" >>$new/pg_hba.conf
  printf '%s\n' "CREATE ROLE kapture LOGIN PASSWORD '$literal';" "CREATE DATABASE kapture OWNER kapture;" | single $new
  echo "$hash" >$known
  sync
  mv $new $data
elif [ "$(cat $known 2>/dev/null)" != "$hash" ]; then
  echo "the password in the Secret has changed: setting it for the user kapture"
  printf '%s\n' "ALTER ROLE kapture PASSWORD '$literal';" | single $data
  echo "$hash" >$known
fi

exec postgres -D $data -c config_file=$config/postgresql.conf -c hba_file=$data/pg_hba.conf -c ident_file=$data/pg_ident.conf
