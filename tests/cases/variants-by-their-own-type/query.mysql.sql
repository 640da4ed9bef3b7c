SELECT id, LOWER(v), v_type FROM settings ORDER BY id
