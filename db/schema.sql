-- The one table. Needs the server settings of my.cnf (ngram_token_size, innodb_ft_enable_stopword)
-- to be in force before it is created: InnoDB stores them with the full-text index.
CREATE DATABASE IF NOT EXISTS rinha CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;

USE rinha;
SET NAMES utf8mb4;  -- of this file

CREATE TABLE IF NOT EXISTS pessoas (
  id         BINARY(16)   NOT NULL COMMENT 'UUID version 7, made by the service',
  apelido    VARCHAR(32)  NOT NULL COLLATE utf8mb4_0900_bin COMMENT 'unique to the byte: case, accents, trailing spaces',
  nome       VARCHAR(100) NOT NULL,
  nascimento DATE         NOT NULL,
  stack      TEXT         NULL COMMENT 'skills joined by newline; '''' is the empty array, NULL is null',
  -- One word to the ngram parser, so that a token of three begins at every character: punctuation, spaces and the
  -- newlines between fields become "_", which it takes for a letter, and two letters of no name follow the last.
  -- Beyond ASCII, what the collation takes for the same as ASCII's punctuation. Classes such as \p{P} would be easier
  -- to read, and are made anew for each row: 200 microseconds.
  busca      TEXT         COLLATE utf8mb4_0900_ai_ci
             GENERATED ALWAYS AS (CONCAT(
               REGEXP_REPLACE(CONCAT_WS('\n', apelido, nome, stack),
                 '[\\x00-/:-@\\[-`{-\\x7F\\xA0\\u037E\\u1680\\u1FEF\\u2000-\\u206F\\u207A-\\u207E\\u208A-\\u208E\\u2260\\u226E\\u226F\\u3000\\uFB29\\uFE10-\\uFE6F\\uFF01-\\uFF0F\\uFF1A-\\uFF20\\uFF3B-\\uFF40\\uFF5B-\\uFF5E]',
                 '_'),
               'ǀǀ')) STORED NOT NULL
             COMMENT 'what full text narrows a search with; the fields themselves decide',
  PRIMARY KEY (id),
  UNIQUE KEY apelido (apelido),
  FULLTEXT KEY busca (busca) WITH PARSER ngram
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_0900_ai_ci COMMENT = 'schema 2';
