-- Rows of a table that inherits from one updated in place are its own: they are neither deleted nor counted nor compared.
CREATE TABLE dbo.orders (id int NOT NULL PRIMARY KEY, what nvarchar(20) NOT NULL);
CREATE TABLE dbo.events (what nvarchar(20) NULL);
GO
INSERT INTO dbo.orders (id, what) VALUES (1, N'new'), (3, N'new');
INSERT INTO dbo.events (what) VALUES (N'new');
