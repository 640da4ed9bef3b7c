//! The digest of a relation. A statement runs on one processor here, however many the server has: a staging table, which nobody
//! changes, is digested in parts.

use futures_util::future::try_join_all;
use mysql_async::Conn;

use super::connect::{close, only_row, only_row_where};
use super::preserved::texts;
use super::quote;
use super::{MySql, sql};
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::schema::TableName;
use crate::plan::TablePlan;
use crate::plan::type_map::StoredType;
use crate::rows::digest::TableDigest;

/// Parts of a table, each with a connection of its own.
const PARTS: i128 = 4;
/// A table whose keys lie closer together is digested at once.
const SMALLEST_SPAN: i128 = 100_000;

/// The digest over a given connection (and so inside its transaction).
pub(super) async fn whole(connection: &mut Conn, table: &TablePlan, relation: &TableName) -> Result<TableDigest> {
    let texts = texts(connection, relation).await?;
    part(connection, &sql::digest(table, relation, &texts), relation, "TRUE").await
}

/// The digest of a staging table, by ranges of its primary key where that is a number.
pub(super) async fn of_staging(target: &MySql, table: &TablePlan, staging: &TableName) -> Result<TableDigest> {
    let mut connection = target.connect_to_wait().await?;
    let ranges = match number_key(table) {
        Some(key) => ranges(&mut connection, key, staging).await?,
        None => vec!["TRUE".to_owned()],
    };
    let digest = sql::digest(table, staging, &texts(&mut connection, staging).await?);
    close(connection).await;
    let parts = try_join_all(ranges.iter().map(|range| async {
        let mut connection = target.connect_to_wait().await?;
        let part = part(&mut connection, &digest, staging, range).await?;
        close(connection).await;
        Ok::<_, Error>(part)
    }))
    .await?;
    let mut sum = TableDigest::default();
    for part in parts {
        sum.merge(part);
    }
    Ok(sum)
}

/// Of the rows that fulfil a condition.
pub(super) async fn part(
    connection: &mut Conn,
    digest: &str,
    relation: &TableName,
    range: &str,
) -> Result<TableDigest> {
    let (rows, sum): (u64, String) = only_row_where(connection, digest, &format!(" WHERE {range}")).await?;
    let unreadable = |_| Error::new(Side::Target, Kind::Internal, format!("no digest came back for {relation}"));
    Ok(TableDigest { rows, sum: sum.parse().map_err(unreadable)? })
}

/// The column by which InnoDB keeps the rows, if it is a whole number.
fn number_key(table: &TablePlan) -> Option<&str> {
    let (first, _) = sql::primary_key(table)?.columns.first()?;
    let column = table.columns.iter().find(|column| &column.target == first)?;
    matches!(column.mapping.stored, StoredType::Int2 | StoredType::Int4 | StoredType::Int8).then_some(first.as_str())
}

async fn ranges(connection: &mut Conn, key: &str, staging: &TableName) -> Result<Vec<String>> {
    let key = quote::identifier(key);
    let query =
        format!("SELECT CAST(MIN({key}) AS SIGNED), CAST(MAX({key}) AS SIGNED) FROM {}", quote::qualified(staging));
    // NULL: no rows.
    let ends: (Option<i64>, Option<i64>) = only_row(connection, &query).await?;
    Ok(match ends {
        (Some(least), Some(most)) => cut(&key, least.into(), most.into()),
        _ => vec!["TRUE".to_owned()],
    })
}

/// Conditions of which each key fulfils exactly one: the first and the last range have no end.
fn cut(key: &str, least: i128, most: i128) -> Vec<String> {
    let span = most - least;
    if span < SMALLEST_SPAN {
        return vec!["TRUE".to_owned()];
    }
    let bound = |part: i128| least + span * part / PARTS;
    (0..PARTS)
        .map(|part| match part {
            0 => format!("{key} < {}", bound(1)),
            _ if part == PARTS - 1 => format!("{key} >= {}", bound(part)),
            _ => format!("{key} >= {} AND {key} < {}", bound(part), bound(part + 1)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_meet_and_have_no_ends() {
        assert_eq!(cut("`k`", 5, 100_004), ["TRUE"]);
        let expected =
            ["`k` < 100000", "`k` >= 100000 AND `k` < 200000", "`k` >= 200000 AND `k` < 300000", "`k` >= 300000"];
        assert_eq!(cut("`k`", 0, 400_000), expected);
        let all = cut("`k`", i64::MIN.into(), i64::MAX.into());
        assert_eq!((all.len(), all[0].as_str()), (4, "`k` < -4611686018427387905"));
    }
}
