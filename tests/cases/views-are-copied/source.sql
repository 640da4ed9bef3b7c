-- A view is copied as a table where its entry, or `views`, says so.
CREATE TABLE dbo.sales (id int NOT NULL PRIMARY KEY, region nvarchar(10) NOT NULL, amount decimal(9,2) NOT NULL);
GO
CREATE VIEW dbo.totals AS SELECT region, SUM(amount) AS total FROM dbo.sales GROUP BY region;
GO
INSERT INTO dbo.sales (id, region, amount) VALUES (1, N'north', 1.50), (2, N'north', 2.25), (3, N'south', 7);
