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
  -- The weights that the collation compares by, two bytes each: characters that are equal have the same. "\n=" follows
  -- the last field, so that a token of three begins at every character.
  pesos      MEDIUMBLOB
             GENERATED ALWAYS AS (WEIGHT_STRING(CONCAT_WS('\n', apelido, nome, stack, '=') COLLATE utf8mb4_0900_ai_ci))
             VIRTUAL INVISIBLE,
  -- Of each weight six bits, as one of 64 Cyrillic letters: spaces and punctuation become letters too, so that all is
  -- one word to the ngram parser; tokens are compared as bytes, which costs less than under a collation; and there are
  -- fewer of them. InnoDB merges its cache into the index when it has 8 MB, and counts 450 bytes for each distinct one.
  -- Which bits: of letters, digits, space and newline, only e and m become the same, q and z, and f, k and w.
  busca      MEDIUMTEXT   COLLATE utf8mb4_0900_bin
             GENERATED ALWAYS AS (CONVERT(
               pesos & REPEAT(X'006F', LENGTH(pesos) / 2) | REPEAT(X'0400', LENGTH(pesos) / 2) USING ucs2))
             STORED NOT NULL
             COMMENT 'what full text narrows a search with; the fields themselves decide',
  PRIMARY KEY (id),
  UNIQUE KEY apelido (apelido),
  FULLTEXT KEY busca (busca) WITH PARSER ngram
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_0900_ai_ci COMMENT = 'schema 4';
