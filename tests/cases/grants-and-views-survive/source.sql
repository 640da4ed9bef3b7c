-- A swap that forgets what hangs on the table breaks its readers.
CREATE TABLE dbo.stock (item int NOT NULL PRIMARY KEY, pieces int NOT NULL);
GO
INSERT INTO dbo.stock (item, pieces) VALUES (1, 10), (2, 20);
