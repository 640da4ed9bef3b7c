//! Values and types as SQL Server has them, in the representation nearest to the TDS wire format.

use std::borrow::Cow;

/// One value of one cell. Integers and times are exact; nothing here is ever a rounded float of something else.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Null,
    Bit(bool),
    TinyInt(u8),
    SmallInt(i16),
    Int(i32),
    BigInt(i64),
    Real(f32),
    Float(f64),
    /// `value / 10^scale`; precision is the column's.
    Decimal {
        value: i128,
        scale: u8,
    },
    /// Ten-thousandths (money and smallmoney).
    Money(i64),
    /// Days since 0001-01-01.
    Date(u32),
    /// Units of 100 ns since midnight (any scale, already truncated to the column's scale).
    Time(u64),
    /// Days since 1900-01-01 (may be negative) and 1/300 s since midnight.
    DateTime {
        days: i32,
        ticks: u32,
    },
    /// Days since 1900-01-01 and minutes since midnight.
    SmallDateTime {
        days: u16,
        minutes: u16,
    },
    /// Days since 0001-01-01 and units of 100 ns since midnight.
    DateTime2 {
        days: u32,
        ticks: u64,
    },
    /// As `DateTime2`, in UTC, with the offset in minutes.
    DateTimeOffset {
        days: u32,
        ticks: u64,
        offset: i16,
    },
    /// char, varchar, text: bytes in the collation's code page, possibly undecodable.
    VarChar(Cow<'a, [u8]>),
    /// nchar, nvarchar, ntext, xml: UTF-16LE bytes, possibly with lone surrogates.
    NVarChar(Cow<'a, [u8]>),
    /// binary, varbinary, image, rowversion, CLR types.
    Binary(Cow<'a, [u8]>),
    /// uniqueidentifier in wire order (first three groups little-endian).
    Guid([u8; 16]),
    /// sql_variant: the base type and its value.
    Variant(Box<(SqlType, Value<'static>)>),
}

/// Longest length of a variable-length type: `Len::Max` is `(max)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Len {
    /// Bytes for char/varchar/binary/varbinary, UTF-16 units for nchar/nvarchar.
    N(u16),
    Max,
}

/// A column's type as the client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SqlType {
    Bit,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Real,
    Float,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Numeric {
        precision: u8,
        scale: u8,
    },
    Money,
    SmallMoney,
    Date,
    Time {
        scale: u8,
    },
    DateTime,
    SmallDateTime,
    DateTime2 {
        scale: u8,
    },
    DateTimeOffset {
        scale: u8,
    },
    Char {
        len: u16,
        collation: Collation,
    },
    VarChar {
        len: Len,
        collation: Collation,
    },
    NChar {
        len: u16,
        collation: Collation,
    },
    NVarChar {
        len: Len,
        collation: Collation,
    },
    Text {
        collation: Collation,
    },
    NText {
        collation: Collation,
    },
    Binary {
        len: u16,
    },
    VarBinary {
        len: Len,
    },
    Image,
    UniqueIdentifier,
    Xml,
    RowVersion,
    SqlVariant,
    /// hierarchyid, geometry, geography: the name of the CLR type.
    Udt {
        name: String,
    },
}

/// A collation by its SQL Server name; the code page and the 5 wire bytes follow from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collation(pub String);

/// A result column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub sql_type: SqlType,
    pub nullable: bool,
    pub identity: bool,
}

/// A parameter of a batch (`sp_executesql`), with its name (`@P1`).
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    pub name: String,
    pub sql_type: SqlType,
    pub value: Value<'static>,
}

/// An error or message as SQL Server numbers it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Msg {number}, Level {class}, State {state}: {message}")]
pub struct SqlError {
    pub number: u32,
    pub state: u8,
    /// Severity; 0–10 are messages, 11–16 errors of the statement, 17–25 graver.
    pub class: u8,
    pub message: String,
}

/// What the engine is told after each thing it hands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    Continue,
    /// The client sent an attention, or is gone: stop this batch.
    Stop,
}

/// A change of the session that the client must be told (ENVCHANGE).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvChange {
    Database { old: String, new: String },
    Language { old: String, new: String },
    BeginTransaction(u64),
    CommitTransaction(u64),
    RollbackTransaction(u64),
}

/// Where a batch's results go, in order. The wire encodes each call at once; nothing is collected.
pub trait Output {
    fn columns(&mut self, columns: &[Column]) -> Flow;
    fn row(&mut self, row: &[Value<'_>]) -> Flow;
    /// A statement ended; `rows` is the count that DONE carries, `None` where DONE_COUNT is not set.
    fn done(&mut self, rows: Option<u64>) -> Flow;
    fn info(&mut self, message: &SqlError);
    /// Errors and messages that follow are those of a statement that begins on this line of its batch.
    fn at_line(&mut self, _line: u32) {}
    fn env_change(&mut self, change: &EnvChange);
}

impl SqlError {
    pub fn new(number: u32, class: u8, message: impl Into<String>) -> Self {
        Self { number, state: 1, class, message: message.into() }
    }

    /// What this simulator does not know is an error that says so, never a guess.
    pub fn unsupported(what: impl Into<String>) -> Self {
        Self::new(40_000, 16, format!("simulator: {}", what.into()))
    }
}

impl Default for Collation {
    fn default() -> Self {
        Self("SQL_Latin1_General_CP1_CI_AS".to_owned())
    }
}

impl Collation {
    /// The code page of char and varchar under this collation.
    pub fn code_page(&self) -> u16 {
        crate::collation::code_page(&self.0)
    }
}

impl Value<'_> {
    /// The text as nvarchar.
    pub fn nvarchar(text: &str) -> Value<'static> {
        Value::NVarChar(text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>().into())
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
}
