-- MySQL executes these statements at each start, before it accepts connections (--init-file).

-- MySQL starts without my.cnf too: it ignores a file that it may not read, or that all users may write. With MySQL's own
-- n-gram size and stopwords, searches would miss people for ever. With less durable settings, a power failure would lose
-- acknowledged people. So MySQL refuses all users except root.
SET GLOBAL offline_mode = NOT (
  @@GLOBAL.ngram_token_size = 3
  AND @@GLOBAL.innodb_ft_enable_stopword = 0
  AND @@GLOBAL.innodb_flush_log_at_trx_commit = 1
  AND @@GLOBAL.innodb_doublewrite IN ('ON', 'DETECT_AND_RECOVER')
  AND @@GLOBAL.collation_server = 'utf8mb4_0900_ai_ci');

-- After a crash, InnoDB fills its full-text cache again with the rows that were not in the index. If a search is the
-- first use of the index, InnoDB leaves out the first of these rows (bugs.mysql.com #120564). If an INSERT is, it
-- leaves out none. So an INSERT is executed here and rolled back. The statements succeed without tables, without
-- triggers, and on the tables of older releases.
SET @super_read_only = @@GLOBAL.super_read_only;
SET GLOBAL super_read_only = OFF;
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
SET GLOBAL super_read_only = @super_read_only;

-- MySQL writes the text to its log if it is not a statement.
SET @rinha = IF(@@GLOBAL.offline_mode, 'the settings of db/my.cnf have no effect, so MySQL is offline', 'DO 0');
PREPARE rinha FROM @rinha;
DEALLOCATE PREPARE rinha;
