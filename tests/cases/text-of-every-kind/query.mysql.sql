SELECT id, HEX(latin), HEX(cyrillic), HEX(wide), CHAR_LENGTH(fixed), HEX(fixed) FROM texts ORDER BY id
