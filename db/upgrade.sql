-- From the schema of the first entry to this release's: the search column is made anew, and its index with it.
SET NAMES utf8mb4;

ALTER TABLE pessoas
  DROP KEY busca,
  DROP COLUMN busca,
  ADD COLUMN busca TEXT COLLATE utf8mb4_0900_ai_ci
    GENERATED ALWAYS AS (CONCAT(
      REGEXP_REPLACE(CONCAT_WS('\n', apelido, nome, stack), '[\\p{P}\\p{Z}\\p{Sm}\\p{Sc}\\p{Sk}\\p{Cc}]', '_'),
      'ǀǀ')) STORED NOT NULL
    COMMENT 'what full text narrows a search with; the fields themselves decide',
  ADD FULLTEXT KEY busca (busca) WITH PARSER ngram,
  COMMENT = 'schema 2';
