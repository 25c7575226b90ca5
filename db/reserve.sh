#!/bin/bash
# Keeps a reserve of disk beside MySQL in its container, as ops/stack/supervisor.py does on a host (and says why): with little left
# nobody is stored, and once there is room again the table is made anew. Looks once a second; ends with the container.
set -u
reserve=$((256 << 20)) mark=/var/run/mysqld/index.suspect suspect=
[ -e $mark ] && suspect=yes

as_root() { # seconds (0: as long as it takes), statements
    MYSQL_PWD=$(< /var/run/mysqld/root_password) timeout "$1" mysql --user=root --execute="$2" 2> /dev/null
}

while sleep 1; do
    free=$(($(stat --file-system --format='%a * %S' /var/lib/mysql)))
    if ((free < reserve)); then
        [ $suspect ] || echo "reserve: less than 256 MB are left on the disk; nobody is stored until there is more" >&2
        suspect=yes
        touch $mark # should the container be killed
        as_root 5 "SET GLOBAL read_only = ON" # each time, as it may have been restarted
    elif [ $suspect ] && ((free > reserve * 9 / 8)); then
        as_root 0 "SET GLOBAL read_only = ON; ALTER TABLE rinha.pessoas FORCE; SET GLOBAL read_only = OFF" || continue
        suspect=
        rm -f $mark
        echo "reserve: there is room on the disk again, and the full-text index is whole" >&2
    fi
done
