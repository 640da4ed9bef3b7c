CREATE TABLE notes (id integer PRIMARY KEY, body varchar(50)); INSERT INTO notes VALUES (1, 'old')
