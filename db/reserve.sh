#!/bin/bash
# Keeps a reserve of free disk space for MySQL: bash reserve.sh MARK DATA… -- MYSQL [OPTION…]
#   MARK    a file that exists while the full-text index may lack rows
#   DATA…   the data directory of each server: of one, or of all members of a group
#   MYSQL…  the command line of the mysql client, as root; of a group, the command line that reaches the primary
# If a sync of InnoDB's full-text cache fails on a full disk, the next sync counts the failed one as done, and the index
# lacks its rows for ever. Therefore MySQL becomes read-only while less than the reserve is free. Once there is room
# again, the table is rebuilt and MySQL accepts writes. The script checks once a second until it is killed.
# Every member of a group writes what the primary accepts. So the primary is read-only while the disk of any member is
# nearly full, and the group repeats the rebuild on each member. Members on the same disk each have their reserve there.
set -u
mark=$1
shift
directories=()
while [ "$1" != -- ]; do
    directories+=("$1")
    shift
done
mysql=("${@:2}")
log=$(readlink "/proc/$$/fd/2") # of ./rinha up --detach
[ -f "$log" ] || log=
reserve=$((256 << 20)) # bytes for each server: three times what a sync of the full cache writes
suspect=
[ -e "$mark" ] && suspect=yes
# The rebuild needs room on each disk, so the next look must not come before all members have finished it.
wait=
((${#directories[@]} == 1)) || wait="SET SESSION group_replication_consistency = 'AFTER'; "

as_root() { # TIMEOUT in seconds or 0 for none, STATEMENTS
    timeout "$1" "${mysql[@]}" --execute="$2" 2> /dev/null
}

look() { # of the disk with the least room: `free` bytes for each server, the number of `servers`, and a directory `full`
    local -A count=() # of servers on each disk; file systems that share their room, as of btrfs or ZFS, count as disks
    local disk blocks size member disks=() sizes=() members=()
    while read -r disk blocks size member; do
        disks+=("$disk") sizes+=($((blocks * size))) members+=("$member")
        count[$disk]=$((${count[$disk]:-0} + 1))
    done < <(stat --file-system --format='%i %a %S %n' "${directories[@]}")
    free=
    for member in "${!disks[@]}"; do
        size=$((sizes[member] / count[${disks[member]}]))
        if [ -z "$free" ] || ((size < free)); then
            free=$size servers=${count[${disks[member]}]} full=${members[member]}
        fi
    done
    [ "$free" ] # otherwise no directory is there
}

while sleep 1; do
    # If the log was renamed, continue in a new file of its name.
    [ -z "$log" ] || [ "$log" -ef "/proc/$$/fd/2" ] || exec >> "$log" 2>&1
    look || continue
    if ((free < reserve)); then
        [ $suspect ] || echo "reserve: less than $((servers * reserve >> 20)) MB are left on the disk; no person is stored until $(readlink -m "$full") has room" >&2
        suspect=yes
        touch "$mark" # for the next run of this script
        as_root 5 "SET GLOBAL read_only = ON" # every second, because a restart of MySQL ends it
    elif [ $suspect ] && ((free > reserve * 9 / 8)); then
        as_root 0 "SET GLOBAL read_only = ON; ${wait}ALTER TABLE rinha.pessoas FORCE; SET GLOBAL read_only = OFF" || continue
        suspect=
        rm -f "$mark"
        echo "reserve: there is room on the disk again; the full-text index is complete, and people are stored" >&2
    fi
done
