//! Type names of `sys.types` into [`SourceType`], by name.

use crate::model::schema::{CodePageOrName, Length, SourceType};
use crate::rows::text::CodePage;

/// What the catalog says of a column's type.
pub struct TypeFacts {
    /// `user_type_id`.
    pub id: i32,
    /// Name and schema are absent where the server does not show the type to this login.
    pub name: Option<String>,
    pub schema: Option<String>,
    /// The base type's name; absent for CLR types.
    pub base: Option<String>,
    pub user_defined: bool,
    pub assembly: bool,
    /// Bytes; -1 for (max).
    pub max_length: i32,
    pub precision: i32,
    pub scale: i32,
    pub collation: Option<String>,
    pub code_page: Option<i32>,
}

impl TypeFacts {
    /// The name that decides: the base type's for alias types, its own otherwise. A type that is not shown and has a base type is
    /// an alias type: only those of CLR assemblies have none. `None` where neither is shown.
    fn system_name(&self) -> Option<String> {
        let own = self.name.as_ref().map(|name| name.to_lowercase());
        match (own, &self.base) {
            (Some(own), Some(base)) if !self.assembly && (self.user_defined || own == "sysname") => {
                Some(base.to_lowercase())
            }
            (Some(own), _) => Some(own),
            (None, base) => base.as_ref().map(|base| base.to_lowercase()),
        }
    }

    /// `schema.name`, as far as it is shown.
    fn full_name(&self) -> String {
        let parts = [&self.schema, &self.name];
        parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(".")
    }
}

/// The type of a column.
pub fn source_type(facts: &TypeFacts) -> SourceType {
    use SourceType as S;
    let Some(name) = facts.system_name() else { return S::NotShown(facts.id) };
    let precision = facts.precision.clamp(0, 255) as u8;
    let digits = facts.scale.clamp(0, 255) as u8;
    // Catalog lengths are at most 8,000.
    let bytes = facts.max_length.clamp(0, 8000) as u16;
    let length = |unit: u16| if facts.max_length < 0 { Length::Max } else { Length::Limited(bytes / unit) };
    match name.as_str() {
        "bit" => S::Bit,
        "tinyint" => S::TinyInt,
        "smallint" => S::SmallInt,
        "int" => S::Int,
        "bigint" => S::BigInt,
        "decimal" | "numeric" => S::Decimal { precision, scale: digits },
        "money" => S::Money,
        "smallmoney" => S::SmallMoney,
        "real" => S::Real,
        "float" => S::Float,
        "date" => S::Date,
        "time" => S::Time { digits },
        "datetime" => S::DateTime,
        "smalldatetime" => S::SmallDateTime,
        "datetime2" => S::DateTime2 { digits },
        "datetimeoffset" => S::DateTimeOffset { digits },
        "char" => S::Char { bytes, code_page: code_page(facts) },
        "varchar" => S::VarChar { bytes: length(1), code_page: code_page(facts) },
        "text" => S::Text { code_page: code_page(facts) },
        "nchar" => S::NChar { units: bytes / 2 },
        "nvarchar" => S::NVarChar { units: length(2) },
        "ntext" => S::NText,
        "binary" => S::Binary { bytes },
        "varbinary" => S::VarBinary { bytes: length(1) },
        "image" => S::Image,
        "uniqueidentifier" => S::UniqueIdentifier,
        "xml" => S::Xml,
        "timestamp" | "rowversion" => S::RowVersion,
        "sql_variant" => S::SqlVariant,
        "hierarchyid" => S::HierarchyId,
        "geometry" => S::Geometry,
        "geography" => S::Geography,
        "json" => S::Json,
        // Eight bytes of header, then four for each dimension.
        "vector" => S::Vector { dimensions: (facts.max_length > 8).then(|| (bytes - 8) / 4) },
        _ if facts.assembly => S::Clr(facts.full_name()),
        _ => S::Unknown(facts.full_name()),
    }
}

