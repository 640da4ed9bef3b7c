//! The values: each source type with its boundaries, and what the target must hold, written down by hand.

use super::{Column, Value, cut, exact, made};

/// Every type, as PostgreSQL must hold it.
#[rustfmt::skip]
pub fn columns() -> Vec<Column> {
    let mut all = numbers();
    all.extend(moments());
    all.extend(texts());
    all.extend(code_pages());
    all.extend(bytes_and_documents());
    all
}

#[rustfmt::skip]
fn numbers() -> Vec<Column> {
    vec![
        Column::new("bit", "boolean", vec![exact("0", "false"), exact("1", "true")]),
        Column::new("tinyint", "smallint", vec![exact("0", "0"), exact("255", "255")]),
        Column::new("smallint", "smallint", vec![exact("-32768", "-32768"), exact("0", "0"), exact("32767", "32767")]),
        Column::new("int", "integer", vec![exact("-2147483648", "-2147483648"), exact("0", "0"), exact("2147483647", "2147483647")]),
        Column::new("bigint", "bigint", vec![exact("-9223372036854775808", "-9223372036854775808"), exact("-1", "-1"), exact("9223372036854775807", "9223372036854775807")]),
        Column::new("decimal(38,0)", "numeric(38,0)", vec![exact("-99999999999999999999999999999999999999", "-99999999999999999999999999999999999999"), exact("0", "0"), exact("99999999999999999999999999999999999999", "99999999999999999999999999999999999999")]),
        Column::new("decimal(38,38)", "numeric(38,38)", vec![exact("-0.99999999999999999999999999999999999999", "-0.99999999999999999999999999999999999999"), exact("0.00000000000000000000000000000000000001", "0.00000000000000000000000000000000000001")]),
        Column::new("decimal(1,0)", "numeric(1,0)", vec![exact("-9", "-9"), exact("9", "9")]),
        Column::new("numeric(19,4)", "numeric(19,4)", vec![exact("-999999999999999.9999", "-999999999999999.9999"), exact("0.0001", "0.0001"), exact("10000", "10000.0000"), exact("1.5", "1.5000")]),
        Column::new("numeric(28,10)", "numeric(28,10)", vec![exact("123456789012345678.0123456789", "123456789012345678.0123456789"), exact("-0.0000000001", "-0.0000000001")]),
        Column::new("money", "numeric(19,4)", vec![exact("-922337203685477.5808", "-922337203685477.5808"), exact("922337203685477.5807", "922337203685477.5807"), exact("0.0001", "0.0001"), exact("900000000000.0001", "900000000000.0001")]),
        Column::new("smallmoney", "numeric(10,4)", vec![exact("-214748.3648", "-214748.3648"), exact("214748.3647", "214748.3647"), exact("0", "0.0000")]),
        Column::new("float", "double precision", vec![exact("4.9406564584124654E-324", "5e-324"), exact("1.7976931348623157E308", "1.7976931348623157e+308"), exact("-1.7976931348623157E308", "-1.7976931348623157e+308"), exact("2.2250738585072014E-308", "2.2250738585072014e-308"), exact("0.1E0", "0.1"), exact("0E0", "0"), exact("123456789.12345679E0", "123456789.12345679"), exact("9007199254740993E0", "9.007199254740992e+15")]),
        Column::new("real", "real", vec![exact("3.4028235E38", "3.4028235e+38"), exact("1.17549435E-38", "1.1754944e-38"), exact("1.4E-45", "1e-45"), exact("0.1E0", "0.1"), exact("16777217E0", "1.6777216e+07"), exact("-1.5E0", "-1.5")]),
    ]
}

