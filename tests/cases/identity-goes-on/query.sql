INSERT INTO tickets (subject) VALUES ('four') RETURNING id > 20 AND id <= 25
