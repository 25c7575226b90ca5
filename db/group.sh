#!/bin/bash
# Keeps the members of a MySQL group together: bash group.sh STATE SOCKET… -- MYSQL [OPTION…]
#   STATE    a directory with the files db_password and group_password, and with the marks of cloned members
#   SOCKET…  the sockets of all members, in the order of their numbers
#   MYSQL…   the command line of the mysql client, as root; all members have the same password of root
# Once a second, the script looks at all members until it is killed:
# 1. If a group serves, the script starts the members that are outside it. A member that the group's binary logs cannot
#    bring up to date is cloned, and its full-text index is made again before it serves: a clone may lack rows of it.
# 2. If no member serves, and all of them answer, the script compares their transactions: those executed, and those that
#    the group had accepted and the member had not applied yet. A member that has all of them starts the group.
# 3. Otherwise the script does nothing, and says which members it waits for, or which member has which transactions.
# 4. On the primary, the script makes the tables and the service's account, and upgrades the tables of an older release.
# If a member's data are lost, start without the member: its people are then those of the others.
set -u
state=$1
shift
sockets=()
while [ "$1" != -- ]; do
    sockets+=("$1")
    shift
done
mysql=("${@:2}")
db=$(dirname "$0")
group_password=$(< "$state/group_password")
login="USER = 'grupo', PASSWORD = '$group_password'"
open=$(sed -n '/^SET GLOBAL offline_mode/,/;$/p' "$db/start.sql") # online, but for a server without the settings of my.cnf
group=72696e68-6100-4000-8000- # how the GTIDs of member.cnf and of `adopt` begin
wanted="$(grep -o 'schema [0-9]*' "$db/schema.sql" | tail -n 1), 5, 0" # what `look` reads of the tables of this release
no_tables='0, 0'
said=
preparation= # process id
declare -A joins=() # process ids by member

say() { # each message once, until another is said
    [ "$1" = "$said" ] || echo "group: $1" >&2
    said=$1
}

sql() { # MEMBER, and statements as standard input
    "${mysql[@]}" --socket="${sockets[$1]}" --batch --skip-column-names --raw --connect-timeout=2
}

ask() { # MEMBER STATEMENTS; a member that is paused does not hold up the others for long
    timeout 5 "${mysql[@]}" --socket="${sockets[$1]}" --batch --skip-column-names --raw --connect-timeout=2 \
        2> /dev/null <<< "$2"
}

