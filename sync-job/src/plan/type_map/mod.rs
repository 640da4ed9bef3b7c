//! The type map: what a column holds × target engine → target type, and what is lost. One table, read top to bottom.

use crate::config::Engine;
use crate::model::logical::LogicalType;

mod overrides;

pub use crate::model::loss::PlannedLoss;
pub use overrides::map_as;

/// How a target column stores its values, as far as an encoder must know it. Lengths of 0 mean "no limit".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredType {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Date,
    Time {
        digits: u8,
    },
    Timestamp {
        digits: u8,
    },
    TimestampTz {
        digits: u8,
    },
    /// Text of at most `limit` characters.
    Text {
        limit: u32,
    },
    /// Text padded with spaces to `length` characters.
    Char {
        length: u32,
    },
    Bytes,
    Uuid,
    Json,
    Xml,
    /// A one-dimensional array of 4-byte floats.
    FloatArray,
}

/// How one column is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The type that the staging column is created with.
    pub target_type: String,
    pub stored: StoredType,
    /// Changed by the target to this type after the verification (`jsonb`, PostGIS and pgvector types).
    pub convert_to: Option<String>,
    /// What cannot be carried exactly.
    pub losses: Vec<PlannedLoss>,
}

impl Mapping {
    /// The type that the column has in the end.
    pub fn final_type(&self) -> &str {
        self.convert_to.as_deref().unwrap_or(&self.target_type)
    }
}

/// A line of the map: a logical type as each engine stores it.
struct TypeRule {
    postgres: Column,
    mysql: Column,
    /// What is lost on either.
    losses: Vec<PlannedLoss>,
}

/// An engine's type for a line.
struct Column {
    target_type: String,
    stored: StoredType,
    convert_to: Option<&'static str>,
    /// What is lost, or changed in form, on this engine alone.
    loss: Option<PlannedLoss>,
}

fn column(target_type: impl Into<String>, stored: StoredType) -> Column {
    Column { target_type: target_type.into(), stored, convert_to: None, loss: None }
}

/// A MySQL column that becomes json after its text was verified.
fn mysql_json() -> Column {
    Column { convert_to: Some("json"), loss: Some(PlannedLoss::MySqlJson), ..column("longtext", StoredType::Json) }
}

fn rule(postgres: Column, mysql: Column) -> TypeRule {
    TypeRule { postgres, mysql, losses: Vec::new() }
}

fn plain(postgres: &str, mysql: &str, stored: StoredType) -> TypeRule {
    rule(column(postgres, stored), column(mysql, stored))
}

/// How an engine stores a logical type.
pub fn map(holds: LogicalType, engine: Engine) -> Mapping {
    let TypeRule { postgres, mysql, losses } = rule_of(holds);
    let Column { target_type, stored, convert_to, loss: own } = match engine {
        Engine::Postgres => postgres,
        Engine::Mysql => mysql,
    };
    Mapping {
        target_type,
        stored,
        convert_to: convert_to.map(str::to_owned),
        losses: losses.into_iter().chain(own).collect(),
    }
}

fn rule_of(holds: LogicalType) -> TypeRule {
    use LogicalType as L;
    use StoredType as S;
    match holds {
        L::Bool => plain("boolean", "tinyint(1)", S::Bool),
        L::UInt1 => plain("smallint", "tinyint unsigned", S::Int2),
        L::Int2 => plain("smallint", "smallint", S::Int2),
        L::Int4 => plain("integer", "int", S::Int4),
        L::Int8 => plain("bigint", "bigint", S::Int8),
        // 2⁶⁴ − 1 has 20 digits.
        L::UInt8 => plain("numeric(20,0)", "bigint unsigned", S::Decimal { precision: 20, scale: 0 }),
        L::Decimal { precision, scale } => decimal(precision, scale),
        L::Float4 => plain("real", "float", S::Float4),
        L::Float8 => plain("double precision", "double", S::Float8),
        L::Date => plain("date", "date", S::Date),
        L::Time { digits } => fraction(digits, ["time", "time"], |digits| S::Time { digits }),
        L::Timestamp { digits } => fraction(digits, ["timestamp", "datetime"], |digits| S::Timestamp { digits }),
        L::TimestampTz { digits } => {
            let mut rule = fraction(digits, ["timestamptz", "datetime"], |digits| S::TimestampTz { digits });
            rule.losses.push(PlannedLoss::Offset);
            rule.mysql.loss = Some(PlannedLoss::ZoneNotInType);
            rule
        }
        L::Text { limit: 0 } | L::Geometry => long_text(),
        L::Text { limit } => text(limit),
        L::Char { length } => fixed_text(length),
        L::Path => rule(column("text", S::Text { limit: 0 }), column("varchar(4000)", S::Text { limit: 4000 })),
        L::Variant => TypeRule { losses: vec![PlannedLoss::VariantType], ..long_text() },
        L::Json => rule(column("json", S::Json), mysql_json()),
        L::Xml => rule(column("xml", S::Xml), column("longtext", S::Xml)),
        L::Bytes { limit, fixed } => plain("bytea", &mysql_bytes(limit, fixed), S::Bytes),
        L::Uuid => plain("uuid", "char(36) character set ascii", S::Uuid),
        L::FloatArray => rule(column("real[]", S::FloatArray), mysql_json()),
    }
}

