SELECT id, JSON_LENGTH(body, '$.a'), JSON_VALID(body) FROM settings ORDER BY 1
