-- Babelfish has no row for sys in sys.schemas: columns, keys and indexes of built-in types are there all the same.
CREATE TYPE dbo.Phone FROM nvarchar(20) NULL;
GO
CREATE TABLE dbo.orders (id int NOT NULL PRIMARY KEY, total decimal(9,2) NOT NULL, phone dbo.Phone, name varchar(20) NULL);
CREATE UNIQUE INDEX ux_phone ON dbo.orders (phone);
CREATE TABLE dbo.lines (
    id int NOT NULL, [order] int NOT NULL CONSTRAINT fk_order FOREIGN KEY REFERENCES dbo.orders (id),
    CONSTRAINT pk_lines PRIMARY KEY (id)
);
GO
INSERT INTO dbo.orders VALUES (1, 9.50, N'1', 'a'), (2, 10.50, N'2', 'b');
INSERT INTO dbo.lines VALUES (1, 1), (2, 1);
GO
EXEC simulator_quirk 'no sys schema', 'on'
