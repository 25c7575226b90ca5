#!/bin/bash
# Brings the data of an older release to the schema of this one: bash upgrade.sh SCHEMA.SQL MYSQL [OPTION…], where the
# latter is the mysql client as root. Copies the people into new tables in the database rinha_nova, which makes the
# full-text index anew, then puts these in the place of the old ones. MySQL refuses changes meanwhile and answers reads.
# May be killed at any point and run again. Exits 0 if the data has the schema, however that came.
set -euo pipefail
schema=$1 mysql=("${@:2}")

sql() { "${mysql[@]}" --batch --skip-column-names --default-character-set=utf8mb4 "$@"; }
ask() { sql --execute="$1"; }
wanted=$(grep -o 'schema [0-9]*' "$schema" | tail -n 1)

found=$(ask "SELECT table_comment FROM information_schema.tables WHERE (table_schema, table_name) = ('rinha', 'pessoas')")
triggers=$(ask "SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema = 'rinha'")
copies=$(ask "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'rinha_nova'")
if [ "$found, $triggers, $copies" = "$wanted, 5, 0" ]; then
    exit 0
fi
ask "SET GLOBAL read_only = ON"

if [ "$found" != "$wanted" ]; then
    case $found in schema\ [1-5]) ;; *)
        echo "the database has ${found:-no schema}, which this release (${wanted}) does not know"
        exit 1 ;;
    esac
    total=$(ask "SELECT COUNT(*) FROM rinha.pessoas")
    # The new tables take a little more than the old ones: a column, and full-text entries of the canary rows.
    needed=$(ask "SELECT SUM(file_size) * 11 DIV 10 DIV 1048576 FROM information_schema.innodb_tablespaces WHERE name LIKE 'rinha/%'")
    folder=$(ask "SELECT @@datadir")
    free=$(($(stat --file-system --format='%a * %S' "$folder") >> 20))
    echo "upgrading $total people from $found to $wanted: takes about $((total / 5000 / 60 + 1)) min and $needed MB of $free MB free"
    if ((copies == 0 && free < needed + 256)); then
        echo "there is not enough room on the disk of $folder; people cannot be stored until there is"
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
            SELECT ROW_COUNT(), pessoas FROM rinha_nova.contagem") || exit 1 # set -e does not hold in a condition
        [ "${copied%%$'\t'*}" != 0 ]
    do
        if ((SECONDS - shown >= 5)); then
            echo "upgrading: ${copied#*$'\t'} of $total people"
            shown=$SECONDS
        fi
    done
    # Somebody may have been stored meanwhile, if MySQL was restarted in between: then it fails.
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
