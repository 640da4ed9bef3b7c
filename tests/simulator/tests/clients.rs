//! The wire, held to clients that nobody here wrote: FreeTDS, pymssql (which is FreeTDS's db-lib), python-tds, Microsoft's ODBC driver, its
//! crate mssql-tds, and tedious.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod foreign;

use std::{
    path::Path,
    process::{Command, Stdio},
};
use stopgap_servers::simulator::{PASSWORD, Simulator, USER};

use foreign::{DATABASE, mssql_tds, python, simulator, tedious};

/// Column, then what the Python clients make of rows 2, 3 and 4. Row 1 is `None` but for the rowversion.
/// Python's times end at microseconds, so both clients cut the seventh digit.
const PYTHON: &[(&str, &str, &str, &str)] = &[
    ("c_bit", "False", "True", "None"),
    ("c_tinyint", "0", "255", "None"),
    ("c_smallint", "-32768", "32767", "None"),
    ("c_int", "-2147483648", "2147483647", "None"),
    ("c_bigint", "-9223372036854775808", "9223372036854775807", "None"),
    ("c_decimal", "-9999999999999999999999999999.9999999999", "9999999999999999999999999999.9999999999", "None"),
    ("c_numeric", "-9999999.99", "9999999.99", "None"),
    ("c_money", "-922337203685477.5808", "922337203685477.5807", "None"),
    ("c_smallmoney", "-214748.3648", "214748.3647", "None"),
    ("c_real", "-0.5", "0.5", "None"),
    ("c_float", "-1.79e+308", "1.79e+308", "None"),
    ("c_date", "0001-01-01", "9999-12-31", "None"),
    ("c_time", "00:00:00", "23:59:59.999999", "None"),
    ("c_datetime", "1753-01-01T00:00:00", "9999-12-31T23:59:59.997000", "None"),
    ("c_smalldatetime", "1900-01-01T00:00:00", "2079-06-06T23:59:00", "None"),
    ("c_datetime2", "0001-01-01T00:00:00", "9999-12-31T23:59:59.999999", "None"),
    ("c_datetimeoffset", "0001-01-01T14:00:00+14:00", "2024-01-02T03:04:05.123456-14:00", "None"),
    ("c_char", "'     '", "'ab   '", "None"),
    ("c_varchar", "''", r"'caf\xe9'", "str 8000 as written"),
    ("c_nchar", "'    '", r"'\xe9   '", "None"),
    ("c_nvarchar", "''", r"'a\U0001f600'", "str 4000 as written"),
    ("c_varchar_max", "''", "'x'", "str 300006 as written"),
    ("c_nvarchar_max", "''", r"'\U0001f600b'", "str 300006 as written"),
    ("c_text", "''", "'t'", "str 300006 as written"),
    ("c_ntext", "''", r"'\U0001f600'", "str 300006 as written"),
    ("c_binary", r"b'\x00\x00\x00'", r"b'\x01\x00\x00'", "None"),
    ("c_varbinary", "b''", r"b'\x00\xff'", "bytes 8000 as written"),
    ("c_varbinary_max", "b''", r"b'\x00\xff'", "bytes 300006 as written"),
    ("c_image", "b''", r"b'\xff\x00'", "bytes 300006 as written"),
    ("c_uniqueidentifier", "00000000-0000-0000-0000-000000000000", "00112233-4455-6677-8899-aabbccddeeff", "None"),
    ("c_xml", "''", r"'<a>\xe9</a>'", "None"),
    ("c_sql_variant", "-42", "42", "None"),
    ("c_hierarchyid", "b''", r"b'\xa2'", "None"),
    (
        "c_geometry",
        r"b'\x00\x00\x00\x00\x01\x0c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00'",
        r"b'\x00\x00\x00\x00\x01\x0c\x00\x00\x00\x00\x00\x00\xf0\xbf\x00\x00\x00\x00\x00\x00\x00\xc0'",
        "None",
    ),
    (
        "c_geography",
        r"b'\xe6\x10\x00\x00\x01\x0c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00'",
        r"b'\xe6\x10\x00\x00\x01\x0c\x00\x00\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00\xf0\xbf'",
        "None",
    ),
    ("c_json", "'{}'", r#"'{"a":"\xe9"}'"#, "None"),
    (
        "c_vector",
        "'[0.0000000e+000,0.0000000e+000,0.0000000e+000]'",
        "'[1.0000000e+000,-2.5000000e+000,3.0000000e-001]'",
        "None",
    ),
    ("c_rowversion", "as the server says", "as the server says", "as the server says"),
];

fn python_reads(client: &str, differs: &[(&str, &str, &str)]) {
    let simulator = simulator();
    assert_eq!(python(&simulator, "read_types.py", &[client], &[]), all_rows(differs));
}

/// All rows as a client prints them, which reads some columns in its own way: column, and rows 2 and 3.
fn all_rows(differs: &[(&str, &str, &str)]) -> Vec<String> {
    let mut expected = Vec::new();
    for row in 1..=4 {
        for (column, least, greatest, large) in PYTHON {
            let own = differs.iter().find(|(name, ..)| name == column);
            let value = match row {
                1 if *column == "c_rowversion" => "as the server says",
                1 => "None",
                2 => own.map_or(*least, |own| own.1),
                3 => own.map_or(*greatest, |own| own.2),
                _ => large,
            };
            expected.push(format!("{row} {column} {value}"));
        }
    }
    expected
}

#[test]
fn pymssql_reads_every_type() {
    // db-lib knows no sql_variant and hands out the bytes of the value.
    python_reads("pymssql", &[("c_sql_variant", r"b'\xd6\xff\xff\xff'", r"b'*\x00\x00\x00'")]);
}

#[test]
fn python_tds_reads_every_type() {
    python_reads("pytds", &[]);
}

/// Each of another type than the one before, so that Microsoft's driver prepares the same statement anew.
#[test]
fn python_tds_and_microsofts_driver_send_every_type() {
    let expected = [
        "bool True",
        "int 255",
        "int -2147483648",
        "int -9223372036854775808",
        "float -0.5",
        "float 1.79e+308",
        "Decimal -1234.5678",
        "Decimal 9999999999999999999999999999.9999999999",
        "date 2024-02-29",
        "time 23:59:58.997000",
        "datetime 2024-02-29T23:59:58.997000",
        "datetime 2024-02-29T23:59:58.997000+05:30",
        "str ''",
        r"str 'caf\xe9 \U0001f600'",
        "str str 14000 as written",
        "bytes b''",
        r"bytes b'\x00\xff'",
        "bytes bytes 14000 as written",
        "UUID 00112233-4455-6677-8899-aabbccddeeff",
        "NoneType None",
    ];
    let simulator = simulator();
    for client in ["pytds", "mssql-python", "mssql-python-encrypted"] {
        assert_eq!(python(&simulator, "send_types.py", &[client], &[]), expected, "{client}");
    }
}

/// Microsoft's own driver: the package carries its ODBC driver 18.
#[test]
fn microsofts_driver_reads_every_type() {
    for client in ["mssql-python", "mssql-python-encrypted"] {
        python_reads(client, &[]);
    }
}

#[test]
fn mssql_tds_reads_every_type() {
    for encrypt in ["off", "on", "required", "strict"] {
        assert_eq!(mssql_tds("types", encrypt), all_rows(&[]), "encryption {encrypt}");
    }
}

#[test]
fn mssql_tds_sends_every_type() {
    let expected = [
        "Bit True",
        "TinyInt 255",
        "SmallInt -32768",
        "Int -2147483648",
        "BigInt -9223372036854775808",
        "Real -0.5",
        "Float 1.79e+308",
        "Decimal -1234.5678",
        "Numeric 9999999.99",
        "Money -1234.5678",
        "SmallMoney 214748.3647",
        "Date 2024-02-29",
        "Time 23:59:58.997000",
        "DateTime 2024-02-29T23:59:58.997000",
        "SmallDateTime 2079-06-06T23:59:00",
        "DateTime2 2024-02-29T23:59:58.997000",
        "DateTimeOffset 2024-03-01T05:29:58.997000+05:30",
        r"NVarchar 'a\U0001f600'",
        "NVarcharMax str 14000 as written",
        r"NChar '\xe9   '",
        r"VarBinary b'\x00\xff'",
        "VarBinaryMax bytes 14000 as written",
        r"Binary b'\x01\x00\x00'",
        "Uuid 00112233-4455-6677-8899-aabbccddeeff",
        "Null None",
    ];
    assert_eq!(mssql_tds("parameters", "on"), expected);
}

/// It makes doubles of exact numbers, and moments in UTC of those with an offset.
const TEDIOUS: &[(&str, &str, &str)] = &[
    ("c_decimal", "-1e+28", "1e+28"),
    ("c_money", "-922337203685477.6", "922337203685477.6"),
    ("c_datetimeoffset", "0001-01-01T00:00:00", "2024-01-02T17:04:05.123456"),
];

#[test]
fn tedious_reads_every_type() {
    for (task, encrypt) in [("types", "off"), ("types", "on"), ("types", "strict"), ("calls", "on")] {
        assert_eq!(tedious(task, encrypt), all_rows(TEDIOUS), "{task}, encryption {encrypt}");
    }
}

/// Each comes back as it was sent, and then as NULL.
#[test]
fn tedious_sends_every_type() {
    let sent = [
        "Bit True",
        "TinyInt 255",
        "SmallInt -32768",
        "Int -2147483648",
        "BigInt -9007199254740991",
        "Decimal -1234.5678",
        "Numeric 9999999.99",
        "Money -1234.5678",
        "SmallMoney 214748.3647",
        "Real -0.5",
        "Float 1.79e+308",
        "Date 2024-02-29",
        "Time 23:59:58.997000",
        "DateTime 2024-02-29T23:59:58.997000",
        "SmallDateTime 2079-06-06T23:59:00",
        "DateTime2 2024-02-29T23:59:58.997000",
        "DateTimeOffset 2024-02-29T23:59:58.997000",
        "Char 'ab   '",
        r"VarChar 'caf\xe9'",
        "VarChar str 14000 as written",
        r"NChar '\xe9   '",
        r"NVarChar 'a\U0001f600'",
        "NVarChar str 14000 as written",
        "Text 'text'",
        r"Binary b'\x01\x00\x00'",
        r"VarBinary b'\x00\xff'",
        "VarBinary bytes 14000 as written",
        r"Image b'\xff\x00'",
        "UniqueIdentifier 00112233-4455-6677-8899-aabbccddeeff",
    ];
    let null = |sent: &str| format!("{} None", sent.split(' ').next().unwrap());
    let expected: Vec<String> = sent.iter().flat_map(|sent| [(*sent).to_owned(), null(sent)]).collect();
    assert_eq!(tedious("parameters", "on"), expected);
}

#[test]
fn freetds_reads_every_type() {
    let simulator = simulator();
    let directory = tempfile::tempdir().unwrap();
    let queries = directory.path().join("queries.sql");
    let large = "SELECT c_varchar_max FROM dbo.kinds WHERE id = 4";
    std::fs::write(&queries, format!("SELECT * FROM dbo.kinds WHERE id < 4 ORDER BY id\ngo\n{large}\ngo\nexit\n"))
        .unwrap();
    let output = Command::new("tsql")
        .args(["-H", simulator.host(), "-p", &simulator.port().to_string(), "-U", USER, "-P", PASSWORD])
        .args(["-D", DATABASE, "-o", "qh", "-t", "|"])
        .env("TDSVER", "7.4")
        // tsql writes text in the locale's characters.
        .env("LC_ALL", "C.UTF-8")
        .stdin(std::fs::File::open(&queries).unwrap())
        .output()
        .expect("tsql cannot be started; is freetds-bin installed?");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = String::from_utf8(output.stdout).unwrap();
    // tsql shows times to the minute, a time on 1900-01-01, no offset, and nothing of CLR types: the Python clients are held to the rest.
    let least = "2|0|0|-32768|-2147483648|-9223372036854775808|-9999999999999999999999999999.9999999999|-9999999.99|\
                 -922337203685477.5808|-214748.3648|-0.5|-1.79e+308|Jan  1 1 12:00AM|Jan  1 1900 12:00AM|\
                 Jan  1 1753 12:00AM|Jan  1 1900 12:00AM|Jan  1 1 12:00AM|Jan  1 1 02:00PM|     ||    ||||||000000||||\
                 00000000-0000-0000-0000-000000000000||-42|{}|[0.0000000e+000,0.0000000e+000,0.0000000e+000]";
    let greatest = "3|1|255|32767|2147483647|9223372036854775807|9999999999999999999999999999.9999999999|9999999.99|\
                    922337203685477.5807|214748.3647|0.5|1.79e+308|Dec 31 9999 12:00AM|Jan  1 1900 11:59PM|\
                    Dec 31 9999 11:59PM|Jun  6 2079 11:59PM|Dec 31 9999 11:59PM|Jan  2 2024 03:04AM|ab   |café|é   |a😀|\
                    x|😀b|t|😀|010000|00ff|00ff|ff00|00112233-4455-6677-8899-AABBCCDDEEFF|<a>é</a>|42|{\"a\":\"é\"}|\
                    [1.0000000e+000,-2.5000000e+000,3.0000000e-001]";
    let null = format!("1{}", "|NULL".repeat(PYTHON.len() - 1));
    let lines: Vec<_> = read.lines().collect();
    assert_eq!(lines.len(), 4, "{read}");
    for (line, expected) in lines.iter().zip([null.as_str(), least, greatest]) {
        let (values, rowversion) = line.rsplit_once('|').unwrap();
        assert_eq!(values, expected);
        assert_eq!(rowversion.len(), 16, "eight bytes in hexadecimal: {rowversion}");
    }
    assert!(lines[3] == "abcdefg".repeat(42858), "the large value came as {} bytes", lines[3].len());
}

/// bsqldb knows neither uniqueidentifier nor the types of later protocols, and crashes on decimal(38,10).
#[test]
fn bsqldb_reads_what_it_knows() {
    let simulator = simulator();
    let directory = tempfile::tempdir().unwrap();
    let query = directory.path().join("query.sql");
    let columns = "id, c_tinyint, c_smallint, c_int, c_bigint, c_varchar, c_nvarchar";
    std::fs::write(&query, format!("SELECT {columns} FROM dbo.kinds WHERE id IN (1, 3) ORDER BY id\n")).unwrap();
    let server = format!("{}:{}", simulator.host(), simulator.port());
    let output = Command::new("bsqldb")
        .args(["-S", &server, "-U", USER, "-P", PASSWORD, "-D", DATABASE, "-t", "|", "-q"])
        .env("TDSVER", "7.4")
        .env("LC_ALL", "C.UTF-8")
        .stdin(std::fs::File::open(&query).unwrap())
        .output()
        .expect("bsqldb cannot be started; is freetds-bin installed?");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<String> = read
        .lines()
        .filter(|line| line.contains('|'))
        .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>().join("|"))
        .collect();
    let greatest = "3|255|32767|2147483647|9223372036854775807|café|a😀";
    assert!(rows.iter().any(|row| row == greatest), "{greatest} is not among {rows:#?}");
    assert!(rows.iter().any(|row| row.starts_with("1|NULL|NULL")), "{rows:#?}");
}

