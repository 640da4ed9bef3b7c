-- New, dropped, widened and retyped columns come with the swap, in the source's order.
CREATE TABLE dbo.parts (id bigint NOT NULL PRIMARY KEY, name nvarchar(80) NULL, colour varchar(10) NOT NULL, weight decimal(12,4) NULL);
GO
INSERT INTO dbo.parts (id, name, colour, weight) VALUES (5000000000, N'bolt', 'grey', 1.2345);
