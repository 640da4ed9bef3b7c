SELECT id, lower(v), v_type FROM settings ORDER BY id