fn code_page(facts: &TypeFacts) -> CodePageOrName {
    let known = facts.code_page.and_then(|number| u16::try_from(number).ok()).and_then(CodePage::new);
    match known {
        Some(code_page) => CodePageOrName::Known(code_page),
        None => CodePageOrName::Unknown {
            collation: facts.collation.clone().unwrap_or_else(|| "(none)".to_owned()),
            number: facts.code_page,
        },
    }
}

/// The type as a person would write it.
pub fn declared(facts: &TypeFacts) -> String {
    let Some(name) = facts.system_name() else { return format!("type {}", facts.id) };
    let length =
        |unit: i32| if facts.max_length < 0 { "max".to_owned() } else { (facts.max_length / unit).to_string() };
    let system = match name.as_str() {
        "decimal" | "numeric" => format!("{name}({},{})", facts.precision, facts.scale),
        "time" | "datetime2" | "datetimeoffset" => format!("{name}({})", facts.scale),
        "char" | "varchar" | "binary" | "varbinary" => format!("{name}({})", length(1)),
        "nchar" | "nvarchar" => format!("{name}({})", length(2)),
        "timestamp" => "rowversion".to_owned(),
        _ => name,
    };
    if facts.user_defined && !facts.assembly && facts.name.is_some() {
        format!("{} ({system})", facts.full_name())
    } else {
        system
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(name: &str, base: Option<&str>, max_length: i32) -> TypeFacts {
        TypeFacts {
            id: 257,
            name: Some(name.to_owned()),
            schema: Some("dbo".to_owned()),
            base: base.map(str::to_owned),
            user_defined: base.is_some_and(|base| base != name),
            assembly: false,
            max_length,
            precision: 18,
            scale: 4,
            collation: Some("Latin1_General_CI_AS".to_owned()),
            code_page: Some(1252),
        }
    }

    #[test]
    fn alias_types_are_their_base_type() {
        let phone = facts("Phone", Some("nvarchar"), 40);
        assert_eq!(source_type(&phone), SourceType::NVarChar { units: Length::Limited(20) });
        assert_eq!(declared(&phone), "dbo.Phone (nvarchar(20))");
    }

    #[test]
    fn alias_types_that_are_not_shown_are_their_base_type_and_clr_types_nothing() {
        let phone = TypeFacts { name: None, schema: None, ..facts("", Some("nvarchar"), 40) };
        assert_eq!(source_type(&phone), SourceType::NVarChar { units: Length::Limited(20) });
        assert_eq!(declared(&phone), "nvarchar(20)");
        let point = TypeFacts { base: None, ..phone };
        assert_eq!(source_type(&point), SourceType::NotShown(257));
        assert_eq!(declared(&point), "type 257");
    }

    #[test]
    fn a_type_whose_schema_is_not_listed_keeps_its_name() {
        let phone = TypeFacts { schema: None, ..facts("Phone", Some("nvarchar"), 40) };
        assert_eq!(declared(&phone), "Phone (nvarchar(20))");
        let int = TypeFacts { schema: None, ..facts("int", Some("int"), 4) };
        assert_eq!((source_type(&int), declared(&int)), (SourceType::Int, "int".to_owned()));
    }

    #[test]
    fn max_is_minus_one() {
        assert_eq!(
            source_type(&facts("varbinary", Some("varbinary"), -1)),
            SourceType::VarBinary { bytes: Length::Max }
        );
        assert_eq!(declared(&facts("varchar", Some("varchar"), -1)), "varchar(max)");
    }

    #[test]
    fn unknown_names_stay_unknown() {
        assert_eq!(source_type(&facts("quux", Some("quux"), 4)), SourceType::Unknown("dbo.quux".to_owned()));
        assert_eq!(source_type(&facts("timestamp", Some("timestamp"), 8)), SourceType::RowVersion);
    }
}
