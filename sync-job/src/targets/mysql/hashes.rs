//! Rows of a table as hashes, for a comparison row by row.

use mysql_async::Conn;

use super::connect::{each_row_where, rows_where};
use super::preserved::texts;
use super::quote::{identifier, list, qualified};
use super::{sql, witness};
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::schema::TableName;
use crate::plan::TablePlan;
use crate::plan::type_map::StoredType;
use crate::proof::slices::{HashedRow, Part, Slices};
use crate::rows::digest::TableDigest;
use crate::targets::slices::SliceSql;

/// How a table's rows are hashed.
struct Hashes {
    slices: SliceSql,
    row: String,
}

async fn hashes(connection: &mut Conn, table: &TablePlan, keys: &TablePlan) -> Result<Hashes> {
    let texts = texts(connection, &table.target).await?;
    Ok(Hashes {
        slices: SliceSql { key_hash: sql::row_hash(keys, &texts), quote: identifier, literal: witness::literal },
        row: sql::row_hash(table, &texts),
    })
}

pub(super) async fn slice_digests(
    connection: &mut Conn,
    table: &TablePlan,
    keys: &TablePlan,
    slices: &Slices,
) -> Result<Vec<TableDigest>> {
    let Hashes { slices: sql, row } = hashes(connection, table, keys).await?;
    // The bounds of ranges, and the hashes of keys, are values of rows.
    let query = format!("SELECT slice, COUNT(*), CAST(SUM(hash) AS CHAR) FROM (SELECT {row} AS hash");
    let cut =
        format!(", {} AS slice FROM {}) AS hashed GROUP BY slice", sql.number(table, slices), qualified(&table.target));
    let mut digests = vec![TableDigest::default(); slices.count()];
    for (slice, of_slice, sum) in rows_where::<(u64, u64, String)>(connection, &query, &cut).await? {
        let digest = usize::try_from(slice).ok().and_then(|slice| digests.get_mut(slice));
        let (Some(digest), Ok(sum)) = (digest, sum.parse()) else {
            let message = format!("no hashes came back for {}", table.target);
            return Err(Error::new(Side::Target, Kind::Internal, message));
        };
        *digest = TableDigest { rows: of_slice, sum };
    }
    Ok(digests)
}

pub(super) async fn row_hashes(
    connection: &mut Conn,
    table: &TablePlan,
    keys: &TablePlan,
    part: &Part<'_>,
) -> Result<Vec<HashedRow>> {
    let Hashes { slices, row } = hashes(connection, table, keys).await?;
    let query = format!("SELECT {}, {row} FROM {}", slices.key_hash, qualified(&table.target));
    let condition = format!(" WHERE {}", slices.condition(table, part));
    let mut found = Vec::new();
    each_row_where(connection, &query, &condition, |(key, row)| found.push(HashedRow { key, row })).await?;
    Ok(found)
}

/// The condition of rows whose keys have these hashes.
fn with_hashes(slices: &SliceSql, table: &TablePlan, part: &Part<'_>, hashes: &[u64]) -> String {
    let hashes: Vec<String> = hashes.iter().map(u64::to_string).collect();
    format!(" WHERE {} AND {} IN ({})", slices.condition(table, part), slices.key_hash, hashes.join(", "))
}

pub(super) async fn keys_of(
    connection: &mut Conn,
    table: &TablePlan,
    keys: &TablePlan,
    part: &Part<'_>,
    wanted: &[u64],
) -> Result<Vec<Vec<Option<String>>>> {
    let shown = keys.columns.iter().map(|column| {
        let name = identifier(&column.target);
        if column.mapping.stored == StoredType::Bytes {
            format!("CONCAT('0x', LOWER(HEX({name})))")
        } else {
            format!("CAST({name} AS CHAR)")
        }
    });
    let query = format!("SELECT {} FROM {}", shown.collect::<Vec<_>>().join(", "), qualified(&table.target));
    let condition = with_hashes(&hashes(connection, table, keys).await?.slices, table, part, wanted);
    rows_where(connection, &query, &condition).await
}

pub(super) async fn stage_keys(
    connection: &mut Conn,
    table: &TablePlan,
    keys: &TablePlan,
    part: &Part<'_>,
    wanted: &[u64],
    staging: &TableName,
) -> Result<()> {
    let names = list(keys.columns.iter().map(|column| &column.target));
    let insert =
        format!("INSERT INTO {} ({names}) SELECT {names} FROM {}", qualified(staging), qualified(&table.target));
    let condition = with_hashes(&hashes(connection, table, keys).await?.slices, table, part, wanted);
    rows_where::<u64>(connection, &insert, &condition).await.map(drop)
}
