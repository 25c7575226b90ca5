-- The tables. They need the settings of my.cnf: InnoDB stores ngram_token_size and innodb_ft_enable_stopword with the
-- full-text index when it creates one. Run it in the database `rinha`.
-- upgrade.sh brings the data of older releases to the same form.
SET NAMES utf8mb4;  -- of this file

CREATE TABLE IF NOT EXISTS pessoas (
  id         BINARY(16)   NOT NULL COMMENT 'UUID version 7, made by the service',
  apelido    VARCHAR(32)  NOT NULL COLLATE utf8mb4_0900_bin COMMENT 'unique to the byte: case, accents, trailing spaces',
  nome       VARCHAR(100) NOT NULL,
  nascimento DATE         NOT NULL,
  stack      TEXT         NULL COMMENT 'skills joined by newline; '''' is the empty array, NULL is null',
  -- MySQL computes the two columns below before the BEFORE trigger and again after it. NULL, which only the first
  -- computation sees, makes the first one cheap: 20 microseconds an INSERT.
  marca      BIGINT UNSIGNED NULL COMMENT 'alphabet << 32 | the number of a canary row, 0 in all others; set by trigger',
  -- The weights that the collation compares by, two bytes each: characters that are equal have the same. "\n=" follows
  -- the last field, so that a token of three begins at every character.
  pesos      MEDIUMBLOB
             GENERATED ALWAYS AS (IF(marca IS NULL, NULL,
               WEIGHT_STRING(CONCAT_WS('\n', apelido, nome, stack, '=') COLLATE utf8mb4_0900_ai_ci)))
             VIRTUAL INVISIBLE,
  -- Of each weight some bits, as a letter: spaces and punctuation become letters too, so that all is one word to the
  -- ngram parser; and tokens are compared as bytes, which costs less than under a collation.
  -- The first people have six bits, one of 64 Cyrillic letters: fewer distinct tokens, of which InnoDB counts 450 bytes
  -- each until it syncs its cache, at 8 MB. Which bits: of letters, digits, space and newline, only e and m become the
  -- same, q and z, and f, k and w. All others have nine bits, one of 512 ideographs of their alphabet: of ASCII, only
  -- ! and b become the same, and ) and h. Rows of different alphabets have no token in common.
  -- A canary row ends with its number: three of 64 other letters, which no text has.
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
  CONSTRAINT portao CHECK (marca IS NOT NULL)  -- refuses rows that did not pass the gate below
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_0900_ai_ci COMMENT = 'schema 6';

-- One row, the gate: each INSERT and UPDATE locks it before InnoDB gives the row a document id, and holds it until the
-- commit. So document ids have the order of commits, without which a crash loses rows from the full-text index
-- (docs/reliability.md). The row also counts: people, and canary rows (docs/search.md).
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

-- Without antes_de_inserir the table refuses INSERTs, so the trigger goes first and comes last.
DROP TRIGGER IF EXISTS antes_de_inserir;
DROP TRIGGER IF EXISTS antes_de_mudar;
DROP TRIGGER IF EXISTS depois_de_inserir;
DROP TRIGGER IF EXISTS depois_de_mudar;
DROP TRIGGER IF EXISTS depois_de_apagar;

CREATE TRIGGER depois_de_apagar AFTER DELETE ON pessoas FOR EACH ROW
  UPDATE contagem SET pessoas = pessoas - 1, perdidos = GREATEST(perdidos, OLD.marca & 0xFFFFFFFF);

-- A changed row goes into the full-text index anew, as an inserted one does.
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

-- Each 8,000 letters (a ten-thousandth of the full-text cache) there is a canary row. InnoDB syncs 17,000 letters and
-- more at once, so each sync has canary rows in it. Before a row is stored its letters are not known: at most as many as
-- its bytes, and four that part and end the fields. (A few characters have more letters than bytes, and few distinct ones.)
-- The first 2^23 letters, some 100,000 people, have the first alphabet; so many again the second, twice as many the
-- third, and so on, up to 2^26 letters; each 2^26 letters, some 800,000 people, have one from then on (docs/search.md).
CREATE TRIGGER antes_de_mudar BEFORE UPDATE ON pessoas FOR EACH ROW
  SET NEW.marca = (
    SELECT LEAST(IF(letras >> 26, 3 + (letras >> 26), CEIL(LOG2(1 + (letras >> 23)))), 40) << 32
         | IF((letras + LENGTH(NEW.apelido) + LENGTH(NEW.nome) + IFNULL(LENGTH(NEW.stack), 0) + 4)
                DIV (@@innodb_ft_cache_size DIV 10000)
              > letras DIV (@@innodb_ft_cache_size DIV 10000), canarios + 1, 0)
    FROM contagem FOR UPDATE);

CREATE TRIGGER antes_de_inserir BEFORE INSERT ON pessoas FOR EACH ROW
  SET NEW.marca = (
    SELECT LEAST(IF(letras >> 26, 3 + (letras >> 26), CEIL(LOG2(1 + (letras >> 23)))), 40) << 32
         | IF((letras + LENGTH(NEW.apelido) + LENGTH(NEW.nome) + IFNULL(LENGTH(NEW.stack), 0) + 4)
                DIV (@@innodb_ft_cache_size DIV 10000)
              > letras DIV (@@innodb_ft_cache_size DIV 10000), canarios + 1, 0)
    FROM contagem FOR UPDATE);
