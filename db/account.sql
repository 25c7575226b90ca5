-- Creates the service's account, which may read and insert people and read the count, and nothing else.
-- The variable @password must be set. CREATE USER accepts no variable, so its statement is prepared from a text.
SET @create = CONCAT('CREATE USER IF NOT EXISTS ''rinha''@''%'' IDENTIFIED BY ', QUOTE(@password));
SET @alter = CONCAT('ALTER USER ''rinha''@''%'' IDENTIFIED BY ', QUOTE(@password));
PREPARE create_account FROM @create;
EXECUTE create_account;
PREPARE alter_account FROM @alter;
EXECUTE alter_account;
GRANT SELECT, INSERT ON rinha.pessoas TO 'rinha'@'%';
GRANT SELECT ON rinha.contagem TO 'rinha'@'%';