#[rustfmt::skip]
fn moments() -> Vec<Column> {
    vec![
        Column::new("date", "date", vec![exact("'0001-01-01'", "0001-01-01"), exact("'9999-12-31'", "9999-12-31"), exact("'1582-10-10'", "1582-10-10"), exact("'2000-02-29'", "2000-02-29")]),
        Column::new("time(0)", "time(0)", vec![exact("'00:00:00'", "00:00:00"), exact("'23:59:59'", "23:59:59")]),
        Column::new("time(3)", "time(3)", vec![exact("'23:59:59.999'", "23:59:59.999"), exact("'01:02:03.004'", "01:02:03.004")]),
        Column::new("time(7)", "time(6)", vec![exact("'12:34:56.123456'", "12:34:56.123456"), cut("'23:59:59.9999999'", "23:59:59.999999"), cut("'00:00:00.0000001'", "00:00:00")]),
        Column::new("datetime", "timestamp(3)", vec![exact("'1753-01-01T00:00:00'", "1753-01-01 00:00:00"), exact("'9999-12-31T23:59:59.997'", "9999-12-31 23:59:59.997"), exact("'2026-11-20T12:00:00.003'", "2026-11-20 12:00:00.003"), exact("'2026-11-20T12:00:00.007'", "2026-11-20 12:00:00.007"), exact("'2026-11-20T12:00:00.010'", "2026-11-20 12:00:00.01")]),
        Column::new("smalldatetime", "timestamp(0)", vec![exact("'1900-01-01T00:00:00'", "1900-01-01 00:00:00"), exact("'2079-06-06T23:59:00'", "2079-06-06 23:59:00"), exact("'2026-01-01T12:00:30'", "2026-01-01 12:01:00")]),
        Column::new("datetime2(0)", "timestamp(0)", vec![exact("'0001-01-01T00:00:00'", "0001-01-01 00:00:00"), exact("'9999-12-31T23:59:59'", "9999-12-31 23:59:59")]),
        Column::new("datetime2(1)", "timestamp(1)", vec![exact("'1899-12-31T23:59:59.9'", "1899-12-31 23:59:59.9")]),
        Column::new("datetime2(2)", "timestamp(2)", vec![exact("'2100-02-28T23:59:59.99'", "2100-02-28 23:59:59.99")]),
        Column::new("datetime2(3)", "timestamp(3)", vec![exact("'1969-12-31T23:59:59.999'", "1969-12-31 23:59:59.999")]),
        Column::new("datetime2(4)", "timestamp(4)", vec![exact("'2000-02-29T00:00:00.0001'", "2000-02-29 00:00:00.0001")]),
        Column::new("datetime2(5)", "timestamp(5)", vec![exact("'1000-01-01T12:00:00.12345'", "1000-01-01 12:00:00.12345")]),
        Column::new("datetime2(6)", "timestamp(6)", vec![exact("'9999-12-31T23:59:59.999999'", "9999-12-31 23:59:59.999999")]),
        Column::new("datetime2(7)", "timestamp(6)", vec![exact("'1999-12-31T23:59:59.123456'", "1999-12-31 23:59:59.123456"), cut("'9999-12-31T23:59:59.9999999'", "9999-12-31 23:59:59.999999"), cut("'0001-01-01T00:00:00.0000001'", "0001-01-01 00:00:00")]),
        Column::new("datetimeoffset(0)", "timestamptz(0)", vec![exact("'2026-11-20T12:00:00+00:00'", "2026-11-20 12:00:00+00"), made("'2026-11-20T12:00:00+05:30'", "2026-11-20 06:30:00+00", "offset dropped, instant kept")]),
        Column::new("datetimeoffset(7)", "timestamptz(6)", vec![exact("'0001-01-01T00:00:00+00:00'", "0001-01-01 00:00:00+00"), cut("'9999-12-31T23:59:59.9999999+00:00'", "9999-12-31 23:59:59.999999+00"), made("'2026-01-01T00:00:00.5-14:00'", "2026-01-01 14:00:00.5+00", "offset dropped, instant kept")]),
    ]
}

/// What any text column must carry.
#[rustfmt::skip]
fn awkward() -> Vec<Value> {
    vec![
        exact("''", ""), exact("' '", " "), exact("'two  '", "two  "), exact("'it''s \"q\"'", "it's \"q\""),
        exact(r"'a\b'", r"a\b"), exact(r"'\N'", r"\N"), exact("CHAR(9) + CHAR(10) + CHAR(13)", "\t\n\r"), exact("'~,1,'", "~,1,"), exact("'NULL'", "NULL"),
    ]
}

#[rustfmt::skip]
fn texts() -> Vec<Column> {
    let wide = || {
        let mut values = awkward();
        values.extend([exact("N'🚚 注文'", "🚚 注文"), exact("N'e' + NCHAR(769)", "e\u{301}"), exact("NCHAR(65533)", "\u{FFFD}"), exact("NCHAR(65279) + N'x'", "\u{FEFF}x")]);
        values
    };
    let long = |prefix: &str, unit: &'static str, times: usize| {
        exact(&format!("REPLICATE(CAST({prefix}'{unit}' AS {}(max)), {times})", if prefix.is_empty() { "varchar" } else { "nvarchar" }), &unit.repeat(times))
    };
    vec![
        Column::new("char(5)", "character(5)", vec![exact("''", "     "), exact("'ab'", "ab   "), exact("'  x'", "  x  "), exact("N'café€'", "café€")]),
        Column::new("varchar(20)", "character varying(20)", awkward()),
        Column::new("varchar(8000)", "character varying(8000)", vec![exact("REPLICATE('x', 8000)", &"x".repeat(8000))]),
        Column::new("nchar(5)", "character(5)", vec![exact("N''", "     "), exact("N'é'", "é    "), exact("N'日本語日本'", "日本語日本")]),
        Column::new("nvarchar(20)", "character varying(20)", wide()),
        Column::new("nvarchar(4000)", "character varying(4000)", vec![exact("REPLICATE(N'ü', 4000)", &"ü".repeat(4000))]),
        Column::new("varchar(max)", "text", { let mut values = awkward(); values.push(long("", "stopgap ", 400_000)); values }),
        Column::new("nvarchar(max)", "text", { let mut values = wide(); values.push(long("N", "ü🦀", 500_000)); values }),
        Column::new("text", "text", { let mut values = awkward(); values.push(exact("REPLICATE(CAST('x' AS varchar(max)), 9000)", &"x".repeat(9000))); values }),
        Column::new("ntext", "text", wide()),
        Column::new("dbo.Phone", "character varying(20)", vec![exact("N'+49 30 123'", "+49 30 123")]),
    ]
}

