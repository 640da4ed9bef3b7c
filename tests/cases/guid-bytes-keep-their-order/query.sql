SELECT id, octet_length(version), raw FROM devices ORDER BY id
