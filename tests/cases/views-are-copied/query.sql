SELECT region, total, (SELECT relkind FROM pg_class WHERE relname = 'totals') FROM totals ORDER BY 1
