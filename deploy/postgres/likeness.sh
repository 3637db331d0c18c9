#!/bin/sh
# Once, when the database is made: an account for Likeness that owns its own database and nothing else.
set -eu
export PASSWORD_FILE="${PASSWORD_FILE:-/run/secrets/postgres_likeness}"
# The password is read within psql: on the command line every account of the machine would see it.
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 \
    --username="${POSTGRES_USER:-postgres}" --dbname="${POSTGRES_DB:-postgres}" <<'SQL'
\set password `cat "$PASSWORD_FILE"`
CREATE ROLE likeness LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
CREATE DATABASE likeness OWNER likeness;
REVOKE ALL ON DATABASE likeness FROM PUBLIC;
\connect likeness
CREATE EXTENSION IF NOT EXISTS vector;
SQL
