//! What a column holds, whatever an engine calls it: sources say it of their columns, targets choose a type for it.

/// The meaning of a column's values. Lengths and limits of 0 mean "no limit".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogicalType {
    Bool,
    /// 0 to 255.
    UInt1,
    Int2,
    Int4,
    Int8,
    /// 0 to 2⁶⁴ − 1. SQL Server has no such type.
    UInt8,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Float4,
    Float8,
    Date,
    /// `digits` of fraction, up to seven.
    Time {
        digits: u8,
    },
    Timestamp {
        digits: u8,
    },
    /// An instant, and the offset that it was written with.
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
    /// A node's path in a tree, `/1/2/`, of at most 4,000 characters.
    Path,
    /// A value of any type, as its text.
    Variant,
    /// A shape as extended well-known text with SRID, Z and M.
    Geometry,
    Json,
    Xml,
    /// At most `limit` bytes, or exactly so many.
    Bytes {
        limit: u32,
        fixed: bool,
    },
    Uuid,
    /// A one-dimensional array of 4-byte floats.
    FloatArray,
}

/// Why it is not known what a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmapped {
    /// The source's type, or its encoding, is not known; the reason in words.
    Unknown(String),
    /// The source does not show the type to this login. What to do, in the source's language.
    NotShown { remedy: String },
}
