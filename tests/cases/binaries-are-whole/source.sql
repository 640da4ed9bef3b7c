-- Peers cut binaries at 4 KB or 64,512 bytes and text at 2,048, and say nothing.
CREATE TABLE dbo.files (id int NOT NULL PRIMARY KEY, content varbinary(max) NULL, old image NULL, words text NULL, wide ntext NULL, small varbinary(10) NULL);
GO
INSERT INTO dbo.files (id, content, old, words, wide, small) VALUES
    (1,
     CAST(REPLICATE(CAST('0123456789' AS varchar(max)), 300000) AS varbinary(max)),
     CAST(REPLICATE(CAST('abcdefgh' AS varchar(max)), 10000) AS varbinary(max)),
     REPLICATE(CAST('long ' AS varchar(max)), 20000),
     REPLICATE(CAST(N'длинно ' AS nvarchar(max)), 20000),
     0x00),
    (2, 0x, 0x, '', N'', 0x),
    (3, NULL, NULL, NULL, NULL, NULL),
    (4, 0x0001027F80FF, 0x5C4E, '\N', N'\.', 0x00000000000000000000);
