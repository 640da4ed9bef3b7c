-- PostgreSQL cannot store U+0000: by default that is an error of this table, never a silent change.
CREATE TABLE dbo.notes (id int NOT NULL PRIMARY KEY, body nvarchar(50) NULL);
GO
INSERT INTO dbo.notes (id, body) VALUES (7, N'before' + NCHAR(0) + N'after');
