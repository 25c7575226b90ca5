-- db/schema.sql as the release with schema 5 had it, without comments.
SET NAMES utf8mb4;
CREATE TABLE IF NOT EXISTS pessoas (
  id         BINARY(16)   NOT NULL COMMENT 'UUID version 7, made by the service',
  apelido    VARCHAR(32)  NOT NULL COLLATE utf8mb4_0900_bin COMMENT 'unique to the byte: case, accents, trailing spaces',
  nome       VARCHAR(100) NOT NULL,
  nascimento DATE         NOT NULL,
  stack      TEXT         NULL COMMENT 'skills joined by newline; '''' is the empty array, NULL is null',
  canario    BIGINT UNSIGNED NULL COMMENT 'the number of a canary row; 0 in all other rows; set by trigger',
  pesos      MEDIUMBLOB
             GENERATED ALWAYS AS (IF(canario IS NULL, NULL,
               WEIGHT_STRING(CONCAT_WS('\n', apelido, nome, stack, '=') COLLATE utf8mb4_0900_ai_ci)))
             VIRTUAL INVISIBLE,
  busca      MEDIUMTEXT   COLLATE utf8mb4_0900_bin
             GENERATED ALWAYS AS (CONVERT(CONCAT(
               pesos & REPEAT(X'006F', LENGTH(pesos) / 2) | REPEAT(X'0400', LENGTH(pesos) / 2),
               IF(canario = 0, X'', CONCAT(
                 CHAR(0x04A0 + (canario >> 12 & 63)), CHAR(0x04A0 + (canario >> 6 & 63)), CHAR(0x04A0 + (canario & 63))
               ))) USING ucs2))
             STORED
             COMMENT 'what full text narrows a search with; the fields themselves decide',
  PRIMARY KEY (id),
  UNIQUE KEY apelido (apelido),
  FULLTEXT KEY busca (busca) WITH PARSER ngram,
  CONSTRAINT portao CHECK (canario IS NOT NULL)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_0900_ai_ci COMMENT = 'schema 5';
CREATE TABLE IF NOT EXISTS contagem (
  id       TINYINT         NOT NULL DEFAULT 1 PRIMARY KEY CHECK (id = 1),
  pessoas  BIGINT          NOT NULL COMMENT 'the rows of the table pessoas',
  canarios BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'the number of the newest canary row',
  perdidos BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'the greatest number of a canary row that was deleted or changed',
  bytes    BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'of text since the newest canary row',
  pessoa   BINARY(16)      NULL COMMENT 'always NULL: with this reference MySQL refuses TRUNCATE, which calls no trigger',
  FOREIGN KEY (pessoa) REFERENCES pessoas (id)
) ENGINE = InnoDB COMMENT = 'one row';
INSERT IGNORE INTO contagem (pessoas) SELECT COUNT(*) FROM pessoas;
DROP TRIGGER IF EXISTS antes_de_inserir;
DROP TRIGGER IF EXISTS antes_de_mudar;
DROP TRIGGER IF EXISTS depois_de_inserir;
DROP TRIGGER IF EXISTS depois_de_mudar;
DROP TRIGGER IF EXISTS depois_de_apagar;
CREATE TRIGGER depois_de_apagar AFTER DELETE ON pessoas FOR EACH ROW
  UPDATE contagem SET pessoas = pessoas - 1, perdidos = GREATEST(perdidos, OLD.canario);
CREATE TRIGGER depois_de_mudar AFTER UPDATE ON pessoas FOR EACH ROW
  UPDATE contagem SET
    canarios = canarios + (NEW.canario > 0),
    perdidos = GREATEST(perdidos, OLD.canario),
    bytes = IF(NEW.canario, 0, bytes + LENGTH(NEW.apelido) + LENGTH(NEW.nome) + IFNULL(LENGTH(NEW.stack), 0));
CREATE TRIGGER depois_de_inserir AFTER INSERT ON pessoas FOR EACH ROW
  UPDATE contagem SET
    pessoas = pessoas + 1,
    canarios = canarios + (NEW.canario > 0),
    bytes = IF(NEW.canario, 0, bytes + LENGTH(NEW.apelido) + LENGTH(NEW.nome) + IFNULL(LENGTH(NEW.stack), 0));
CREATE TRIGGER antes_de_mudar BEFORE UPDATE ON pessoas FOR EACH ROW
  SET NEW.canario = (
    SELECT IF(bytes + LENGTH(NEW.apelido) + LENGTH(NEW.nome) + IFNULL(LENGTH(NEW.stack), 0)
              < @@innodb_ft_cache_size DIV 10000, 0, canarios + 1)
    FROM contagem FOR UPDATE);
CREATE TRIGGER antes_de_inserir BEFORE INSERT ON pessoas FOR EACH ROW
  SET NEW.canario = (
    SELECT IF(bytes + LENGTH(NEW.apelido) + LENGTH(NEW.nome) + IFNULL(LENGTH(NEW.stack), 0)
              < @@innodb_ft_cache_size DIV 10000, 0, canarios + 1)
    FROM contagem FOR UPDATE);
