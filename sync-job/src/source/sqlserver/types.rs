//! Type names of `sys.types` into [`SourceType`], by name.

use crate::schema::{CodePageOrName, Length, SourceType};
use crate::text::CodePage;

/// What the catalog says of a column's type.
pub struct TypeFacts {
    pub name: String,
    pub schema: String,
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
    /// The name that decides: the base type's for alias types, its own otherwise.
    fn system_name(&self) -> String {
        let own = self.name.to_lowercase();
        match &self.base {
            Some(base) if !self.assembly && (self.user_defined || own == "sysname") => base.to_lowercase(),
            _ => own,
        }
    }
}

/// The type of a column.
pub fn source_type(facts: &TypeFacts) -> SourceType {
    use SourceType as S;
    let name = facts.system_name();
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
        _ if facts.assembly => S::Clr(format!("{}.{}", facts.schema, facts.name)),
        _ => S::Unknown(format!("{}.{}", facts.schema, facts.name)),
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
    let name = facts.system_name();
    let length = |unit: i32| if facts.max_length < 0 { "max".to_owned() } else { (facts.max_length / unit).to_string() };
    let system = match name.as_str() {
        "decimal" | "numeric" => format!("{name}({},{})", facts.precision, facts.scale),
        "time" | "datetime2" | "datetimeoffset" => format!("{name}({})", facts.scale),
        "char" | "varchar" | "binary" | "varbinary" => format!("{name}({})", length(1)),
        "nchar" | "nvarchar" => format!("{name}({})", length(2)),
        "timestamp" => "rowversion".to_owned(),
        _ => name,
    };
    if facts.user_defined && !facts.assembly { format!("{}.{} ({system})", facts.schema, facts.name) } else { system }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(name: &str, base: Option<&str>, max_length: i32) -> TypeFacts {
        TypeFacts {
            name: name.to_owned(),
            schema: "dbo".to_owned(),
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
    fn max_is_minus_one() {
        assert_eq!(source_type(&facts("varbinary", Some("varbinary"), -1)), SourceType::VarBinary { bytes: Length::Max });
        assert_eq!(declared(&facts("varchar", Some("varchar"), -1)), "varchar(max)");
    }

    #[test]
    fn unknown_names_stay_unknown() {
        assert_eq!(source_type(&facts("quux", Some("quux"), 4)), SourceType::Unknown("dbo.quux".to_owned()));
        assert_eq!(source_type(&facts("timestamp", Some("timestamp"), 8)), SourceType::RowVersion);
    }
}
