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
  busca      TEXT         COLLATE utf8mb4_0900_ai_ci
             GENERATED ALWAYS AS (CONCAT(
               REGEXP_REPLACE(CONCAT_WS('\n', apelido, nome, stack), '[\\p{P}\\p{Z}\\p{Sm}\\p{Sc}\\p{Sk}\\p{Cc}]', '_'),
               'ǀǀ')) STORED NOT NULL
             COMMENT 'what full text narrows a search with; the fields themselves decide',
  PRIMARY KEY (id),
  UNIQUE KEY apelido (apelido),
  FULLTEXT KEY busca (busca) WITH PARSER ngram
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_0900_ai_ci COMMENT = 'schema 2';
