//! Reads tables from a SQL Server with the driver that the job uses, and does nothing with them: the benchmark's floor.

use anyhow::{Context, Result};
use clap::Parser;
use futures_util::TryStreamExt;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel, QueryItem};
use tokio::net::TcpStream;
use tokio_util::compat::TokioAsyncWriteCompatExt;

#[derive(Parser)]
struct Arguments {
    #[arg(long)]
    port: u16,
    #[arg(long)]
    user: String,
    #[arg(long, env = "STOPGAP_READ_PASSWORD", hide_env_values = true)]
    password: String,
    #[arg(long)]
    database: String,
    /// Encrypt, as the job is asked to in the same run
    #[arg(long)]
    tls: bool,
    /// `schema.table`, one after the other
    #[arg(required = true)]
    tables: Vec<String>,
}

/// Prints the number of rows.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut config = Config::new();
    config.host("127.0.0.1");
    config.port(arguments.port);
    config.database(&arguments.database);
    config.authentication(AuthMethod::sql_server(&arguments.user, &arguments.password));
    config.encryption(if arguments.tls { EncryptionLevel::Required } else { EncryptionLevel::NotSupported });
    config.trust_cert();
    let tcp = TcpStream::connect(("127.0.0.1", arguments.port)).await.context("connecting")?;
    tcp.set_nodelay(true)?;
    let mut client = Box::pin(Client::connect(config, tcp.compat_write())).await.context("logging in")?;
    let (mut rows, mut values) = (0_u64, 0_u64);
    for table in &arguments.tables {
        let mut stream = client.simple_query(format!("SELECT * FROM {table}")).await?;
        while let Some(item) = stream.try_next().await? {
            if let QueryItem::Row(row) = item {
                rows += 1;
                values += row.into_iter().count() as u64;
            }
        }
    }
    eprintln!("{values} values");
    println!("{rows}");
    Ok(())
}