/// bcp asks for the columns with SET FMTONLY first, then for the rows.
#[test]
fn freebcp_copies_a_table_out() {
    let simulator = simulator();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kinds.bcp");
    let server = format!("{}:{}", simulator.host(), simulator.port());
    let output = Command::new("freebcp")
        .args(["dbo.plain", "out"])
        .arg(&file)
        .args(["-S", &server, "-U", USER, "-P", PASSWORD, "-D", DATABASE, "-c", "-t", "|"])
        .env("TDSVER", "7.4")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .expect("freebcp cannot be started; is freetds-bin installed?");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = std::fs::read_to_string(&file).unwrap();
    let expected = "1|255|-32768|9223372036854775807|café|6F9619FF-8B86-D011-B42D-00C04FC964FF\n2|||||\n";
    assert_eq!(read, expected);
}

fn freebcp(simulator: &Simulator, table: &str, direction: &str, file: &Path, more: &[&str]) -> std::process::Output {
    let server = format!("{}:{}", simulator.host(), simulator.port());
    Command::new("freebcp")
        .args([table, direction])
        .arg(file)
        .args(["-S", &server, "-U", USER, "-P", PASSWORD, "-D", DATABASE, "-c", "-t", "|"])
        .args(more)
        .env("TDSVER", "7.4")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .expect("freebcp cannot be started; is freetds-bin installed?")
}

