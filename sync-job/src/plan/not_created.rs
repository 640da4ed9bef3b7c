//! What the source has and the target will not have, and why.

use crate::model::code::{coded, plain_coded};
use crate::model::schema::TableName;

plain_coded! {
    /// What is not created.
    pub enum What {
        Index = "index",
        PrimaryKey = "primary_key",
        ForeignKey = "foreign_key",
        /// The name is the column's.
        Identity = "identity",
        Column = "column",
        /// The name is their number.
        ColumnDefaults = "column_defaults",
        /// All of an index.
        IncludedColumns = "included_columns",
        /// One of an index.
        IncludedColumn = "included_column",
        /// The names are those of the columns.
        IndexOrder = "index_order",
        KeyOrder = "key_order",
        /// The type that the map gives a column.
        ColumnType = "column_type",
    }
}

coded! {
    /// Why it is not created.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum Why {
        /// The job file's `indexes` leaves it out.
        IndexPolicy = "index_policy",
        /// The job file's `foreign_keys` leaves it out.
        ForeignKeyPolicy = "foreign_key_policy",
        Disabled = "disabled",
        /// A foreign key that the source does not enforce, or never checked.
        Untrusted = "untrusted",
        /// The index has this predicate.
        Filtered(String) = "filtered",
        /// An index of this structure.
        NoEquivalent(String) = "no_equivalent",
        ColumnNotCopied(String) = "column_not_copied",
        TableNotCopied(TableName) = "table_not_copied",
        /// The login does not see the table that a foreign key refers to.
        TableNotShown = "table_not_shown",
        /// The target takes so many columns in an index.
        TooManyColumns(usize) = "too_many_columns",
        /// The target's own limit, in words.
        Unsupported(String) = "unsupported",
        /// The target's indexes carry no other columns.
        KeyAlone = "key_alone",
        TooLong = "too_long",
        /// Found when it was built.
        RefusedForLength = "refused_for_length",
        AscendsOnly = "ascends_only",
        /// The table that a foreign key refers to.
        NoUniqueKey(TableName) = "no_unique_key",
        FilledByJob = "filled_by_job",
        /// The column's type on the target.
        NotAnInteger(String) = "not_an_integer",
        /// The target takes so many indexes, the primary key among them.
        TooManyIndexes(usize) = "too_many_indexes",
        /// MySQL's condition for AUTO_INCREMENT.
        LeadsNoKey = "leads_no_key",
        /// A column that the source's server keeps to itself.
        Internal = "internal",
        NotAtSource = "not_at_source",
        UpdatedInPlace = "updated_in_place",
        /// The table that a foreign key refers to is updated in place and has no such key.
        ReferencedInPlace(TableName) = "referenced_in_place",
        /// The row has room for so many bytes.
        Widened { from: String, to: String, most: u64 } = "widened",
    }
}

/// One thing that is not created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotCreated {
    pub what: What,
    pub name: String,
    /// The index that it is a part of.
    pub of: Option<String>,
    pub why: Why,
}

impl NotCreated {
    pub fn new(what: What, name: impl Into<String>, why: Why) -> Self {
        Self { what, name: name.into(), of: None, why }
    }

    pub fn of(mut self, index: impl Into<String>) -> Self {
        self.of = Some(index.into());
        self
    }

    /// Whether both are about the same thing, whatever the reasons.
    pub fn is_about(&self, what: What, name: &str) -> bool {
        self.what == what && self.name == name
    }
}

impl serde::Serialize for NotCreated {
    /// As programs read it: its text first.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The codes of one thing that is not created, for programs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Codes<'a> {
    what: What,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<&'a str>,
    why: &'static str,
}

impl NotCreated {
    pub fn codes(&self) -> Codes<'_> {
        Codes { what: self.what, name: &self.name, of: self.of.as_deref(), why: self.why.code() }
    }
}

impl std::fmt::Display for NotCreated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = &self.name;
        let of = self.of.as_deref().unwrap_or_default();
        match self.what {
            What::Index => write!(f, "index {name}")?,
            What::PrimaryKey => write!(f, "primary key {name}")?,
            What::ForeignKey => write!(f, "foreign key {name}")?,
            What::Identity => write!(f, "identity of {name}")?,
            What::Column => write!(f, "column {name}")?,
            What::ColumnDefaults => write!(f, "{name} column default(s)")?,
            What::IncludedColumns => write!(f, "included columns of index {name}")?,
            What::IncludedColumn => write!(f, "included column {name} of index {of}")?,
            What::IndexOrder => write!(f, "descending order of {name} in index {of}")?,
            What::KeyOrder => write!(f, "descending order of {name} in key {of}")?,
            What::ColumnType => f.write_str(name)?,
        }
        write!(f, ": {}", self.why)
    }
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Why::IndexPolicy => f.write_str("the job file says so (indexes)"),
            Why::ForeignKeyPolicy => f.write_str("the job file does not ask for foreign keys"),
            Why::Disabled => f.write_str("it is disabled at the source"),
            Why::Untrusted => f.write_str("it is disabled or not trusted at the source"),
            Why::Filtered(predicate) => write!(f, "it is filtered: {predicate}"),
            Why::NoEquivalent(structure) => write!(f, "{} indexes have no equivalent", structure.to_lowercase()),
            Why::ColumnNotCopied(column) => write!(f, "its column {column} is not copied"),
            Why::TableNotCopied(table) => write!(f, "{table} is not copied in this run"),
            Why::TableNotShown => f.write_str("it refers to a table that this login does not see"),
            Why::TooManyColumns(most) => write!(f, "the target takes {most} columns in an index"),
            Why::Unsupported(words) => f.write_str(words),
            Why::KeyAlone => f.write_str("its key alone is indexed"),
            Why::TooLong => f.write_str("its values may be longer than a row of an index on the target"),
            Why::RefusedForLength => f.write_str("the target refuses it: a row of it would be too long"),
            Why::AscendsOnly => f.write_str("it ascends on the target"),
            Why::NoUniqueKey(table) => {
                write!(f, "{table} has no unique key over the referenced columns on the target")
            }
            Why::FilledByJob => f.write_str("the copy is filled by this job alone"),
            Why::NotAnInteger(target_type) => write!(f, "only integers count up, and it is {target_type}"),
            Why::TooManyIndexes(most) => write!(f, "the target takes {most} indexes on one table"),
            Why::LeadsNoKey => f.write_str("AUTO_INCREMENT must lead the primary key and count upwards"),
            Why::Internal => f.write_str("the source's server lets nobody read it"),
            Why::NotAtSource => f.write_str("it goes away with the old table, since the source has none like it"),
            Why::UpdatedInPlace => f.write_str("the table is updated in place and does not have it"),
            Why::ReferencedInPlace(table) => write!(f, "{table} is updated in place and has no key for it"),
            Why::Widened { from, to, most } => {
                write!(f, "{from} becomes {to}, since a row takes {most} bytes; no value is changed")
            }
        }
    }
}
