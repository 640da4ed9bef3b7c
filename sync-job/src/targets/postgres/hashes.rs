//! Rows of a table as hashes, for a comparison row by row.

use futures_util::TryStreamExt as _;
use sqlx::postgres::PgConnection;

use super::connect::{classify, rows_where};
use super::quote::{identifier, list, qualified};
use super::row::shorten;
use super::{is_partitioned, sql, witness};
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::schema::TableName;
use crate::plan::TablePlan;
use crate::proof::slices::{HashedRow, Part, Slices};
use crate::rows::digest::TableDigest;
use crate::targets::slices::SliceSql;

fn slice_sql(keys: &TablePlan) -> SliceSql {
    SliceSql { key_hash: sql::row_hash(&keys.columns), quote: identifier, literal: witness::literal }
}

/// The rows of the table with what else a statement needs to know of them.
async fn from(connection: &mut PgConnection, table: &TablePlan) -> Result<String> {
    Ok(sql::rows_of(&table.target, is_partitioned(connection, &table.target).await?))
}

pub(super) async fn slice_digests(
    connection: &mut PgConnection,
    table: &TablePlan,
    keys: &TablePlan,
    slices: &Slices,
) -> Result<Vec<TableDigest>> {
    // The bounds of ranges, and the hashes of keys, are values of rows.
    let query = format!(
        "SELECT slice::int8 AS slice, count(*)::int8 AS rows, sum(hash)::text AS sum FROM (SELECT {} AS hash",
        sql::row_hash(&table.columns),
    );
    let cut = format!(
        ", {} AS slice FROM {}) AS hashed GROUP BY slice",
        slice_sql(keys).number(table, slices),
        from(connection, table).await?
    );
    let mut digests = vec![TableDigest::default(); slices.count()];
    for row in rows_where(connection, &query, &cut).await? {
        let (slice, of_slice): (i64, i64) = (row.value("slice")?, row.value("rows")?);
        let digest = usize::try_from(slice).ok().and_then(|slice| digests.get_mut(slice));
        let sum: String = row.value("sum")?;
        let (Some(digest), Ok(sum)) = (digest, sum.parse()) else { return Err(unreadable(&table.target)) };
        *digest = TableDigest { rows: of_slice as u64, sum };
    }
    Ok(digests)
}

/// By COPY: rows of a query would take many times the memory.
pub(super) async fn row_hashes(
    connection: &mut PgConnection,
    table: &TablePlan,
    keys: &TablePlan,
    part: &Part<'_>,
) -> Result<Vec<HashedRow>> {
    let slices = slice_sql(keys);
    let query = format!(
        "COPY (SELECT {}, {} FROM {}",
        slices.key_hash,
        sql::row_hash(&table.columns),
        from(connection, table).await?
    );
    let broke = |error| classify(error, format!("the target did not answer: {}", shorten(&query)));
    let statement = format!("{query} WHERE {}) TO STDOUT", slices.condition(table, part));
    let mut stream = connection.copy_out_raw(&statement).await.map_err(broke)?;
    let (mut found, mut rest) = (Vec::new(), Vec::new());
    while let Some(bytes) = stream.try_next().await.map_err(broke)? {
        rest.extend_from_slice(&bytes);
        let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        for line in rest[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            found.push(hashed(line).ok_or_else(|| unreadable(&table.target))?);
        }
        rest.drain(..whole);
    }
    Ok(found)
}

/// A line of COPY's text: two numbers of 64 bits, with their signs.
fn hashed(line: &[u8]) -> Option<HashedRow> {
    let (key, row) = std::str::from_utf8(line).ok()?.split_once('\t')?;
    Some(HashedRow { key: key.parse::<i64>().ok()? as u64, row: row.parse::<i64>().ok()? as u64 })
}

fn unreadable(relation: &TableName) -> Error {
    Error::new(Side::Target, Kind::Internal, format!("no hashes came back for {relation}"))
}

/// The condition of rows whose keys have these hashes.
fn with_hashes(slices: &SliceSql, table: &TablePlan, part: &Part<'_>, hashes: &[u64]) -> String {
    let hashes: Vec<String> = hashes.iter().map(|hash| (*hash as i64).to_string()).collect();
    format!(" WHERE {} AND {} IN ({})", slices.condition(table, part), slices.key_hash, hashes.join(", "))
}

pub(super) async fn keys_of(
    connection: &mut PgConnection,
    table: &TablePlan,
    keys: &TablePlan,
    part: &Part<'_>,
    hashes: &[u64],
) -> Result<Vec<Vec<Option<String>>>> {
    let shown: Vec<String> =
        keys.columns.iter().map(|column| format!("{}::text", identifier(&column.target))).collect();
    let query = format!("SELECT {} FROM {}", shown.join(", "), from(connection, table).await?);
    let found = rows_where(connection, &query, &with_hashes(&slice_sql(keys), table, part, hashes)).await?;
    found.iter().map(|row| (0..keys.columns.len()).map(|index| row.value(index)).collect()).collect()
}

pub(super) async fn stage_keys(
    connection: &mut PgConnection,
    table: &TablePlan,
    keys: &TablePlan,
    part: &Part<'_>,
    hashes: &[u64],
    staging: &TableName,
) -> Result<()> {
    let names = list(keys.columns.iter().map(|column| &column.target));
    let insert =
        format!("INSERT INTO {} ({names}) SELECT {names} FROM {}", qualified(staging), from(connection, table).await?);
    rows_where(connection, &insert, &with_hashes(&slice_sql(keys), table, part, hashes)).await.map(drop)
}
