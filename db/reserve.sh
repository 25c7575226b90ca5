#!/bin/bash
# Keeps a reserve of disk beside MySQL: bash reserve.sh DATA MARK MYSQL [OPTION…], where DATA is a folder on its disk, MARK
# a file that remembers, and MYSQL the mysql client as root. With little left, nobody is stored; once there is room again,
# the table is made anew: a write of InnoDB's full-text cache that fails is taken for done by the next one, and search
# would never again find the people in it. Looks once a second, for ever.
set -u
data=$1 mark=$2 mysql=("${@:3}")
reserve=$((256 << 20)) # bytes: the full-text cache, written out, is a third of it
suspect=
[ -e "$mark" ] && suspect=yes

as_root() { # seconds (0: as long as it takes), statements
    timeout "$1" "${mysql[@]}" --execute="$2" 2> /dev/null
}

while sleep 1; do
    free=$(($(stat --file-system --format='%a * %S' "$data")))
    if ((free < reserve)); then
        [ $suspect ] || echo "reserve: less than 256 MB are left on the disk; nobody is stored until there is more" >&2
        suspect=yes
        touch "$mark" # should this be killed
        as_root 5 "SET GLOBAL read_only = ON" # each time, as MySQL may have been restarted
    elif [ $suspect ] && ((free > reserve * 9 / 8)); then
        as_root 0 "SET GLOBAL read_only = ON; ALTER TABLE rinha.pessoas FORCE; SET GLOBAL read_only = OFF" || continue
        suspect=
        rm -f "$mark"
        echo "reserve: there is room on the disk again, and the full-text index is whole" >&2
    fi
done
