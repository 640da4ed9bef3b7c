-- The target's sequence must stand past the highest value that was copied.
CREATE TABLE dbo.tickets (id int IDENTITY(10, 5) NOT NULL PRIMARY KEY, subject nvarchar(50) NOT NULL);
GO
INSERT INTO dbo.tickets (subject) VALUES (N'one'), (N'two'), (N'three');
