SELECT count(*), (SELECT count(*) FROM pg_class WHERE relname LIKE 'stopgap%') FROM customers
