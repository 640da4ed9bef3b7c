SELECT id, LENGTH(version), HEX(raw) FROM devices ORDER BY id
