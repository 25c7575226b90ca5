-- MySQL executes these statements at each start, before it accepts connections (--init-file).
-- After a crash, InnoDB fills its full-text cache again with the rows that were not in the index. If a search is the
-- first use of the index, InnoDB leaves out the first of these rows (bugs.mysql.com #120564). If an INSERT is, it
-- leaves out none. So an INSERT is executed here and rolled back. The statements succeed without tables, without
-- triggers, and on the tables of older releases.
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
