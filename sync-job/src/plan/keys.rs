//! By which key a table is cut into chunks.

use super::{ColumnPlan, KeyColumn};
use crate::config::{Consistency, TableConfig, TableSettings};
use crate::model::logical::LogicalType;
use crate::model::schema::{ColumnType, IndexKind, IndexStructure, SourceIndex, SourceKind, SourceTable};
use crate::plan::type_map::StoredType;

/// The chunk key, how many chunks are aimed at, and why.
pub struct Chunking {
    pub key: Vec<KeyColumn>,
    pub chunks: u64,
    pub reason: String,
}

/// More key columns than this only make the conditions longer.
const MOST_COLUMNS: usize = 3;
/// Where statistics are missing: a row's size is guessed from this many bytes a column.
const GUESSED_COLUMN_BYTES: u64 = 12;

/// Chooses the key and the number of chunks.
pub fn choose(
    source: &SourceTable,
    columns: &[ColumnPlan],
    settings: &TableSettings,
    table: Option<&TableConfig>,
) -> Result<Chunking, String> {
    let one = |reason: &str| Ok(Chunking { key: Vec::new(), chunks: 1, reason: format!("one reader: {reason}") });
    let forced = table.and_then(|table| table.chunk_key.as_ref());
    let key = match forced {
        Some(names) => Some(named_key(source, names)?),
        None => best_key(source),
    };
    if settings.consistency == Consistency::Snapshot {
        return one(if source.outside_transactions {
            "of a memory-optimized table one statement sees one state"
        } else {
            "a SNAPSHOT transaction belongs to one connection"
        });
    }
    if source.kind == SourceKind::View && forced.is_none() {
        return one("a view has no key; name one in chunk_key to read it in parallel");
    }
    let Some(key) = key else { return one("the table has no key that can be cut into ranges") };
    let rows = source.rows.unwrap_or(0);
    let bytes = source.bytes.unwrap_or(rows * columns.len() as u64 * GUESSED_COLUMN_BYTES);
    let chunks = match (source.rows, forced) {
        // Without statistics a table that somebody named a key for is worth a chunk a reader.
        (None, Some(_)) => settings.readers as u64,
        _ => crate::rows::chunk::count(rows, bytes, settings.readers, settings.chunk_rows),
    };
    if chunks < 2 {
        return Ok(Chunking { key, chunks: 1, reason: "one reader: the table is small".to_owned() });
    }
    let names: Vec<&str> = key.iter().map(|column| column.name.as_str()).collect();
    let reason = format!("ranges of {}, up to {} readers", names.join(", "), settings.readers);
    Ok(Chunking { key, chunks, reason })
}

fn key_column(source: &SourceTable, name: &str) -> Option<KeyColumn> {
    let column = source.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))?;
    let ColumnType { holds: Ok(holds), read, ranges: true, .. } = &column.column_type else { return None };
    (!column.encrypted && !column.masked).then(|| KeyColumn {
        name: column.name.clone(),
        holds: *holds,
        read: read.clone(),
        nullable: column.nullable,
    })
}

fn named_key(source: &SourceTable, names: &[String]) -> Result<Vec<KeyColumn>, String> {
    let mut key = Vec::new();
    for name in names {
        let column = key_column(source, name).ok_or_else(|| {
            format!("chunk_key: {name} is not a column of {} that ranges can be made of", source.name)
        })?;
        key.push(column);
    }
    if key.len() > 1 && key.iter().any(|column| column.nullable) {
        return Err(format!("chunk_key: a key of several columns must not hold NULL, and {} may", names.join(", ")));
    }
    if source.kind == SourceKind::View {
        // What a view's columns are said to be is from the day on which it was made: they may hold NULL all the same.
        for column in &mut key {
            column.nullable = true;
        }
    }
    Ok(key)
}

/// The clustered index first (it is the table), then the primary key, then any other index.
fn candidates(source: &SourceTable) -> Vec<&SourceIndex> {
    let mut candidates: Vec<_> =
        source.indexes.iter().filter(|index| index.is_plain_tree() && !index.disabled).collect();
    candidates.sort_by_key(|index| {
        let rank = match index.kind {
            IndexKind::PrimaryKey => 1,
            IndexKind::UniqueConstraint | IndexKind::Unique => 2,
            IndexKind::Plain => 3,
        };
        if index.structure == IndexStructure::Clustered { 0 } else { rank }
    });
    candidates
}

/// The leading column of an index that cuts the table alike on both sides: of a type that both order by its value, and copied as what
/// it is. Digits of a moment that the target cuts do not matter, since ranges begin at whole minutes.
pub fn for_witness(source: &SourceTable, columns: &[ColumnPlan]) -> Option<KeyColumn> {
    use LogicalType as L;
    candidates(source).into_iter().find_map(|index| {
        let leading = &index.columns.first()?.name;
        let column = source.column(leading)?;
        let planned = columns.iter().find(|planned| &planned.source == leading)?;
        let stored = planned.mapping.stored;
        let alike = match planned.holds {
            L::Bytes { limit: 1.., .. } => stored == StoredType::Bytes,
            _ if !column.column_type.ranges => false,
            L::UInt1 | L::Int2 | L::Int4 | L::Int8 => {
                matches!(stored, StoredType::Int2 | StoredType::Int4 | StoredType::Int8 | StoredType::Decimal { .. })
            }
            L::Decimal { .. } => matches!(stored, StoredType::Decimal { .. }),
            L::Date => stored == StoredType::Date,
            L::Timestamp { .. } => matches!(stored, StoredType::Timestamp { .. }),
            _ => false,
        };
        (alike && !column.encrypted && !column.masked && planned.unwitnessed.is_none()).then(|| KeyColumn {
            name: column.name.clone(),
            holds: planned.holds,
            read: planned.read.clone(),
            nullable: column.nullable || source.kind == SourceKind::View,
        })
    })
}

/// A key of several columns ends before its first nullable one, since NULL compares with nothing.
fn best_key(source: &SourceTable) -> Option<Vec<KeyColumn>> {
    candidates(source).into_iter().find_map(|index| {
        let mut key: Vec<KeyColumn> = Vec::new();
        for column in index.columns.iter().take(MOST_COLUMNS) {
            match key_column(source, &column.name) {
                Some(column) if key.is_empty() || !column.nullable => {
                    let ends = column.nullable;
                    key.push(column);
                    if ends {
                        break;
                    }
                }
                _ => break,
            }
        }
        (!key.is_empty()).then_some(key)
    })
}
