-- The service's account: it may read and add people, read how many there are, and nothing else.
-- Whoever runs this file sets @password first. CREATE USER takes no variable, so the statements are prepared.
SET @create = CONCAT('CREATE USER IF NOT EXISTS ''rinha''@''%'' IDENTIFIED BY ', QUOTE(@password));
SET @alter = CONCAT('ALTER USER ''rinha''@''%'' IDENTIFIED BY ', QUOTE(@password));
PREPARE create_account FROM @create;
EXECUTE create_account;
PREPARE alter_account FROM @alter;
EXECUTE alter_account;
GRANT SELECT, INSERT ON rinha.pessoas TO 'rinha'@'%';
GRANT SELECT ON rinha.contagem TO 'rinha'@'%';
