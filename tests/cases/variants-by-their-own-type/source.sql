-- A sql_variant is rendered by its value's own type, and may say which that was.
CREATE TABLE dbo.settings (id int NOT NULL PRIMARY KEY, v sql_variant NULL);
GO
INSERT INTO dbo.settings (id, v) VALUES (1, CAST(42 AS int)), (2, CAST(N'日本 🗾' AS nvarchar(20))), (3, CAST('plain' AS varchar(20))), (4, NULL);
INSERT INTO dbo.settings (id, v) VALUES (5, CAST(922337203685477.5807 AS money)), (6, CAST(1.50 AS decimal(10, 3)));
INSERT INTO dbo.settings (id, v) VALUES (7, CAST('2024-02-29' AS date)), (8, CAST(1 AS bit)), (9, CAST(9223372036854775807 AS bigint));
INSERT INTO dbo.settings (id, v) VALUES (10, CAST('6F9619FF-8B86-D011-B42D-00C04FC964FF' AS uniqueidentifier));
