//! The job file's `target_types` override the type map, with types that hold every value.

use super::{Mapping, PlannedLoss, StoredType, map};
use crate::config::Engine;
use crate::model::logical::LogicalType;

/// The mapping with the job file's `target_type` instead of the default, or what is allowed.
#[expect(clippy::match_same_arms, reason = "arms are told apart by what they mean, not by what they give")]
pub fn map_as(holds: LogicalType, wanted: &str, engine: Engine) -> Result<Mapping, String> {
    let default = map(holds, engine);
    let wanted = Override::parse(wanted, engine)?;
    let stored = fitting(&wanted, holds, &default).ok_or_else(|| {
        format!("{} cannot hold every value exactly; the default is {}", wanted.sql, default.final_type())
    })?;
    let default_stored = default.stored;
    let mut mapping = Mapping { stored, target_type: wanted.sql.clone(), convert_to: None, ..default };
    mapping.losses.retain(|loss| !loss.is_of_default_type());
    if matches!(default_stored, StoredType::Time { .. } | StoredType::Timestamp { .. } | StoredType::TimestampTz { .. })
    {
        // Its text has all of its digits, and its offset.
        mapping.losses.clear();
    }
    let staged = match (engine, wanted.kind) {
        (Engine::Postgres, Kind::Jsonb) => "json",
        (Engine::Mysql, Kind::Json) => "longtext",
        (Engine::Postgres, Kind::Spatial) => "text",
        (Engine::Mysql, Kind::Spatial) => "longtext",
        (Engine::Postgres, Kind::Vector) => "real[]",
        _ => return Ok(mapping),
    };
    mapping.losses.extend(match (engine, wanted.kind) {
        (Engine::Mysql, Kind::Json) => Some(PlannedLoss::MySqlJson),
        (Engine::Mysql, Kind::Spatial) => Some(PlannedLoss::FlatGeometry),
        (_, Kind::Jsonb) => Some(PlannedLoss::Jsonb),
        _ => None,
    });
    staged.clone_into(&mut mapping.target_type);
    mapping.convert_to = Some(wanted.sql);
    Ok(mapping)
}

fn fitting(wanted: &Override, holds: LogicalType, default: &Mapping) -> Option<StoredType> {
    use StoredType as F;
    let text_like = matches!(default.stored, F::Text { .. } | F::Char { .. } | F::Json | F::Xml);
    let shown_as_text = !matches!(default.stored, F::Bytes | F::FloatArray);
    Some(match (wanted.kind, default.stored) {
        (Kind::Text, _) if shown_as_text => F::Text { limit: wanted.first },
        (Kind::Char, _) if text_like && wanted.first > 0 => F::Char { length: wanted.first },
        (Kind::Json | Kind::Jsonb, _) if text_like => F::Json,
        (Kind::Xml, _) if text_like => F::Xml,
        (Kind::Int2, F::Bool | F::Int2) => F::Int2,
        (Kind::Int4, F::Bool | F::Int2 | F::Int4) => F::Int4,
        (Kind::Int8, F::Int2 | F::Int4 | F::Int8) => F::Int8,
        (Kind::Double, F::Float4 | F::Float8) => F::Float8,
        (Kind::Decimal, F::Int2 | F::Int4 | F::Int8) if wanted.first > 0 => wanted.decimal()?,
        (Kind::Decimal, F::Decimal { precision, scale })
            if wanted.second >= u32::from(scale)
                && wanted.first.saturating_sub(wanted.second) >= u32::from(precision - scale) =>
        {
            wanted.decimal()?
        }
        (Kind::Spatial, F::Text { limit: 0 }) if holds == LogicalType::Geometry => F::Text { limit: 0 },
        (Kind::Vector, F::FloatArray) => F::FloatArray,
        _ => return None,
    })
}

/// What a type is, whatever its engine calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Char,
    Json,
    Jsonb,
    Xml,
    Int2,
    Int4,
    Int8,
    Double,
    Decimal,
    Spatial,
    Vector,
}

