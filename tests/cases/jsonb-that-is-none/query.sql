SELECT id, body, (SELECT count(*) FROM pg_class WHERE relname LIKE 'stopgap%') FROM settings ORDER BY 1
