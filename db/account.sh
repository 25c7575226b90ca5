#!/bin/sh
# Creates the service's account, or sets its password. MySQL's container runs this script after schema.sql and at each
# start. From then on the data of a first start are complete.
set -eu
# printf is a builtin of the shell. As an argument of a program, the password would be visible to all users of the host.
{
  printf "SET @password = '%s';\n" "$(cat "$DB_PASSWORD_FILE")"
  cat /db/account.sql
} | MYSQL_PWD=$MYSQL_ROOT_PASSWORD mysql --user=root
rm -f "$UNFINISHED"
