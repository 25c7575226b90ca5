-- The one table. Needs the server settings of my.cnf (ngram_token_size, innodb_ft_enable_stopword)
-- to be in force before it is created: InnoDB stores them with the full-text index.
CREATE DATABASE IF NOT EXISTS rinha CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;

USE rinha;

CREATE TABLE IF NOT EXISTS pessoas (
  id         BINARY(16)   NOT NULL COMMENT 'UUID version 7, made by the service',
  apelido    VARCHAR(32)  NOT NULL COLLATE utf8mb4_0900_bin COMMENT 'unique to the byte: case, accents, trailing spaces',
  nome       VARCHAR(100) NOT NULL,
  nascimento DATE         NOT NULL,
  stack      TEXT         NULL COMMENT 'skills joined by newline; '''' is the empty array, NULL is null',
  busca      TEXT         COLLATE utf8mb4_0900_ai_ci
             GENERATED ALWAYS AS (CONCAT_WS('\n', apelido, nome, stack)) STORED NOT NULL
             COMMENT 'all that is searched; no field has a newline, so no match spans two',
  PRIMARY KEY (id),
  UNIQUE KEY apelido (apelido),
  FULLTEXT KEY busca (busca) WITH PARSER ngram
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_0900_ai_ci COMMENT = 'schema 1';
