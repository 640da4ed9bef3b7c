CREATE TABLE settings (id int NOT NULL PRIMARY KEY, body json); INSERT INTO settings VALUES (7, '[]')
