"""Parts of SQL statements that several modules need."""

# A person is one column, because each column of an answer costs the client as much as a row. The unit separator (31)
# separates the fields: no field contains a control character. CONCAT_WS leaves out a NULL stack.
PERSON = "CONCAT_WS(CHAR(31 USING utf8mb4), HEX(id), apelido, nome, nascimento, stack)"
CONTAINS = "CONCAT_WS('\\n', apelido, nome, stack) COLLATE utf8mb4_0900_ai_ci LIKE %s"
