#!/bin/bash
# Upgrades the tables of an older release to the schema of this release: bash upgrade.sh SCHEMA MYSQL [OPTION…]
#   SCHEMA  the path of schema.sql
#   MYSQL…  the command line of the mysql client, as root
# 1. MySQL becomes read-only; it answers reads during the upgrade.
# 2. The people are copied to new tables in the database rinha_nova, which builds a new full-text index.
# 3. The new tables replace the old ones, and MySQL accepts writes again.
# The script can be killed at any point; the next run continues. It exits 0 if the tables have the schema.
set -euo pipefail
schema=$1 mysql=("${@:2}")

sql() { "${mysql[@]}" --batch --skip-column-names --default-character-set=utf8mb4 "$@"; }
ask() { sql --execute="$1"; }
wanted=$(grep -o 'schema [0-9]*' "$schema" | tail -n 1)

found=$(ask "SELECT table_comment FROM information_schema.tables WHERE (table_schema, table_name) = ('rinha', 'pessoas')")
triggers=$(ask "SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema = 'rinha'
                AND (action_timing = 'AFTER' OR action_statement LIKE '%WEIGHT_STRING%')") # release 1.0.0 estimated codes
copies=$(ask "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'rinha_nova'")
if [ "$found, $triggers, $copies" = "$wanted, 5, 0" ]; then
    exit 0
fi
ask "SET GLOBAL read_only = ON"

if [ "$found" != "$wanted" ]; then
    case $found in schema\ [1-5]) ;; *)
        echo "the database has ${found:-no schema}, which this release (${wanted}) does not know; start that release"
        exit 1 ;;
    esac
    total=$(ask "SELECT COUNT(*) FROM rinha.pessoas")
    # The new tables are a little larger: they have one column more, and the index has entries of canary rows.
    needed=$(ask "SELECT SUM(file_size) * 11 DIV 10 DIV 1048576 FROM information_schema.innodb_tablespaces WHERE name LIKE 'rinha/%'")
    directory=$(ask "SELECT @@datadir")
    free=$(($(stat --file-system --format='%a * %S' "$directory") >> 20))
    echo "upgrading $total people from $found to $wanted: takes about $((total / 5000 / 60 + 1)) min and $needed MB of $free MB free"
    if ((copies == 0 && free < needed + 256)); then
        echo "the disk of $directory must have $((needed + 256)) MB free for the upgrade; until then no person is stored"
        exit 1
    fi
    ask "CREATE DATABASE IF NOT EXISTS rinha_nova CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci"
    sql rinha_nova < "$schema"
    shown=$SECONDS
    while
        copied=$(ask "
            INSERT INTO rinha_nova.pessoas (id, apelido, nome, nascimento, stack)
            SELECT id, apelido, nome, nascimento, stack FROM rinha.pessoas
            WHERE id > (SELECT COALESCE(MAX(id), '') FROM rinha_nova.pessoas) ORDER BY id LIMIT 2000;
            SELECT ROW_COUNT(), pessoas FROM rinha_nova.contagem") || exit 1 # set -e does not apply in a condition
        [ "${copied%%$'\t'*}" != 0 ]
    do
        if ((SECONDS - shown >= 5)); then
            echo "upgrading: ${copied#*$'\t'} of $total people"
            shown=$SECONDS
        fi
    done
    # upgrade.sql fails if people were stored while they were copied: a restart of MySQL ends its read-only mode.
    sql < "$(dirname "$0")/upgrade.sql" || {
        complete=$(ask "SELECT pessoas = (SELECT COUNT(*) FROM rinha.pessoas) FROM rinha_nova.contagem")
        [ "$complete" = 0 ] || exit 1
        echo "people were stored while they were copied: starting over"
        ask "DROP DATABASE rinha_nova"
        exec bash "$0" "$@"
    }
fi
ask "GRANT SELECT ON rinha.contagem TO 'rinha'@'%'"
sql rinha < "$schema"
ask "DROP DATABASE IF EXISTS rinha_nova; SET GLOBAL read_only = OFF"
echo "the data has $wanted"