/// INSERT BULK, then rows in packets of their own kind; what went in comes out again.
#[test]
fn freebcp_copies_a_table_in() {
    let simulator = simulator();
    let directory = tempfile::tempdir().unwrap();
    let (file, again) = (directory.path().join("in.bcp"), directory.path().join("out.bcp"));
    let rows: String = (10..1210).map(|id| format!("{id}|{}|-5||é😀 {id}|\n", id % 256)).collect();
    let first = "3|0|32767|-9223372036854775808|x|6F9619FF-8B86-D011-B42D-00C04FC964FF\n";
    std::fs::write(&file, format!("{first}{rows}")).unwrap();
    let output = freebcp(&simulator, "dbo.plain", "in", &file, &[]);
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("1201 rows copied"), "{told}");
    let output = freebcp(&simulator, "dbo.plain", "out", &again, &[]);
    assert!(output.status.success(), "{output:?}");
    let read = std::fs::read_to_string(&again).unwrap();
    let (_, loaded) = read.split_once("\n2|||||\n").expect("the rows that were there come first");
    assert_eq!(loaded, format!("{first}{rows}"));
}

#[test]
fn freebcp_is_told_of_a_row_that_is_there_already() {
    let simulator = simulator();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("in.bcp");
    std::fs::write(&file, "7|||||\n1|||||\n").unwrap();
    let output = freebcp(&simulator, "dbo.plain", "in", &file, &[]);
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("2627"), "{told}");
    let again = directory.path().join("out.bcp");
    freebcp(&simulator, "dbo.plain", "out", &again, &[]);
    let read = std::fs::read_to_string(&again).unwrap();
    assert_eq!(read.lines().count(), 2, "no row of the batch stays: {read}");
}
