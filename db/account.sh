#!/bin/sh
# Creates the service's account; the mysql image runs this once, after schema.sql.
set -eu
sed "s/@password@/$(cat "$DB_PASSWORD_FILE")/" /docker-entrypoint-initdb.d/account.template |
  MYSQL_PWD=$MYSQL_ROOT_PASSWORD mysql --user=root