/// A collation of every code page.
#[rustfmt::skip]
fn code_pages() -> Vec<Column> {
    [
        ("Latin1_General_CI_AS", "café €"), ("Polish_CI_AS", "zażółć"), ("Cyrillic_General_CI_AS", "Привет"), ("Greek_CI_AS", "Ελλάδα"),
        ("Turkish_CI_AS", "İğdır"), ("Hebrew_CI_AS", "שלום"), ("Arabic_CI_AS", "سلام"), ("Estonian_CI_AS", "õäöü"), ("Vietnamese_CI_AS", "đông"),
        ("Thai_CI_AS", "สวัสดี"), ("Japanese_CI_AS", "日本語ｶﾅ"), ("Chinese_PRC_CI_AS", "中文"), ("Korean_Wansung_CI_AS", "한국어"),
        ("Chinese_Taiwan_Stroke_CI_AS", "繁體"), ("SQL_Latin1_General_CP437_CI_AS", "naïve ½"), ("SQL_Latin1_General_CP850_CI_AS", "Ørsted"),
        ("Latin1_General_100_CI_AS_SC_UTF8", "🦀 ok"),
    ]
    .into_iter()
    .map(|(collation, text)| Column::new(&format!("varchar(40) COLLATE {collation}"), "character varying(40)", vec![exact(&format!("N'{text}'"), text)]))
    .collect()
}

#[rustfmt::skip]
fn bytes_and_documents() -> Vec<Column> {
    let all: String = (0..=255).map(|byte| format!("{byte:02x}")).collect();
    vec![
        Column::new("binary(4)", "bytea", vec![exact("0x", "00000000"), exact("0xFF00FF00", "ff00ff00"), exact("0x01", "01000000")]),
        Column::new("varbinary(300)", "bytea", vec![exact("0x", ""), exact("0x00", "00"), exact(&format!("0x{all}"), &all)]),
        Column::new("varbinary(max)", "bytea", vec![exact("0x", ""), exact("CAST(REPLICATE(CAST('ab' AS varchar(max)), 1000000) AS varbinary(max))", &"6162".repeat(1_000_000))]),
        Column::new("image", "bytea", vec![exact("0x5C4E0A09", "5c4e0a09")]),
        Column::new("uniqueidentifier", "uuid", vec![exact("'00000000-0000-0000-0000-000000000000'", "00000000-0000-0000-0000-000000000000"), exact("'01020304-0506-0708-090A-0B0C0D0E0F10'", "01020304-0506-0708-090a-0b0c0d0e0f10"), exact("'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF'", "ffffffff-ffff-ffff-ffff-ffffffffffff")]),
        Column::new("xml", "xml", vec![exact("N'<a b=\"ü\"><c/></a>'", "<a b=\"ü\"><c/></a>"), exact("N''", ""), exact("N'text<b/>'", "text<b/>")]),
        Column::new("sql_variant", "text", vec![exact("CAST(42 AS int)", "42"), exact("CAST(N'日本 🗾' AS nvarchar(20))", "日本 🗾"), exact("CAST(922337203685477.5807 AS money)", "922337203685477.5807"), exact("CAST(1.50 AS decimal(10,3))", "1.500"), exact("CAST('2024-02-29' AS date)", "2024-02-29"), exact("CAST(1 AS bit)", "1"), exact("CAST('6F9619FF-8B86-D011-B42D-00C04FC964FF' AS uniqueidentifier)", "6F9619FF-8B86-D011-B42D-00C04FC964FF")]),
        Column::new("sql_variant", "text", long_variants()),
        Column::new("hierarchyid", "text", vec![exact("CAST('/' AS hierarchyid)", "/"), exact("CAST('/1/20/3/' AS hierarchyid)", "/1/20/3/"), exact("CAST('/-1/2.5/' AS hierarchyid)", "/-1/2.5/"), exact("CAST('/' + REPLICATE('1/', 400) AS hierarchyid)", &format!("/{}", "1/".repeat(400)))]),
        Column::new("geometry", "text", vec![exact("geometry::STGeomFromText('LINESTRING (0 0, 1 1.5)', 0)", "SRID=0;LINESTRING (0 0, 1 1.5)"), exact("geometry::STGeomFromText('POINT (1 2 3 4)', 3857)", "SRID=3857;POINT (1 2 3 4)"), exact("geometry::STGeomFromText('POLYGON EMPTY', 0)", "SRID=0;POLYGON EMPTY")]),
        Column::new("geography", "text", vec![exact("geography::STGeomFromText('POINT (13.25 52.5)', 4326)", "SRID=4326;POINT (13.25 52.5)")]),
        Column::new("json", "json", vec![exact("N'{\"b\": 1, \"a\": [1.50, null, \"ü\"]}'", "{\"b\": 1, \"a\": [1.50, null, \"ü\"]}"), exact("N'[]'", "[]")]),
        Column::new("vector(3)", "real[]", vec![exact("N'[1.0000000e+000,-2.5000000e+000,0.0000000e+000]'", "{1,-2.5,0}")]),
        Column::new("rowversion", "bytea", vec![]),
    ]
}

