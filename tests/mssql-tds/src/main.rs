//! What Microsoft's `mssql-tds` makes of the simulator: a line for each value or error.
//!
//! Usage: mssql-tds-client types|parameters|errors|cancel off|on|required|strict PORT USER PASSWORD DATABASE CERTIFICATE

mod rendered;

use mssql_tds::connection::client_context::ClientContext;
use mssql_tds::connection::tds_client::{ExecuteOptions, ResultSet as _, TdsClient};
use mssql_tds::connection_provider::tds_connection_provider::TdsConnectionProvider;
use mssql_tds::core::{CancelHandle, EncryptionSetting};
use mssql_tds::datatypes::column_values::{
    ColumnValues, SqlDate, SqlDateTime, SqlDateTime2, SqlDateTimeOffset, SqlMoney, SqlSmallDateTime, SqlSmallMoney,
    SqlTime,
};
use mssql_tds::datatypes::decoder::DecimalParts;
use mssql_tds::datatypes::sql_string::SqlString;
use mssql_tds::datatypes::sqltypes::SqlType;
use mssql_tds::error::Error;
use mssql_tds::message::parameters::rpc_parameters::{RpcParameter, StatusFlags};
use rendered::rendered;
use std::time::Duration;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [task, mode, port, user, password, database, certificate] = arguments.as_slice() else {
        return Err("seven arguments, please".into());
    };
    let mut context = ClientContext::default();
    context.user_name.clone_from(user);
    context.password.clone_from(password);
    context.database.clone_from(database);
    context.encryption_options.mode = match mode.as_str() {
        "off" => EncryptionSetting::PreferOff,
        "on" => EncryptionSetting::On,
        "required" => EncryptionSetting::Required,
        _ => EncryptionSetting::Strict,
    };
    // Pinned: the very certificate must come.
    context.encryption_options.server_certificate = Some(certificate.into());
    let mut client = TdsConnectionProvider {}.create_client(context, &format!("tcp:127.0.0.1,{port}"), None).await?;
    match task.as_str() {
        "types" => types(&mut client).await,
        "parameters" => parameters(&mut client).await,
        "errors" => errors(&mut client).await,
        _ => cancel(&mut client).await,
    }
}

async fn types(client: &mut TdsClient) -> Result<()> {
    let sql = "SELECT *, CAST(c_rowversion AS bigint) AS number FROM dbo.kinds ORDER BY id";
    client.execute(sql.to_owned(), ()).await?;
    let names: Vec<String> = client.get_metadata().iter().map(|column| column.column_name.clone()).collect();
    while let Some(row) = client.next_row().await? {
        let (Some(ColumnValues::Int(id)), Some(ColumnValues::BigInt(number))) = (row.first(), row.last()) else {
            return Err("a row without its numbers".into());
        };
        for (name, value) in names.iter().zip(&row).skip(1).take(row.len() - 2) {
            match value {
                ColumnValues::Bytes(stamp) if name == "c_rowversion" => {
                    let same = stamp.as_slice() == number.to_be_bytes();
                    println!("{id} {name} {}", if same { "as the server says" } else { "another" });
                }
                value => println!("{id} {name} {}", rendered(value)),
            }
        }
    }
    client.close_query().await?;
    Ok(())
}