/// What a column of MySQL holds within its row, in characters or bytes: longer ones are large objects.
const MOST_IN_ROW: u32 = 16_383;

/// MySQL's BINARY ends at 255 bytes.
fn mysql_bytes(limit: u32, fixed: bool) -> String {
    match limit {
        0 | MOST_IN_ROW.. => "longblob".to_owned(),
        _ if fixed && limit <= 255 => format!("binary({limit})"),
        _ => format!("varbinary({limit})"),
    }
}

/// MySQL's decimals have at most 30 fraction digits.
fn decimal(precision: u8, scale: u8) -> TypeRule {
    let stored = StoredType::Decimal { precision, scale };
    let mysql = if scale > 30 {
        // A sign, a zero and a point beside the digits.
        let limit = u32::from(precision) + 3;
        let text = column(format!("varchar({limit})"), StoredType::Text { limit });
        Column { loss: Some(PlannedLoss::DecimalAsText), ..text }
    } else {
        column(format!("decimal({precision},{scale})"), stored)
    };
    rule(column(format!("numeric({precision},{scale})"), stored), mysql)
}

/// MySQL's CHAR ends at 255 characters.
fn fixed_text(length: u32) -> TypeRule {
    let stored = StoredType::Char { length };
    let mysql = if length > 255 {
        column(format!("varchar({length})"), StoredType::Text { limit: length })
    } else {
        column(format!("char({length})"), stored)
    };
    rule(column(format!("character({length})"), stored), mysql)
}

fn text(limit: u32) -> TypeRule {
    let stored = StoredType::Text { limit };
    let mysql = if limit > MOST_IN_ROW { "longtext".to_owned() } else { format!("varchar({limit})") };
    rule(column(format!("character varying({limit})"), stored), column(mysql, stored))
}

fn long_text() -> TypeRule {
    plain("text", "longtext", StoredType::Text { limit: 0 })
}

fn fraction(digits: u8, [postgres, mysql]: [&str; 2], stored: impl Fn(u8) -> StoredType) -> TypeRule {
    let kept = digits.min(6);
    let mut rule = plain(&format!("{postgres}({kept})"), &format!("{mysql}({kept})"), stored(kept));
    if digits > 6 {
        rule.losses.push(PlannedLoss::FractionDigits { kept, of: digits });
    }
    rule
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_digits_are_a_planned_loss() {
        let mapping = map(LogicalType::Timestamp { digits: 7 }, Engine::Postgres);
        assert_eq!(mapping.target_type, "timestamp(6)");
        assert_eq!(mapping.losses.len(), 1);
        assert!(map(LogicalType::Timestamp { digits: 6 }, Engine::Postgres).losses.is_empty());
    }

    #[test]
    fn what_mysql_cannot_hold_has_another_type_there() {
        let decimal = map(LogicalType::Decimal { precision: 38, scale: 31 }, Engine::Mysql);
        assert_eq!((decimal.target_type.as_str(), decimal.losses.len()), ("varchar(41)", 1));
        let wide = map(LogicalType::Char { length: 300 }, Engine::Mysql);
        assert_eq!((wide.target_type.as_str(), wide.stored), ("varchar(300)", StoredType::Text { limit: 300 }));
        let json = map(LogicalType::Json, Engine::Mysql);
        assert_eq!((json.target_type.as_str(), json.final_type()), ("longtext", "json"));
    }

    #[test]
    fn a_type_that_sql_server_lacks_is_mapped_without_loss() {
        for (engine, expected) in [(Engine::Postgres, "numeric(20,0)"), (Engine::Mysql, "bigint unsigned")] {
            let mapping = map(LogicalType::UInt8, engine);
            assert_eq!((mapping.target_type.as_str(), mapping.losses.len()), (expected, 0));
        }
    }
}