/// The longest values that a variant holds; as hexadecimal digits they are twice as long.
fn long_variants() -> Vec<Value> {
    vec![
        exact("CAST(REPLICATE('x', 8000) AS varchar(8000))", &"x".repeat(8000)),
        exact("CAST(REPLICATE(N'ü', 4000) AS nvarchar(4000))", &"ü".repeat(4000)),
        exact("CAST(REPLICATE('ab', 4000) AS varbinary(8000))", &format!("0x{}", "6162".repeat(4000))),
        exact("CAST(0x00FF AS binary(2))", "0x00FF"),
        exact("CAST(0.1E0 AS float)", "1.0000000000000001e-001"),
        exact("CAST('23:59:59.9999999' AS time(7))", "23:59:59.9999999"),
        exact("CAST('9999-12-31T23:59:59.997' AS datetime)", "9999-12-31 23:59:59.997"),
        exact("CAST('2026-11-20T12:00:00.1234567+05:30' AS datetimeoffset(7))", "2026-11-20 12:00:00.1234567 +05:30"),
    ]
}

#[rustfmt::skip]
pub fn overrides() -> Vec<Column> {
    vec![
        Column::new("bit", "integer", vec![exact("1", "1")]).wanted(),
        Column::new("int", "bigint", vec![exact("-5", "-5")]).wanted(),
        Column::new("int", "numeric(12,2)", vec![exact("-5", "-5.00")]).wanted(),
        Column::new("decimal(10,2)", "numeric(14,4)", vec![exact("-12345678.90", "-12345678.9000")]).wanted(),
        Column::new("real", "double precision", vec![exact("0.1E0", "0.10000000149011612")]).wanted(),
        Column::new("decimal(10,2)", "text", vec![exact("-0.50", "-0.50")]).wanted(),
        Column::new("date", "text", vec![exact("'0001-01-01'", "0001-01-01")]).wanted(),
        Column::new("datetime2(7)", "text", vec![exact("'9999-12-31T23:59:59.9999999'", "9999-12-31 23:59:59.9999999")]).wanted(),
        Column::new("datetimeoffset(7)", "text", vec![exact("'2026-11-20T12:00:00.1234567+05:30'", "2026-11-20 12:00:00.1234567 +05:30")]).wanted(),
        Column::new("uniqueidentifier", "text", vec![exact("'01020304-0506-0708-090A-0B0C0D0E0F10'", "01020304-0506-0708-090a-0b0c0d0e0f10")]).wanted(),
        Column::new("nvarchar(40)", "text", vec![exact("N'🦀'", "🦀")]).wanted(),
        Column::new("nvarchar(max)", "json", vec![exact("N'{\"b\": 1, \"a\": 1.50}'", "{\"b\": 1, \"a\": 1.50}")]).wanted(),
        Column::new("nvarchar(max)", "jsonb", vec![exact("N'{\"b\": 1, \"a\": 1.50}'", "{\"a\": 1.50, \"b\": 1}")]).wanted(),
        Column::new("nvarchar(max)", "xml", vec![exact("N'<a/>'", "<a/>")]).wanted(),
        Column::new("varchar(5)", "character varying(50)", vec![exact("'abc'", "abc")]).wanted(),
    ]
}
