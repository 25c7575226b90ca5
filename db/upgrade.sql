-- Replaces the old tables by those of the database rinha_nova, under locks that exclude writers. upgrade.sh runs this
-- file after it has copied the people. If the copy is not complete, a statement fails with "people were stored
-- meanwhile".

-- The first releases have no table contagem. The statements below need one.
CREATE TABLE IF NOT EXISTS rinha.contagem (id INT);
-- A database cannot have two checks of one name, so the old one is dropped. MySQL has no DROP CHECK IF EXISTS.
SET @check = (SELECT COUNT(*) FROM information_schema.check_constraints
              WHERE constraint_schema = 'rinha' AND constraint_name = 'portao');
SET @drop_check = IF(@check, 'ALTER TABLE rinha.pessoas DROP CHECK portao', 'DO 0');
PREPARE drop_check FROM @drop_check;

LOCK TABLES rinha.pessoas WRITE, rinha.contagem WRITE, rinha_nova.pessoas WRITE, rinha_nova.contagem WRITE;
SET @complete = (SELECT COUNT(*) FROM rinha.pessoas) = (SELECT pessoas FROM rinha_nova.contagem);
SET @assert = IF(@complete, 'DO 0', 'people were stored meanwhile');  -- a syntax error if not complete
PREPARE assert FROM @assert;

-- A table with triggers cannot move to another database. upgrade.sh creates the triggers again with schema.sql.
DROP TRIGGER IF EXISTS rinha.depois_de_inserir;
DROP TRIGGER IF EXISTS rinha.depois_de_mudar;
DROP TRIGGER IF EXISTS rinha.depois_de_apagar;
DROP TRIGGER IF EXISTS rinha.antes_de_mudar;
DROP TRIGGER IF EXISTS rinha.antes_de_inserir;
DROP TRIGGER rinha_nova.antes_de_inserir;
DROP TRIGGER rinha_nova.antes_de_mudar;
DROP TRIGGER rinha_nova.depois_de_inserir;
DROP TRIGGER rinha_nova.depois_de_mudar;
DROP TRIGGER rinha_nova.depois_de_apagar;
EXECUTE drop_check;
RENAME TABLE rinha.contagem TO rinha_nova.contagem_antiga,
             rinha.pessoas TO rinha_nova.antiga,
             rinha_nova.pessoas TO rinha.pessoas,
             rinha_nova.contagem TO rinha.contagem;