/// Names that may be asked for, each with its canonical spelling.
type Names = &'static [(&'static str, &'static str, Kind)];

const POSTGRES: Names = &[
    ("text", "text", Kind::Text),
    ("varchar", "character varying", Kind::Text),
    ("character varying", "character varying", Kind::Text),
    ("char", "character", Kind::Char),
    ("bpchar", "character", Kind::Char),
    ("character", "character", Kind::Char),
    ("json", "json", Kind::Json),
    ("jsonb", "jsonb", Kind::Jsonb),
    ("xml", "xml", Kind::Xml),
    ("smallint", "smallint", Kind::Int2),
    ("int2", "smallint", Kind::Int2),
    ("integer", "integer", Kind::Int4),
    ("int", "integer", Kind::Int4),
    ("int4", "integer", Kind::Int4),
    ("bigint", "bigint", Kind::Int8),
    ("int8", "bigint", Kind::Int8),
    ("double precision", "double precision", Kind::Double),
    ("float8", "double precision", Kind::Double),
    ("numeric", "numeric", Kind::Decimal),
    ("decimal", "numeric", Kind::Decimal),
    ("geometry", "geometry", Kind::Spatial),
    ("geography", "geography", Kind::Spatial),
    ("vector", "vector", Kind::Vector),
];

const MYSQL: Names = &[
    ("longtext", "longtext", Kind::Text),
    ("varchar", "varchar", Kind::Text),
    ("char", "char", Kind::Char),
    ("json", "json", Kind::Json),
    ("smallint", "smallint", Kind::Int2),
    ("int", "int", Kind::Int4),
    ("integer", "int", Kind::Int4),
    ("bigint", "bigint", Kind::Int8),
    ("double", "double", Kind::Double),
    ("decimal", "decimal", Kind::Decimal),
    ("numeric", "decimal", Kind::Decimal),
    ("geometry", "geometry", Kind::Spatial),
];

/// A type as the job file spells it, in canonical spelling.
struct Override {
    kind: Kind,
    first: u32,
    second: u32,
    sql: String,
}

impl Override {
    fn parse(text: &str, engine: Engine) -> Result<Self, String> {
        let lower = text.trim().to_lowercase();
        let (name, arguments) = match lower.split_once('(') {
            Some((name, rest)) => {
                let inside = rest.strip_suffix(')').ok_or_else(|| format!("{text:?} lacks its closing parenthesis"))?;
                (name.trim(), inside)
            }
            None => (lower.as_str(), ""),
        };
        let (names, examples) = match engine {
            Engine::Postgres => (
                POSTGRES,
                "text, varchar(n), char(n), json, jsonb, xml, smallint, integer, bigint, double precision, numeric(p,s), \
                 geometry, geography, vector(n)",
            ),
            Engine::Mysql => {
                (MYSQL, "longtext, varchar(n), char(n), json, smallint, int, bigint, double, decimal(p,s), geometry")
            }
        };
        let Some((_, name, kind)) = names.iter().find(|(spelling, ..)| *spelling == name) else {
            return Err(format!("{text:?} is not one of: {examples}"));
        };
        let parts: Vec<&str> = arguments.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        let numbers: Vec<u32> = parts.iter().filter_map(|part| part.parse().ok()).collect();
        if *kind == Kind::Spatial {
            if !arguments.chars().all(|c| c.is_ascii_alphanumeric() || c == ',' || c == ' ') {
                return Err(format!("{text:?} has arguments that are not words or numbers"));
            }
        } else if numbers.len() != parts.len() {
            return Err(format!("{text:?} has a length that is not a number"));
        }
        let wanted = Self {
            kind: *kind,
            first: numbers.first().copied().unwrap_or(0),
            second: numbers.get(1).copied().unwrap_or(0),
            sql: if arguments.is_empty() { (*name).to_owned() } else { format!("{name}({arguments})") },
        };
        wanted.check(text, engine)?;
        Ok(wanted)
    }

