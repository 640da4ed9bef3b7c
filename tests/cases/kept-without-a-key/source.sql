-- A table without a key, updated in place because of a view: all its rows are replaced, doubled ones included.
CREATE TABLE dbo.events (at datetime2(3) NULL, what nvarchar(20) NULL);
GO
INSERT INTO dbo.events (at, what) VALUES ('2026-01-01T00:00:00.5', N'a'), ('2026-01-01T00:00:00.5', N'a'), (NULL, NULL);
