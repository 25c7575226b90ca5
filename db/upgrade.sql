-- Puts the copied tables of the database rinha_nova in the place of the old ones. Nobody writes meanwhile. Fails with
-- "people were stored meanwhile" if the copy is not complete. upgrade.sh runs this after it has copied the people.

-- Data of releases without the gate have no table contagem: one that the rest can take for it.
CREATE TABLE IF NOT EXISTS rinha.contagem (id INT);
-- The name of a check can be in a database once; MySQL has no DROP CHECK IF EXISTS.
SET @check = (SELECT COUNT(*) FROM information_schema.check_constraints
              WHERE constraint_schema = 'rinha' AND constraint_name = 'portao');
SET @drop_check = IF(@check, 'ALTER TABLE rinha.pessoas DROP CHECK portao', 'DO 0');
PREPARE drop_check FROM @drop_check;

LOCK TABLES rinha.pessoas WRITE, rinha.contagem WRITE, rinha_nova.pessoas WRITE, rinha_nova.contagem WRITE;
SET @complete = (SELECT COUNT(*) FROM rinha.pessoas) = (SELECT pessoas FROM rinha_nova.contagem);
SET @assert = IF(@complete, 'DO 0', 'people were stored meanwhile');  -- which is no statement
PREPARE assert FROM @assert;

-- A table that has triggers cannot change its database. schema.sql makes those of the new table again.
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
