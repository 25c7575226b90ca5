#!/bin/bash
# Keeps a reserve of free disk space for MySQL: bash reserve.sh DATA MARK MYSQL [OPTION…]
#   DATA    a directory on MySQL's disk
#   MARK    a file that exists while the full-text index may lack rows
#   MYSQL…  the command line of the mysql client, as root
# If a sync of InnoDB's full-text cache fails on a full disk, the next sync counts the failed one as done, and the index
# lacks its rows for ever. Therefore MySQL becomes read-only while less than the reserve is free. Once there is room
# again, the table is rebuilt and MySQL accepts writes. The script checks once a second until it is killed.
set -u
data=$1 mark=$2 mysql=("${@:3}")
log=$(readlink "/proc/$$/fd/2") # of ./rinha up --detach
[ -f "$log" ] || log=
reserve=$((${MEMBERS:-1} * 256 << 20)) # bytes: three times what a sync of the full cache writes, for each server
suspect=
[ -e "$mark" ] && suspect=yes

as_root() { # TIMEOUT in seconds or 0 for none, STATEMENTS
    timeout "$1" "${mysql[@]}" --execute="$2" 2> /dev/null
}

while sleep 1; do
    # If the log was renamed, continue in a new file of its name.
    [ -z "$log" ] || [ "$log" -ef "/proc/$$/fd/2" ] || exec >> "$log" 2>&1
    free=$(($(stat --file-system --format='%a * %S' "$data")))
    if ((free < reserve)); then
        [ $suspect ] || echo "reserve: less than $((reserve >> 20)) MB are left on the disk; no person is stored until $data has room" >&2
        suspect=yes
        touch "$mark" # for the next run of this script
        as_root 5 "SET GLOBAL read_only = ON" # every second, because a restart of MySQL ends it
    elif [ $suspect ] && ((free > reserve * 9 / 8)); then
        as_root 0 "SET GLOBAL read_only = ON; ALTER TABLE rinha.pessoas FORCE; SET GLOBAL read_only = OFF" || continue
        suspect=
        rm -f "$mark"
        echo "reserve: there is room on the disk again; the full-text index is complete, and people are stored" >&2
    fi
done
