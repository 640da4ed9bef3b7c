SELECT o.*, (SELECT COUNT(DISTINCT constraint_name, table_name) FROM information_schema.table_constraints WHERE table_schema = DATABASE()) FROM orders AS o WHERE id = 2