fn sent() -> Result<Vec<(&'static str, SqlType)>> {
    let text = |text: &str| Some(SqlString::from_utf8_string(text.to_owned()));
    let long = || "abcdefg".repeat(2000);
    let time = || SqlTime { time_nanoseconds: 863_989_970_000, scale: 7 };
    let moment = || SqlDateTime2 { days: 738_944, time: time() };
    Ok(vec![
        ("Bit", SqlType::Bit(Some(true))),
        ("TinyInt", SqlType::TinyInt(Some(255))),
        ("SmallInt", SqlType::SmallInt(Some(i16::MIN))),
        ("Int", SqlType::Int(Some(i32::MIN))),
        ("BigInt", SqlType::BigInt(Some(i64::MIN))),
        ("Real", SqlType::Real(Some(-0.5))),
        ("Float", SqlType::Float(Some(1.79e308))),
        ("Decimal", SqlType::Decimal(Some(DecimalParts::from_string("-1234.5678", 19, 4)?))),
        ("Numeric", SqlType::Numeric(Some(DecimalParts::from_string("9999999.99", 9, 2)?))),
        ("Money", SqlType::Money(Some(SqlMoney::from((-12_345_678, -1))))),
        ("SmallMoney", SqlType::SmallMoney(Some(SqlSmallMoney { int_val: i32::MAX }))),
        ("Date", SqlType::Date(Some(SqlDate::create(738_944)?))),
        ("Time", SqlType::Time(Some(time()))),
        ("DateTime", SqlType::DateTime(Some(SqlDateTime { days: 45_349, time: 25_919_699 }))),
        ("SmallDateTime", SqlType::SmallDateTime(Some(SqlSmallDateTime { days: 65_535, time: 1439 }))),
        ("DateTime2", SqlType::DateTime2(Some(moment()))),
        ("DateTimeOffset", SqlType::DateTimeOffset(Some(SqlDateTimeOffset { datetime2: moment(), offset: 330 }))),
        ("NVarchar", SqlType::NVarchar(text("a😀"), 10)),
        ("NVarcharMax", SqlType::NVarcharMax(text(&long()))),
        ("NChar", SqlType::NChar(text("é   "), 4)),
        ("VarBinary", SqlType::VarBinary(Some(vec![0, 255]), 2)),
        ("VarBinaryMax", SqlType::VarBinaryMax(Some(long().into_bytes()))),
        ("Binary", SqlType::Binary(Some(vec![1, 0, 0]), 3)),
        ("Uuid", SqlType::Uuid(Some(uuid::Uuid::parse_str("00112233-4455-6677-8899-aabbccddeeff")?))),
        ("Null", SqlType::Int(None)),
    ])
}

async fn parameters(client: &mut TdsClient) -> Result<()> {
    for (name, value) in sent()? {
        let parameter = RpcParameter::new(Some("@p".to_owned()), StatusFlags::NONE, value);
        client.execute_sp_executesql("SELECT @p AS v".to_owned(), vec![parameter], ()).await?;
        while let Some(row) = client.next_row().await? {
            println!("{name} {}", rendered(&row[0]));
        }
        client.close_query().await?;
    }
    Ok(())
}

fn told(error: &Error) -> String {
    match error {
        Error::SqlServerError { diagnostics } => {
            let error = &diagnostics.errors[0];
            let line = error.line_number.unwrap_or_default();
            let procedure = error.proc_name.as_deref().filter(|name| !name.is_empty()).unwrap_or("-");
            format!("error {}|{}|{}|{line}|{procedure}|{}", error.number, error.class, error.state, error.message)
        }
        Error::OperationCancelledError(_) => "cancelled".to_owned(),
        other => format!("other {other}"),
    }
}

async fn run(client: &mut TdsClient, sql: &str, options: ExecuteOptions<'_>) -> std::result::Result<usize, Error> {
    client.execute(sql.to_owned(), options).await?;
    let mut rows = 0;
    loop {
        while client.on_rows() && client.next_row().await?.is_some() {
            rows += 1;
        }
        if !client.advance_to_rows().await? {
            return Ok(rows);
        }
    }
}

async fn errors(client: &mut TdsClient) -> Result<()> {
    for sql in [
        "RAISERROR(N'Größe %', 16, 7)",
        "SELECT 1 AS one\n\nSELECT missing\nFROM dbo.kinds",
        "\nINSERT INTO dbo.plain (id)\nVALUES (1)",
        "SELECT 1\nSELEKT 2",
        "\n\nIF 1 = 1\nBEGIN\n  SELECT 1 / 0\nEND",
    ] {
        match run(client, sql, ExecuteOptions::default()).await {
            Ok(rows) => println!("{rows} rows"),
            Err(error) => println!("{}", told(&error)),
        }
        client.close_query().await?;
    }
    Ok(())
}

async fn cancel(client: &mut TdsClient) -> Result<()> {
    let ten = "(VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9))";
    let many: Vec<String> = ["a", "b", "c", "d", "e", "f"].map(|name| format!("{ten} AS {name}(n)")).to_vec();
    let rows = format!("SELECT a.n, REPLICATE('x', 500) AS t FROM {}", many.join(" CROSS JOIN "));
    for sql in ["WAITFOR DELAY '00:05:00'", &rows] {
        let handle = CancelHandle::new();
        let later = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            handle.cancel();
        };
        let options = ExecuteOptions { cancel: Some(&handle), ..ExecuteOptions::default() };
        let (outcome, ()) = tokio::join!(run(client, sql, options), later);
        println!("{}", outcome.map_or_else(|error| told(&error), |rows| format!("{rows} rows")));
        client.close_query().await?;
    }
    println!("goes on {}", run(client, "SELECT 7 AS seven", ExecuteOptions::default()).await?);
    Ok(())
}
