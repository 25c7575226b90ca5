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
  -- The letters from w to z all become "w": InnoDB merges its cache into the index when it has 8 MB, and counts 450
  -- bytes for each distinct token; of random text, 20,000 tokens fill it after 900 people, 14,000 after 3,700.
  -- Beyond ASCII, what the collation takes for the same as these. Classes such as \p{P} would be easier to read, and
  -- are made anew for each row: 200 microseconds.
  busca      TEXT         COLLATE utf8mb4_0900_ai_ci
             GENERATED ALWAYS AS (CONCAT(
               REGEXP_REPLACE(REGEXP_REPLACE(CONCAT_WS('\n', apelido, nome, stack),
                 '[\\x00-/:-@\\[-`{-\\x7F\\xA0\\u037E\\u1680\\u1FEF\\u2000-\\u206F\\u207A-\\u207E\\u208A-\\u208E\\u2260\\u226E\\u226F\\u3000\\uFB29\\uFE10-\\uFE6F\\uFF01-\\uFF0F\\uFF1A-\\uFF20\\uFF3B-\\uFF40\\uFF5B-\\uFF5E]',
                 '_'),
                 '[W-Zw-z\\xDD\\xFD\\xFF\\u0174-\\u017E\\u0232-\\u0233\\u02B7-\\u02B8\\u02E3\\u036F\\u1D42\\u1DBB'
                 '\\u1DE6\\u1DF1\\u1E80-\\u1E95\\u1E98-\\u1E99\\u1EF2-\\u1EF9\\u2093\\u2124\\u2128\\u2169\\u2179'
                 '\\u24CC-\\u24CF\\u24E6-\\u24E9\\uFF37-\\uFF3A\\uFF57-\\uFF5A\\x{1D416}-\\x{1D419}'
                 '\\x{1D430}-\\x{1D433}\\x{1D44A}-\\x{1D44D}\\x{1D464}-\\x{1D467}\\x{1D47E}-\\x{1D481}'
                 '\\x{1D498}-\\x{1D49B}\\x{1D4B2}-\\x{1D4B5}\\x{1D4CC}-\\x{1D4CF}\\x{1D4E6}-\\x{1D4E9}'
                 '\\x{1D500}-\\x{1D503}\\x{1D51A}-\\x{1D51C}\\x{1D534}-\\x{1D537}\\x{1D54E}-\\x{1D550}'
                 '\\x{1D568}-\\x{1D56B}\\x{1D582}-\\x{1D585}\\x{1D59C}-\\x{1D59F}\\x{1D5B6}-\\x{1D5B9}'
                 '\\x{1D5D0}-\\x{1D5D3}\\x{1D5EA}-\\x{1D5ED}\\x{1D604}-\\x{1D607}\\x{1D61E}-\\x{1D621}'
                 '\\x{1D638}-\\x{1D63B}\\x{1D652}-\\x{1D655}\\x{1D66C}-\\x{1D66F}\\x{1D686}-\\x{1D689}'
                 '\\x{1D6A0}-\\x{1D6A3}\\x{1F146}-\\x{1F149}\\x{1F166}-\\x{1F169}\\x{1F186}-\\x{1F189}]',
                 'w'),
               'ǀǀ')) STORED NOT NULL
             COMMENT 'what full text narrows a search with; the fields themselves decide',
  PRIMARY KEY (id),
  UNIQUE KEY apelido (apelido),
  FULLTEXT KEY busca (busca) WITH PARSER ngram
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_0900_ai_ci COMMENT = 'schema 3';
