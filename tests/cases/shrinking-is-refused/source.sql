-- A source that lost its rows overnight must not empty the copy.
CREATE TABLE dbo.customers (id int NOT NULL PRIMARY KEY);
GO
INSERT INTO dbo.customers (id) VALUES (1), (2), (3);
