#!/bin/sh
# Once, when the database is made: an account for Likeness that owns its own database and nothing else.
set -eu
PASSWORD_FILE=${PASSWORD_FILE:-/run/secrets/postgres_likeness}
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=password="$(cat "$PASSWORD_FILE")" \
    --username="${POSTGRES_USER:-postgres}" --dbname="${POSTGRES_DB:-postgres}" <<'SQL'
CREATE ROLE likeness LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
CREATE DATABASE likeness OWNER likeness;
REVOKE ALL ON DATABASE likeness FROM PUBLIC;
\connect likeness
CREATE EXTENSION IF NOT EXISTS vector;
SQL
