-- Code-page columns, characters outside the BMP, and what a text format would have to escape.
CREATE TABLE dbo.texts (
    id int NOT NULL PRIMARY KEY,
    latin varchar(40) COLLATE Latin1_General_CI_AS NULL,
    cyrillic varchar(40) COLLATE Cyrillic_General_CI_AS NULL,
    wide nvarchar(40) NULL,
    fixed nchar(4) NULL
);
GO
INSERT INTO dbo.texts (id, latin, cyrillic, wide, fixed) VALUES
    (1, N'Zoë – 10 €', N'Привет', N'🚚 注文 ok', N'ab'),
    (2, '', '', N'', N''),
    (3, ' ', ' x ', N'  ', N'😀'),
    (4, '\N', 'a\b', N'it''s "quoted"', N'\N'),
    (5, NULL, NULL, NULL, NULL);
