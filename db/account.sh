#!/bin/sh
# Creates the service's account; the mysql image runs this once, after schema.sql.
set -eu
sed "s/@password@/$(cat /run/secrets/db_password)/" /docker-entrypoint-initdb.d/account.template |
  MYSQL_PWD="$(cat "$MYSQL_ROOT_PASSWORD_FILE")" mysql --user=root
