-- Creates the tables and triggers in the current database, which is `rinha`. The server must have the settings of
-- my.cnf: ngram_token_size and innodb_ft_enable_stopword decide which n-grams the full-text index has.
-- upgrade.sh upgrades the tables of older releases.
SET NAMES utf8mb4;  -- the encoding of this file

CREATE TABLE IF NOT EXISTS pessoas (
  id         BINARY(16)   NOT NULL COMMENT 'UUID version 7, made by the service',
  apelido    VARCHAR(32)  NOT NULL COLLATE utf8mb4_0900_bin COMMENT 'unique to the byte: case, accents, trailing spaces',
  nome       VARCHAR(100) NOT NULL,
  nascimento DATE         NOT NULL,
  stack      TEXT         NULL COMMENT 'skills joined by newline; '''' is the empty array, NULL is null',
  -- MySQL computes the generated columns below twice: before the BEFORE trigger and after it. `marca` is NULL only the
  -- first time, so the first computation is skipped. This saves 20 microseconds an INSERT.
  marca      BIGINT UNSIGNED NULL COMMENT 'alphabet << 32 | the number of a canary row, 0 in all others; set by trigger',
  -- The collation weights of all fields, two bytes each. Characters that compare equal have equal weights. "\n="
  -- follows the last field, so that an n-gram of three begins at every character.
  pesos      MEDIUMBLOB
             GENERATED ALWAYS AS (IF(marca IS NULL, NULL,
               WEIGHT_STRING(CONCAT_WS('\n', apelido, nome, stack, '=') COLLATE utf8mb4_0900_ai_ci)))
             VIRTUAL INVISIBLE,
  -- The search key: one code for each weight, made of some bits of the weight. Codes are letters, so the ngram parser
  -- takes the whole key, with its spaces and punctuation, for one word. InnoDB compares the n-grams of a _bin column as
  -- bytes, which costs less than a collation.
  -- The first alphabet has six bits: 64 Cyrillic letters. So the first rows have fewer distinct n-grams. InnoDB counts
  -- 450 bytes for each distinct n-gram in its cache, and syncs the cache at 8 MB. Of letters, digits, space and
  -- newline, only these share a code: e and m; q and z; f, k and w.
  -- Each further alphabet has nine bits: 512 ideographs. Of ASCII, only these share a code: ! and b; ) and h. Alphabets
  -- have no code in common, so rows of different alphabets have no n-gram in common.
  -- The search key of a canary row ends with the row's number: three codes out of 64 that no text has.
  busca      MEDIUMTEXT   COLLATE utf8mb4_0900_bin
             GENERATED ALWAYS AS (CONVERT(CONCAT(
               pesos & REPEAT(IF(marca < 1 << 32, X'006F', X'01FF'), LENGTH(pesos) / 2)
                     | REPEAT(IF(marca < 1 << 32, X'0400', CHAR(0x4C00 + 0x200 * (marca >> 32))), LENGTH(pesos) / 2),
               IF(marca & 0xFFFFFFFF, CONCAT(
                 CHAR(0x04A0 + (marca >> 12 & 63)), CHAR(0x04A0 + (marca >> 6 & 63)), CHAR(0x04A0 + (marca & 63))
               ), X'')) USING ucs2))
             STORED
             COMMENT 'what full text narrows a search with; the fields themselves decide',
  PRIMARY KEY (id),
  UNIQUE KEY apelido (apelido),
  FULLTEXT KEY busca (busca) WITH PARSER ngram,
  CONSTRAINT portao CHECK (marca IS NOT NULL)  -- refuses an INSERT without the gate below
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_0900_ai_ci COMMENT = 'schema 6';

-- The gate: one row, which each INSERT and UPDATE locks before InnoDB gives the new row a document id, until it
-- commits. So document ids have the order of commits; otherwise a crash could lose rows from the full-text index
-- (docs/decisions/0001-document-ids-in-the-order-of-commits.md). The gate also counts people, canary rows and codes.
CREATE TABLE IF NOT EXISTS contagem (
  id       TINYINT         NOT NULL DEFAULT 1 PRIMARY KEY CHECK (id = 1),
  pessoas  BIGINT          NOT NULL COMMENT 'the rows of the table pessoas',
  canarios BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'the number of the newest canary row',
  perdidos BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'the greatest number of a canary row that was deleted or changed',
  letras   BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'in the search columns that were ever stored',
  pessoa   BINARY(16)      NULL COMMENT 'always NULL: with this reference MySQL refuses TRUNCATE, which calls no trigger',
  FOREIGN KEY (pessoa) REFERENCES pessoas (id)
) ENGINE = InnoDB COMMENT = 'one row';

INSERT IGNORE INTO contagem (pessoas) SELECT COUNT(*) FROM pessoas;

-- Without the trigger antes_de_inserir the table refuses INSERTs. So this trigger is dropped first and created last.
DROP TRIGGER IF EXISTS antes_de_inserir;
DROP TRIGGER IF EXISTS antes_de_mudar;
DROP TRIGGER IF EXISTS depois_de_inserir;
DROP TRIGGER IF EXISTS depois_de_mudar;
DROP TRIGGER IF EXISTS depois_de_apagar;

CREATE TRIGGER depois_de_apagar AFTER DELETE ON pessoas FOR EACH ROW
  UPDATE contagem SET pessoas = pessoas - 1, perdidos = GREATEST(perdidos, OLD.marca & 0xFFFFFFFF);

-- InnoDB indexes a changed row again, as it indexes an inserted row.
CREATE TRIGGER depois_de_mudar AFTER UPDATE ON pessoas FOR EACH ROW
  UPDATE contagem SET
    canarios = canarios + (NEW.marca & 0xFFFFFFFF > 0),
    perdidos = GREATEST(perdidos, OLD.marca & 0xFFFFFFFF),
    letras = letras + CHAR_LENGTH(NEW.busca);

CREATE TRIGGER depois_de_inserir AFTER INSERT ON pessoas FOR EACH ROW
  UPDATE contagem SET
    pessoas = pessoas + 1,
    canarios = canarios + (NEW.marca & 0xFFFFFFFF > 0),
    letras = letras + CHAR_LENGTH(NEW.busca);

-- Each row gets its alphabet and, if it is a canary row, its number.
-- Canary rows: one for each 8,000 codes, which is a ten-thousandth of the full-text cache. A sync of InnoDB moves at
-- least 17,000 codes, so each sync has canary rows. The row with each 8,000th code is one. The trigger counts the codes
-- of the new row only if the row may be one: a byte has at most six codes (U+FDFA has three bytes and 18 codes). What
-- separates and ends the fields has four codes.
-- Alphabets: the first two have 2^23 codes each, approximately 100,000 people. Each further alphabet has twice as many
-- as the one before it, up to 2^26 codes, approximately 800,000 people (docs/decisions/0002-alphabets-by-age.md).
CREATE TRIGGER antes_de_mudar BEFORE UPDATE ON pessoas FOR EACH ROW
  SET NEW.marca = (
    SELECT LEAST(IF(letras >> 26, 3 + (letras >> 26), CEIL(LOG2(1 + (letras >> 23)))), 40) << 32
         | IF((letras + 6 * (LENGTH(NEW.apelido) + LENGTH(NEW.nome) + IFNULL(LENGTH(NEW.stack), 0)) + 4)
                DIV (@@innodb_ft_cache_size DIV 10000)
              > letras DIV (@@innodb_ft_cache_size DIV 10000),
              IF((letras + LENGTH(WEIGHT_STRING(
                    CONCAT_WS('\n', NEW.apelido, NEW.nome, NEW.stack, '=') COLLATE utf8mb4_0900_ai_ci)) DIV 2)
                  DIV (@@innodb_ft_cache_size DIV 10000)
                > letras DIV (@@innodb_ft_cache_size DIV 10000), canarios + 1, 0), 0)
    FROM contagem FOR UPDATE);

CREATE TRIGGER antes_de_inserir BEFORE INSERT ON pessoas FOR EACH ROW
  SET NEW.marca = (
    SELECT LEAST(IF(letras >> 26, 3 + (letras >> 26), CEIL(LOG2(1 + (letras >> 23)))), 40) << 32
         | IF((letras + 6 * (LENGTH(NEW.apelido) + LENGTH(NEW.nome) + IFNULL(LENGTH(NEW.stack), 0)) + 4)
                DIV (@@innodb_ft_cache_size DIV 10000)
              > letras DIV (@@innodb_ft_cache_size DIV 10000),
              IF((letras + LENGTH(WEIGHT_STRING(
                    CONCAT_WS('\n', NEW.apelido, NEW.nome, NEW.stack, '=') COLLATE utf8mb4_0900_ai_ci)) DIV 2)
                  DIV (@@innodb_ft_cache_size DIV 10000)
                > letras DIV (@@innodb_ft_cache_size DIV 10000), canarios + 1, 0), 0)
    FROM contagem FOR UPDATE);
