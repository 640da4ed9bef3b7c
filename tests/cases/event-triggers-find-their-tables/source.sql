CREATE TABLE dbo.items (id int NOT NULL CONSTRAINT pk_items PRIMARY KEY, name nvarchar(20) NOT NULL);
CREATE INDEX ix_items ON dbo.items (name);
GO
INSERT INTO dbo.items VALUES (1, N'a'), (2, N'b');
