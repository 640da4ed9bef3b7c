-- A decimal's seed may be beyond bigint. It must not take their seeds from the identities of other tables.
CREATE TABLE dbo.big_dec (id decimal(38,0) IDENTITY(10000000000000000000000,1) NOT NULL PRIMARY KEY, v int);
CREATE TABLE dbo.down (id int IDENTITY(-1,-1) NOT NULL PRIMARY KEY, v int);
CREATE TABLE dbo.by_ten (id int IDENTITY(10,10) NOT NULL PRIMARY KEY, v int);
GO
SET IDENTITY_INSERT dbo.big_dec ON;
INSERT INTO dbo.big_dec (id, v) VALUES (10000000000000000000000, 1);
SET IDENTITY_INSERT dbo.big_dec OFF;
GO
INSERT INTO dbo.down (v) VALUES (1),(2);
INSERT INTO dbo.by_ten (v) VALUES (1),(2);
