-- The service's account: it may read and add people, read how many there are, and nothing else.
CREATE USER IF NOT EXISTS 'rinha'@'%' IDENTIFIED BY '@password@';
ALTER USER 'rinha'@'%' IDENTIFIED BY '@password@';
GRANT SELECT, INSERT ON rinha.pessoas TO 'rinha'@'%';
GRANT SELECT ON rinha.contagem TO 'rinha'@'%';