    fn check(&self, text: &str, engine: Engine) -> Result<(), String> {
        let (most_digits, most_fraction) = match engine {
            Engine::Postgres => (255, 255),
            Engine::Mysql => (65, 30),
        };
        if self.kind == Kind::Decimal && (self.first > most_digits || self.second > most_fraction) {
            return Err(format!("{text:?} has more than {most_digits} digits, or {most_fraction} after the point"));
        }
        if engine == Engine::Mysql && self.sql.starts_with("varchar") && !(1..=16_383).contains(&self.first) {
            return Err(format!("{text:?} needs a length of 1 to 16383 characters; longtext has none"));
        }
        if engine == Engine::Mysql && self.kind == Kind::Spatial && self.sql != "geometry" {
            return Err(format!("{text:?}: write geometry alone; each value has its own kind and SRID"));
        }
        if engine == Engine::Mysql && self.kind == Kind::Char && self.first > 255 {
            return Err(format!("{text:?} is longer than the 255 characters of a char"));
        }
        Ok(())
    }

    fn decimal(&self) -> Option<StoredType> {
        let number = |value: u32| u8::try_from(value).ok();
        Some(StoredType::Decimal { precision: number(self.first)?, scale: number(self.second)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    const PG: Engine = Engine::Postgres;

    #[test]
    fn overrides_widen_and_never_narrow() {
        let decimal = LogicalType::Decimal { precision: 10, scale: 2 };
        assert_eq!(
            map_as(decimal, "numeric(12,4)", PG).unwrap().stored,
            StoredType::Decimal { precision: 12, scale: 4 }
        );
        assert!(map_as(decimal, "numeric(8,2)", PG).unwrap_err().contains("numeric(10,2)"));
        assert!(map_as(LogicalType::Int4, "smallint", PG).is_err());
        assert_eq!(map_as(LogicalType::Int4, "int8", PG).unwrap().target_type, "bigint");
        assert!(map_as(LogicalType::Int4, "serial", PG).unwrap_err().contains("not one of"));
        assert!(map_as(LogicalType::Int4, "text", Engine::Mysql).unwrap_err().contains("longtext"));
        assert!(map_as(decimal, "decimal(40,31)", Engine::Mysql).unwrap_err().contains("30"));
        assert!(map_as(LogicalType::Int4, "geometry", Engine::Mysql).is_err());
        assert!(map_as(LogicalType::Geometry, "geometry(Point,4326)", Engine::Mysql).unwrap_err().contains("alone"));
    }

    #[test]
    fn what_the_text_of_a_time_holds_is_not_lost() {
        for source in [LogicalType::Timestamp { digits: 7 }, LogicalType::TimestampTz { digits: 7 }] {
            assert!(!map(source, PG).losses.is_empty());
            assert_eq!(map_as(source, "text", PG).unwrap().losses, Vec::new());
        }
    }

    #[test]
    fn json_is_made_after_the_verification_where_it_is_not_kept_as_text() {
        let source = LogicalType::Text { limit: 0 };
        let names = |wanted, engine| {
            let mapping = map_as(source, wanted, engine).unwrap();
            (mapping.target_type.clone(), mapping.final_type().to_owned(), mapping.losses.len())
        };
        assert_eq!(names("jsonb", PG), ("json".to_owned(), "jsonb".to_owned(), 1));
        assert_eq!(names("json", PG), ("json".to_owned(), "json".to_owned(), 0));
        assert_eq!(names("json", Engine::Mysql), ("longtext".to_owned(), "json".to_owned(), 1));
        let losses = map(LogicalType::Json, Engine::Mysql).losses;
        assert!(losses[0] == PlannedLoss::MySqlJson && losses == map_as(source, "json", Engine::Mysql).unwrap().losses);
    }
}
