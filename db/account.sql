-- The service's account: it may read and add people, and nothing else.
CREATE USER IF NOT EXISTS 'rinha'@'%' IDENTIFIED BY '@password@';
ALTER USER 'rinha'@'%' IDENTIFIED BY '@password@';
GRANT SELECT, INSERT ON rinha.pessoas TO 'rinha'@'%';
