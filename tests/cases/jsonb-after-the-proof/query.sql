SELECT id, body, pg_typeof(body) FROM settings ORDER BY 1