look() { # fills the arrays below, one element for each member; "away" is the state of a member that does not answer
    states=() roles=() quorums=() offline=() purged=() executed=() all=() schemas=() addresses=() ids=() views=() grants=() seeds=()
    local member line
    for member in "${!sockets[@]}"; do
        line=$(ask "$member" "
            SELECT CONCAT_WS('|', member_state, member_role, @@GLOBAL.offline_mode,
                CONCAT(@@GLOBAL.report_host, ':', @@GLOBAL.port), member_id, @@GLOBAL.group_replication_local_address,
                (SELECT GROUP_CONCAT(member_id) FROM performance_schema.replication_group_members),
                (SELECT COUNT(*) > 2 * SUM(member_state = 'UNREACHABLE')
                 FROM performance_schema.replication_group_members),
                CONCAT_WS(', ',
                    (SELECT table_comment FROM information_schema.tables
                     WHERE (table_schema, table_name) = ('rinha', 'pessoas')),
                    (SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema = 'rinha'
                     AND (action_timing = 'AFTER' OR action_statement LIKE '%WEIGHT_STRING%')),
                    (SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'rinha_nova')),
                (SELECT COUNT(*) FROM mysql.tables_priv WHERE table_name = 'replication_group_members'),
                REPLACE(@@GLOBAL.gtid_purged, '\n', ''), REPLACE(@@GLOBAL.gtid_executed, '\n', ''),
                (SELECT REPLACE(received_transaction_set, '\n', '')
                 FROM performance_schema.replication_connection_status
                 WHERE channel_name = 'group_replication_applier'))
            FROM performance_schema.replication_group_members WHERE member_id = @@server_uuid")
        IFS='|' read -r "states[$member]" "roles[$member]" "offline[$member]" "addresses[$member]" \
            "ids[$member]" "seeds[$member]" "views[$member]" "quorums[$member]" "schemas[$member]" "grants[$member]" "purged[$member]" \
            "executed[$member]" received <<< "${line:-away}"
        all[member]=${executed[member]},$received
    done
}

has_all() { # MEMBER GTIDS GTIDS: whether the first set is in the second
    [ "$(ask "$1" "SELECT GTID_SUBSET('$2', '$3')")" = 1 ]
}

primary() { # prints the member that is the primary of a group with a majority; nothing while two members say so
    local member found=()
    for member in "${!sockets[@]}"; do
        [ "${states[member]} ${roles[member]} ${quorums[member]}" != "ONLINE PRIMARY 1" ] || found+=("$member")
    done
    [ ${#found[@]} != 1 ] || echo "${found[0]}"
}

forget_initialisation() { # a member that was in no group, and has no people, has executed its own initialisation only
    local member
    for member in "${!sockets[@]}"; do
        if [ "${states[member]}, ${schemas[member]}" = "OFFLINE, $no_tables" ] && [ "${all[member]}" != , ] &&
            [[ ${all[member]} != *"$group"* ]]; then
            sql "$member" <<< "RESET BINARY LOGS AND GTIDS"
            all[member]=, executed[member]= purged[member]=
        fi
    done
}

make_account() { # MEMBER: the account with which members log in to each other; each member makes its own
    [ "$(ask "$1" "SELECT COUNT(*) FROM mysql.user WHERE user = 'grupo'")" = 0 ] && sql "$1" << SQL
        SET GLOBAL super_read_only = OFF;
        SET sql_log_bin = OFF;
        CREATE USER grupo IDENTIFIED BY '$group_password' REQUIRE SSL;
        GRANT REPLICATION SLAVE, CONNECTION_ADMIN, BACKUP_ADMIN, GROUP_REPLICATION_STREAM ON *.* TO grupo;
        SET GLOBAL super_read_only = ON;
SQL
}

start() { # MEMBER SEED: ends what is left of an earlier membership, and joins the group, or makes it if that is asked for
    local port=$((20000 + RANDOM % 1300 * 9 + $1)) # differs between members that start at once
    [ "${states[$1]}" = OFFLINE ] || sql "$1" <<< "STOP GROUP_REPLICATION"
    make_account "$1"
    # The port for messages is another one each time. The group still has broken connections to the old port of a killed
    # member. With the old port, the member needs 8 s to join, and messages of the group are slow meanwhile. A new one: 1 s.
    sql "$1" << SQL
        SET GLOBAL group_replication_local_address = '${addresses[$1]%:*}:$port';
        SET GLOBAL group_replication_group_seeds = '$2';
        START GROUP_REPLICATION $login;
        $open
SQL
}

adopt() { # MEMBER: its people were stored without a group, so no binary log has them: others must clone the member
    sql "$1" << SQL
        SET GLOBAL super_read_only = OFF;
        RESET BINARY LOGS AND GTIDS;
        SET GLOBAL gtid_purged = '72696e68-6100-4000-8000-000000000002:1';
        SET GLOBAL super_read_only = ON;
SQL
}

form() { # starts the group with the member that has all transactions
    local member other first='' without_gtids=()
    for member in "${!sockets[@]}"; do
        [ "${states[member]}" != away ] || { say "waiting for member $((member + 1)): no member serves yet" && return; }
        [ "${schemas[member]}" = "$no_tables" ] || [ "${all[member]}" != , ] || without_gtids+=("$member")
    done
    if ((${#without_gtids[@]})); then
        for member in "${!sockets[@]}"; do
            if [ "$member" != "${without_gtids[0]}" ] && [ "${schemas[member]}" != "$no_tables" ]; then
                say "refusing to start: members $((without_gtids[0] + 1)) and $((member + 1)) have different people"
                return
            fi
        done
        adopt "${without_gtids[0]}"
        return
    fi
    for member in "${!sockets[@]}"; do
        for other in "${!sockets[@]}"; do
            has_all "$member" "${all[other]}" "${all[member]}" || continue 2
        done
        first=$member
        break
    done
    if [ -z "$first" ]; then
        say "refusing to start: no member has all transactions: $(for member in "${!sockets[@]}"; do
            echo -n "member $((member + 1)) has ${all[member]}; "
        done)"
        return
    fi
    say "member $((first + 1)) has all transactions and starts the group: ${all[first]}"
    # The setting is not in a file, and is taken back whether or not the start succeeds.
    sql "$first" <<< "SET GLOBAL group_replication_bootstrap_group = ON"
    start "$first" ''
    sql "$first" <<< "SET GLOBAL group_replication_bootstrap_group = OFF"
}

clone() { # MEMBER PRIMARY: replaces the member's data; the member ends then, and its supervisor starts it again
    echo "group: member $(($1 + 1)) is cloned from member $(($2 + 1))" >&2
    touch "$state/clone.$1"
    make_account "$1"
    sql "$1" << SQL 2> /dev/null
        SET GLOBAL super_read_only = OFF;
        SET GLOBAL clone_valid_donor_list = '${addresses[$2]}';
        CLONE INSTANCE FROM 'grupo'@'${addresses[$2]%:*}':${addresses[$2]##*:}
            IDENTIFIED BY '$group_password' REQUIRE SSL;
SQL
    sleep 2
}

rebuild() { # MEMBER: makes the full-text index of a cloned member
    echo "group: member $(($1 + 1)) makes its full-text index" >&2
    sql "$1" << SQL && rm -f "$state/clone.$1"
        SET GLOBAL super_read_only = OFF;
        SET sql_log_bin = OFF;
        ALTER TABLE rinha.pessoas FORCE;
        SET GLOBAL super_read_only = ON;
SQL
}

join() { # MEMBER PRIMARY
    if ! has_all "$2" "${executed[$1]}" "${all[$2]}"; then
        say "member $(($1 + 1)) stays outside: it has transactions that the group does not have: ${executed[$1]}"
    elif ! has_all "$2" "${purged[$2]}" "${executed[$1]}"; then
        [ "${states[$1]}" = OFFLINE ] || sql "$1" <<< "STOP GROUP_REPLICATION"
        clone "$1" "$2"
    elif [ ! -e "$state/clone.$1" ] || rebuild "$1"; then
        start "$1" "${seeds[$2]}"
    fi
}

prepare() { # PRIMARY: makes or upgrades the tables, and then the service's account
    if [ "${schemas[$1]}" = "$no_tables" ]; then
        { echo "CREATE DATABASE IF NOT EXISTS rinha; USE rinha;" && cat "$db/schema.sql"; } | sql "$1" || return
    fi
    bash "$db/upgrade.sh" "$db/schema.sql" "${mysql[@]}" --socket="${sockets[$1]}" >&2 || return
    # The service asks each member whether it is in the group.
    sql "$1" << SQL
        SET @password = '$(< "$state/db_password")';
        $(< "$db/account.sql")
        GRANT SELECT ON performance_schema.replication_group_members TO 'rinha'@'%';
SQL
}

mend() { # PRIMARY
    local member
    if [ "${schemas[$1]}, ${grants[$1]}" != "$wanted, 1" ]; then
        if ! kill -0 "${preparation:-none}" 2> /dev/null; then
            { prepare "$1" || sleep 5; } &
            preparation=$!
        fi
        return # no member is cloned while tables are copied
    fi
    for member in "${!sockets[@]}"; do
        case ${states[member]} in
            ONLINE) [ "${offline[member]}" = 0 ] || ask "$member" "$open" ;;
            OFFLINE | ERROR)
                # A member that was killed is in the group until it is expelled. A start before that takes a minute.
                if [[ ",${views[$1]}," != *",${ids[member]},"* ]] && ! kill -0 "${joins[$member]:-none}" 2> /dev/null; then
                    join "$member" "$1" &
                    joins[$member]=$!
                fi ;;
        esac
    done
}

trap 'kill $(jobs -p) 2> /dev/null; exit' TERM INT
while true; do
    look
    forget_initialisation
    if first=$(primary) && [ "$first" ]; then
        said=
        mend "$first"
    elif [[ " ${states[*]} " != *" ONLINE "* && " ${states[*]} " != *" RECOVERING "* ]]; then
        form
    fi
    sleep 1 &
    wait $!
done
