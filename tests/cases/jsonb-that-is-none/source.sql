-- One document that is no JSON fails its table, which keeps its old rows.
CREATE TABLE dbo.settings (id int NOT NULL PRIMARY KEY, body nvarchar(max) NULL);
GO
INSERT INTO dbo.settings (id, body) VALUES (1, N'{"a": 1}'), (2, N'{a: 1}');
