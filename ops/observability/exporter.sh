#!/bin/sh
# Makes MySQL's account for the exporter, or gives the account a new password, and writes the exporter's configuration.
#
#   exporter.sh FILE SOCKET MYSQL…    MYSQL is the command line of a client of MySQL's root
#
# The account has no privilege (USAGE): global status and variables need none.
set -eu
umask 077
file=$1 socket=$2
shift 2
password=$(head -c 32 /dev/urandom | sha256sum | cut -c 1-64)
# printf is a builtin of the shell. As an argument of a program, the password would be visible to all users of the host.
printf '%s\n' \
  "CREATE USER IF NOT EXISTS 'exporter'@'localhost';" \
  "ALTER USER 'exporter'@'localhost' IDENTIFIED BY '$password' WITH MAX_USER_CONNECTIONS 3;" | "$@"
printf '[client]\nuser = exporter\npassword = %s\nsocket = %s\n' "$password" "$socket" > "$file.new"
mv "$file.new" "$file"
