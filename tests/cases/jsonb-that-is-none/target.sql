CREATE TABLE settings (id integer NOT NULL PRIMARY KEY, body jsonb); INSERT INTO settings VALUES (7, '[]')
