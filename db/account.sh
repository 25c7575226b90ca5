#!/bin/sh
# Creates the service's account; the mysql image runs this once, after schema.sql.
set -eu
# The shell itself writes the password down for sed: as an argument, everybody on the host could read it.
printf 's/@password@/%s/' "$(cat "$DB_PASSWORD_FILE")" |
  sed -f /dev/stdin /docker-entrypoint-initdb.d/account.template |
  MYSQL_PWD=$MYSQL_ROOT_PASSWORD mysql --user=root
