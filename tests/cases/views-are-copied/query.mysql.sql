SELECT region, total, (SELECT table_type FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'totals') FROM totals ORDER BY 1
