#!/bin/sh
# Creates the service's account. The entrypoint of the mysql image runs this script once, after schema.sql.
set -eu
# printf is a builtin of the shell. As an argument of a program, the password would be visible to all users of the host.
{
  printf "SET @password = '%s';\n" "$(cat "$DB_PASSWORD_FILE")"
  cat /db/account.sql
} | MYSQL_PWD=$MYSQL_ROOT_PASSWORD mysql --user=root
