#!/bin/sh
# Creates the service's account; the mysql image runs this once, after schema.sql.
set -eu
# The shell itself writes the password down: as an argument, everybody on the host could read it.
{
  printf "SET @password = '%s';\n" "$(cat "$DB_PASSWORD_FILE")"
  cat /db/account.sql
} | MYSQL_PWD=$MYSQL_ROOT_PASSWORD mysql --user=root
