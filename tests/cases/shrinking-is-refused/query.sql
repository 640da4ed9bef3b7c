SELECT count(*), (SELECT count(*) FROM pg_class WHERE relname LIKE 'stopgap%' AND relname !~ '^stopgap_(tables|runs|copied)') FROM customers
