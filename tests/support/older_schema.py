"""The tables as older releases left them."""

from pathlib import Path

_TEXT = (
    "busca TEXT COLLATE utf8mb4_0900_ai_ci GENERATED ALWAYS AS (CONCAT_WS('\\n', apelido, nome, stack)) STORED NOT NULL"
)
_WEIGHTS = (
    "pesos MEDIUMBLOB GENERATED ALWAYS AS (WEIGHT_STRING(CONCAT_WS('\\n', apelido, nome, stack, '=') "
    "COLLATE utf8mb4_0900_ai_ci)) VIRTUAL INVISIBLE, "
    "ADD COLUMN busca MEDIUMTEXT COLLATE utf8mb4_0900_bin GENERATED ALWAYS AS (CONVERT(pesos & REPEAT(X'006F', "
    "LENGTH(pesos) / 2) | REPEAT(X'0400', LENGTH(pesos) / 2) USING ucs2)) STORED NOT NULL"
)
_WITHOUT_GATE = {1: _TEXT, 2: _TEXT, 3: _TEXT, 4: _WEIGHTS}
_WITH_GATE = {5: Path(__file__).with_name("schema-5.sql")}

OLDER_VERSIONS = (*_WITHOUT_GATE, *_WITH_GATE)


def downgrade_statements(version: int) -> str:
    """Return the statements that give the tables and the account the form of an older release."""
    if version in _WITH_GATE:
        return (
            "CREATE TABLE copied SELECT id, apelido, nome, nascimento, stack FROM pessoas; "
            f"DROP TABLE contagem, pessoas; {_WITH_GATE[version].read_text()}"
            "INSERT INTO pessoas (id, apelido, nome, nascimento, stack) SELECT * FROM copied ORDER BY id; "
            "DROP TABLE copied"
        )
    return (
        "DROP TRIGGER antes_de_inserir; DROP TRIGGER depois_de_inserir; DROP TRIGGER antes_de_mudar; "
        "DROP TRIGGER depois_de_mudar; DROP TRIGGER depois_de_apagar; DROP TABLE contagem; "
        "REVOKE SELECT ON rinha.contagem FROM 'rinha'@'%'; "
        "ALTER TABLE pessoas DROP KEY busca, DROP COLUMN busca, DROP COLUMN pesos, DROP CONSTRAINT portao, "
        f"DROP COLUMN marca, ADD COLUMN {_WITHOUT_GATE[version]}, ADD FULLTEXT KEY busca (busca) WITH PARSER ngram, "
        f"COMMENT = 'schema {version}'"
    )
