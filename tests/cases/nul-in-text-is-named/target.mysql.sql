CREATE TABLE notes (id int PRIMARY KEY, body varchar(50)); INSERT INTO notes VALUES (1, 'old')
