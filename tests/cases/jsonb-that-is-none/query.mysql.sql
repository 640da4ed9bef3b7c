SELECT id, body, (SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE 'stopgap%') FROM settings ORDER BY 1
