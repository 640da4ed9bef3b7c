SELECT o.*, (SELECT count(*) FROM pg_constraint WHERE conrelid IN ('orders'::regclass, 'lines'::regclass) AND contype IN ('p', 'f')),
       (SELECT count(*) FROM pg_indexes WHERE tablename = 'orders') FROM orders AS o WHERE id = 2
