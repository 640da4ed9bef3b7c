-- CLR types come as their bytes, and json and vector as text, as to any client that has not asked for more.
-- Row 1 is NULL, 2 the least and the empty, 3 the greatest and an emoji, 4 what takes many packets.
CREATE TABLE dbo.kinds (
    id int NOT NULL PRIMARY KEY,
    c_bit bit NULL, c_tinyint tinyint NULL, c_smallint smallint NULL, c_int int NULL, c_bigint bigint NULL,
    c_decimal decimal(38,10) NULL, c_numeric numeric(9,2) NULL, c_money money NULL, c_smallmoney smallmoney NULL,
    c_real real NULL, c_float float NULL,
    c_date date NULL, c_time time(7) NULL, c_datetime datetime NULL, c_smalldatetime smalldatetime NULL,
    c_datetime2 datetime2(7) NULL, c_datetimeoffset datetimeoffset(7) NULL,
    c_char char(5) NULL, c_varchar varchar(8000) NULL, c_nchar nchar(4) NULL, c_nvarchar nvarchar(4000) NULL,
    c_varchar_max varchar(max) NULL, c_nvarchar_max nvarchar(max) NULL, c_text text NULL, c_ntext ntext NULL,
    c_binary binary(3) NULL, c_varbinary varbinary(8000) NULL, c_varbinary_max varbinary(max) NULL, c_image image NULL,
    c_uniqueidentifier uniqueidentifier NULL, c_xml xml NULL, c_sql_variant sql_variant NULL,
    c_hierarchyid hierarchyid NULL, c_geometry geometry NULL, c_geography geography NULL,
    c_json json NULL, c_vector vector(3) NULL,
    c_rowversion rowversion NOT NULL
);
GO
INSERT INTO dbo.kinds (id) VALUES (1);
INSERT INTO dbo.kinds (id, c_bit, c_tinyint, c_smallint, c_int, c_bigint, c_decimal, c_numeric, c_money, c_smallmoney,
    c_real, c_float, c_date, c_time, c_datetime, c_smalldatetime, c_datetime2, c_datetimeoffset, c_char, c_varchar,
    c_nchar, c_nvarchar, c_varchar_max, c_nvarchar_max, c_text, c_ntext, c_binary, c_varbinary, c_varbinary_max,
    c_image, c_uniqueidentifier, c_xml, c_sql_variant, c_hierarchyid, c_geometry, c_geography, c_json, c_vector)
VALUES (2, 0, 0, -32768, -2147483648, -9223372036854775808, '-9999999999999999999999999999.9999999999', '-9999999.99',
    '-922337203685477.5808', '-214748.3648', -0.5, -1.79E+308, '0001-01-01', '00:00:00', '1753-01-01', '1900-01-01',
    '0001-01-01', '0001-01-01T14:00:00+14:00', '', '', N'', N'', '', N'', '', N'', 0x, 0x, 0x, 0x,
    '00000000-0000-0000-0000-000000000000', N'', CAST(-42 AS int),
    hierarchyid::Parse('/'), geometry::STGeomFromText('POINT (0 0)', 0), geography::Point(0, 0, 4326), N'{}',
    N'[0.0000000e+000,0.0000000e+000,0.0000000e+000]');
INSERT INTO dbo.kinds (id, c_bit, c_tinyint, c_smallint, c_int, c_bigint, c_decimal, c_numeric, c_money, c_smallmoney,
    c_real, c_float, c_date, c_time, c_datetime, c_smalldatetime, c_datetime2, c_datetimeoffset, c_char, c_varchar,
    c_nchar, c_nvarchar, c_varchar_max, c_nvarchar_max, c_text, c_ntext, c_binary, c_varbinary, c_varbinary_max,
    c_image, c_uniqueidentifier, c_xml, c_sql_variant, c_hierarchyid, c_geometry, c_geography, c_json, c_vector)
VALUES (3, 1, 255, 32767, 2147483647, 9223372036854775807, '9999999999999999999999999999.9999999999', '9999999.99',
    '922337203685477.5807', '214748.3647', 0.5, 1.79E+308, '9999-12-31', '23:59:59.9999999', '9999-12-31T23:59:59.997',
    '2079-06-06T23:59:00', '9999-12-31T23:59:59.9999999', '2024-01-02T03:04:05.1234567-14:00', 'ab', 'caf' + CHAR(233),
    N'é', N'a😀', 'x', N'😀b', 't', N'😀', 0x01, 0x00FF, 0x00FF, 0xFF00,
    '00112233-4455-6677-8899-AABBCCDDEEFF', N'<a>é</a>', CAST(42 AS int),
    hierarchyid::Parse('/8/'), geometry::STGeomFromText('POINT (-1 -2)', 0), geography::Point(-2, -1, 4326), N'{"a":"é"}',
    N'[1.0000000e+000,-2.5000000e+000,3.0000000e-001]');
INSERT INTO dbo.kinds (id, c_varchar, c_nvarchar, c_varchar_max, c_nvarchar_max, c_text, c_ntext, c_varbinary,
    c_varbinary_max, c_image)
VALUES (4, LEFT(REPLICATE('abcdefg', 1142) + 'abcdef', 8000), LEFT(REPLICATE(N'abcdefg', 571) + N'abc', 4000),
    REPLICATE(CAST('abcdefg' AS varchar(max)), 42858), REPLICATE(CAST(N'abcdefg' AS nvarchar(max)), 42858),
    REPLICATE(CAST('abcdefg' AS varchar(max)), 42858), REPLICATE(CAST(N'abcdefg' AS nvarchar(max)), 42858),
    CAST(REPLICATE('abcdefg', 1142) + 'abcdef' AS varbinary(8000)),
    CAST(REPLICATE(CAST('abcdefg' AS varchar(max)), 42858) AS varbinary(max)),
    CAST(REPLICATE(CAST('abcdefg' AS varchar(max)), 42858) AS varbinary(max)));
GO
CREATE TABLE dbo.plain (id int NOT NULL PRIMARY KEY, t tinyint NULL, s smallint NULL, b bigint NULL, n nvarchar(20) NULL, u uniqueidentifier NULL);
GO
INSERT INTO dbo.plain (id, t, s, b, n, u) VALUES (1, 255, -32768, 9223372036854775807, N'café', '6F9619FF-8B86-D011-B42D-00C04FC964FF');
INSERT INTO dbo.plain (id) VALUES (2);
