-- From the schema of the first entry to this release's: the search column is made anew, and its index with it.
SET NAMES utf8mb4;

ALTER TABLE pessoas
  DROP KEY busca,
  DROP COLUMN busca,
  ADD COLUMN busca TEXT COLLATE utf8mb4_0900_ai_ci
    GENERATED ALWAYS AS (CONCAT(
      REGEXP_REPLACE(CONCAT_WS('\n', apelido, nome, stack),
        '[\\x00-/:-@\\[-`{-\\x7F\\xA0\\u037E\\u1680\\u1FEF\\u2000-\\u206F\\u207A-\\u207E\\u208A-\\u208E\\u2260\\u226E\\u226F\\u3000\\uFB29\\uFE10-\\uFE6F\\uFF01-\\uFF0F\\uFF1A-\\uFF20\\uFF3B-\\uFF40\\uFF5B-\\uFF5E]',
        '_'),
      'ǀǀ')) STORED NOT NULL
    COMMENT 'what full text narrows a search with; the fields themselves decide',
  ADD FULLTEXT KEY busca (busca) WITH PARSER ngram,
  COMMENT = 'schema 2';
