-- MySQL runs this at each start, before anybody can connect (--init-file).
-- After a crash InnoDB reads the rows again that its full-text cache had held. It leaves out the first of them if a
-- search asks for them first, and leaves out none if an INSERT does (bugs.mysql.com #120564). This INSERT is rolled back.
-- It must not fail: neither before the tables are there, nor on those of an older release, nor without their triggers.
SET @rinha = (
  SELECT CASE
    WHEN COUNT(*) = 0 THEN 'DO 0'
    WHEN SUM(column_name = 'marca') THEN 'INSERT INTO rinha.pessoas (id, apelido, nome, nascimento, marca)
      VALUES (REPEAT(CHAR(0), 16), CHAR(0), CHAR(0), ''2000-01-01'', 0)'
    WHEN SUM(column_name = 'canario') THEN 'INSERT INTO rinha.pessoas (id, apelido, nome, nascimento, canario)
      VALUES (REPEAT(CHAR(0), 16), CHAR(0), CHAR(0), ''2000-01-01'', 0)'
    ELSE 'INSERT INTO rinha.pessoas (id, apelido, nome, nascimento)
      VALUES (REPEAT(CHAR(0), 16), CHAR(0), CHAR(0), ''2000-01-01'')'
  END
  FROM information_schema.columns WHERE table_schema = 'rinha' AND table_name = 'pessoas');
PREPARE rinha FROM @rinha;
START TRANSACTION;
EXECUTE rinha;
ROLLBACK;
DEALLOCATE PREPARE rinha;
