CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY, name nvarchar(20) NOT NULL);
CREATE TABLE dbo.checked (id int NOT NULL PRIMARY KEY, kind nvarchar(20) NOT NULL);
CREATE TABLE dbo.late (id int NOT NULL PRIMARY KEY);
GO
INSERT INTO dbo.items VALUES (1, N'a'), (2, N'b');
INSERT INTO dbo.checked VALUES (1, N'x');
INSERT INTO dbo.late VALUES (1);
