#!/bin/sh
# Starts Postgres; on a new volume it first makes the cluster, the user and the database, all called kapture.
set -eu
umask 077
config=/etc/postgresql
data=/var/lib/postgresql/data/pgdata
new=$data.new

if [ ! -e $data ]; then
  # Made beside its place and moved there when it is complete, so that a kill in the middle starts again.
  rm -rf $new
  initdb --pgdata=$new --username=postgres --auth-local=peer --auth-host=scram-sha-256 \
    --encoding=UTF8 --locale=C --data-checksums
  echo "host kapture kapture all scram-sha-256" >>$new/pg_hba.conf
  password=$(printf %s "$POSTGRES_PASSWORD" | sed "s/'/''/g")
  printf '%s\n' "CREATE ROLE kapture LOGIN PASSWORD '$password';" "CREATE DATABASE kapture OWNER kapture;" |
    postgres --single -D $new -c exit_on_error=on -c log_statement=none postgres >/dev/null
  sync
  mv $new $data
fi

# There is never a stale postmaster.pid in the way: as the container's first process, Postgres knows its own number.
exec postgres -D $data -c config_file=$config/postgresql.conf -c hba_file=$data/pg_hba.conf -c ident_file=$data/pg_ident.conf
