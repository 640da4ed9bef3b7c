-- jsonb cannot be compared byte by byte: the text is proven first and converted then.
CREATE TABLE dbo.settings (id int NOT NULL PRIMARY KEY, body nvarchar(max) NULL);
GO
INSERT INTO dbo.settings (id, body) VALUES (1, N'{"b": 1, "a": [1.50, null], "b": 2}'), (2, NULL);
