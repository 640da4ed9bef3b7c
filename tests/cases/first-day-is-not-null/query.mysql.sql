SELECT * FROM calendar ORDER BY id
