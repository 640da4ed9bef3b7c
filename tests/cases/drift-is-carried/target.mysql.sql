CREATE TABLE parts (id int NOT NULL PRIMARY KEY, weight decimal(8,2), name varchar(20) NOT NULL, gone text) COMMENT = 'of machines'; INSERT INTO parts VALUES (1, 2.50, 'nut', 'x')
