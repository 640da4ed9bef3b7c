//! What a source, or the type that a target stores, cannot carry exactly.

use crate::model::code::coded;

coded! {
    /// A loss that the plan knows of a column's type, whatever its values.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum PlannedLoss {
        /// A datetimeoffset's offset, which a column of the offset beside it makes good.
        Offset = "offset",
        /// The instant is stored in UTC by a type without a time zone.
        ZoneNotInType = "zone_not_in_type",
        /// Digits of a second's fraction: how many are kept, and how many there are.
        FractionDigits { kept: u8, of: u8 } = "fraction_digits",
        VariantType = "variant_type",
        VectorDigits = "vector_digits",
        /// The CLR type's name.
        ClrBytes(String) = "clr_bytes",
        /// More fraction digits than MySQL's decimals have.
        DecimalAsText = "decimal_as_text",
        /// What MySQL's own json changes.
        MySqlJson = "mysql_json",
        Jsonb = "jsonb",
        /// What MySQL's geometry cannot hold.
        FlatGeometry = "flat_geometry",
    }
}

impl PlannedLoss {
    /// Whether it comes from the type that the map chose, so that another type does not have it.
    pub fn is_of_default_type(&self) -> bool {
        matches!(self, PlannedLoss::MySqlJson | PlannedLoss::DecimalAsText)
    }
}

impl std::fmt::Display for PlannedLoss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PlannedLoss::Offset => {
                f.write_str("the instant is kept, the original offset is not (offset_column = true keeps it beside)")
            }
            PlannedLoss::ZoneNotInType => f.write_str("the instant is in UTC, and the type does not say so"),
            PlannedLoss::FractionDigits { kept, of } => {
                write!(f, "{kept} of {of} fraction digits are kept, the rest is cut; affected rows are counted")
            }
            PlannedLoss::VariantType => f.write_str(
                "each value becomes text by its own base type (variant_type_column = true keeps the type beside)",
            ),
            PlannedLoss::VectorDigits => f.write_str(
                "the source writes a vector's numbers with 8 significant digits: the last bit of one may differ",
            ),
            PlannedLoss::ClrBytes(name) => write!(f, "the CLR type {name} is copied as its raw bytes"),
            PlannedLoss::DecimalAsText => {
                f.write_str("MySQL's decimals end at 30 fraction digits: the number is kept as text, exactly")
            }
            PlannedLoss::MySqlJson => f.write_str(
                "json reorders keys, drops duplicates, and keeps numbers other than 64-bit integers as doubles of 17 digits at \
                 most; it is made from the verified text by the target",
            ),
            PlannedLoss::Jsonb => f.write_str(
                "jsonb reorders keys and drops duplicates; it is made from the verified text by the target",
            ),
            PlannedLoss::FlatGeometry => f.write_str(
                "geometry has two dimensions and no arcs: a value with Z, M or arcs, or an empty one, makes the table fail",
            ),
        }
    }
}
