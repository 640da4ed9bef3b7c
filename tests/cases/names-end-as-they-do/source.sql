-- Names end in a no-break space, a line feed, a tab and a space, as pasted from a spreadsheet.
CREATE TABLE dbo.excel_import (id int NOT NULL PRIMARY KEY, name nvarchar(20), [Preis€ ] int);
CREATE TABLE dbo.excel_lines (id int NOT NULL CONSTRAINT [pk ] PRIMARY KEY, [Menge
] int, [Ort	] int);
CREATE TABLE dbo.[plain ] (id int NOT NULL PRIMARY KEY, [Name ] nvarchar(20));
GO
INSERT INTO dbo.excel_import VALUES (1,N'x',2);
INSERT INTO dbo.excel_lines VALUES (1,2,3);
INSERT INTO dbo.[plain ] VALUES (1,N'y');
