-- Converted columns of a table updated in place have no digest, and pgvector's type not even a hash: the other columns are proven.
CREATE TABLE dbo.notes (id int NOT NULL PRIMARY KEY, name nvarchar(20) NOT NULL, body nvarchar(max) NULL, place vector(3) NULL);
GO
INSERT INTO dbo.notes (id, name, body, place) VALUES (1, N'one', N'{"b": 1}', N'[1.0000000e+000,-2.5000000e+000,0.0000000e+000]'), (3, N'three', NULL, NULL);
