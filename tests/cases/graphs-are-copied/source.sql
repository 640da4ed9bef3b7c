-- SQL Server keeps the numbers behind nodes and edges to itself (error 13908).
CREATE TABLE dbo.person (id int NOT NULL PRIMARY KEY, name nvarchar(100) NULL) AS NODE;
CREATE TABLE dbo.likes (rating int NULL) AS EDGE;
GO
INSERT INTO dbo.person VALUES (1, N'Ann'), (2, N'Ben');
INSERT INTO dbo.likes (rating) VALUES (5);
