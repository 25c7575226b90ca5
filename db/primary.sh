#!/bin/bash
# Gives a statement to the primary of a MySQL group: bash primary.sh SOCKET… -- MYSQL [OPTION…] STATEMENT_OPTION
#   SOCKET…           the sockets of all members
#   MYSQL…            the command line of the mysql client, as root
#   STATEMENT_OPTION  the last argument: --execute=STATEMENT
set -eu
sockets=()
while [ "$1" != -- ]; do
    sockets+=("$1")
    shift
done
mysql=("${@:2:$#-2}")
role="SELECT member_role FROM performance_schema.replication_group_members
      WHERE member_id = @@server_uuid AND member_state = 'ONLINE'"
for socket in "${sockets[@]}"; do
    if [ "$(timeout 2 "${mysql[@]}" --socket="$socket" --skip-column-names --execute="$role" 2> /dev/null)" = PRIMARY ]; then
        exec "${mysql[@]}" --socket="$socket" "${@: -1}"
    fi
done
exit 1
