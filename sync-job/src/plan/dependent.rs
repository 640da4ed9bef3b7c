//! What depends on a table of the target, or what it has that no new table could get.

use crate::model::code::plain_coded;
use crate::model::schema::TableName;

plain_coded! {
    /// What kind of object or attribute it is. Either target names these in the SQL that asks its catalogs.
    pub enum DependentKind {
        /// A view selects from the table.
        View = "view",
        MaterializedView = "materialized_view",
        /// A rule of another relation names the table.
        Rule = "rule",
        /// Another table's foreign key refers to the table.
        ForeignKeyFrom = "foreign_key_from",
        /// The table's own foreign key, which no new table would get.
        ForeignKeyTo = "foreign_key_to",
        CheckConstraint = "check_constraint",
        ExclusionConstraint = "exclusion_constraint",
        Trigger = "trigger",
        Policy = "policy",
        RowLevelSecurity = "row_level_security",
        ForcedRowLevelSecurity = "forced_row_level_security",
        Publication = "publication",
        Subscription = "subscription",
        ReplicationSlot = "replication_slot",
        ChildTable = "child_table",
        ParentTable = "parent_table",
        Partitions = "partitions",
        ExtendedStatistics = "extended_statistics",
        Histogram = "histogram",
        ColumnDefault = "column_default",
        ColumnCollation = "column_collation",
        ColumnCheck = "column_check",
        GeneratedColumn = "generated_column",
        InvisibleColumn = "invisible_column",
        /// The column counts up, and would not any more.
        CountingColumn = "counting_column",
        Function = "function",
        RowType = "row_type",
        /// An object of a kind that has no code of its own.
        Object = "object",
        SequenceUse = "sequence_use",
        Sequence = "sequence",
        SequenceBounds = "sequence_bounds",
        /// An index that this job did not make.
        Index = "index",
        /// An index of a kind that the job does not make, such as FULLTEXT.
        SpecialIndex = "special_index",
        /// An index over the beginning of a column's values.
        PrefixIndex = "prefix_index",
        IndexComment = "index_comment",
        IndexOption = "index_option",
        ConstraintOption = "constraint_option",
        ColumnOption = "column_option",
        TableOption = "table_option",
        Period = "period",
        /// The table is of a declared type (`CREATE TABLE … OF`).
        TableType = "table_type",
        Unlogged = "unlogged",
        Tablespace = "tablespace",
        SecurityLabel = "security_label",
        Extension = "extension",
        /// A column of a catalog, or a catalog, that this version of the job does not know.
        UnknownCatalog = "unknown_catalog",
        UnreadableDefinition = "unreadable_definition",
    }
}

/// One dependent.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Dependent {
    pub kind: DependentKind,
    /// Its name as the target shows it; empty where the kind says all.
    pub name: String,
    /// What it belongs to or what more there is to its name: the column of a label, the plugin of a slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// The other table of a foreign key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<TableName>,
}

impl Dependent {
    pub fn new(kind: DependentKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into(), of: None, table: None }
    }

    /// One that the kind describes alone.
    pub fn unnamed(kind: DependentKind) -> Self {
        Self::new(kind, "")
    }

    pub fn of(mut self, of: impl Into<String>) -> Self {
        self.of = Some(of.into());
        self
    }

    /// A foreign key of the table itself.
    pub fn foreign_key_to(name: impl Into<String>, referenced: &TableName) -> Self {
        let table = Some(referenced.clone());
        Self { table, ..Self::new(DependentKind::ForeignKeyTo, name) }
    }

    /// A foreign key of another table.
    pub fn foreign_key_from(name: impl Into<String>, table: TableName) -> Self {
        Self { table: Some(table), ..Self::new(DependentKind::ForeignKeyFrom, name) }
    }

    /// Whether it is a foreign key of this table, which refers to the table that it depends on.
    pub fn is_foreign_key_of(&self, table: &TableName) -> bool {
        self.kind == DependentKind::ForeignKeyFrom && self.table.as_ref() == Some(table)
    }
}

impl std::fmt::Display for Dependent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use DependentKind as K;
        let name = &self.name;
        let of = self.of.as_deref().unwrap_or_default();
        let table = self.table.as_ref().map(TableName::to_string).unwrap_or_default();
        match self.kind {
            K::View => write!(f, "view {name}"),
            K::MaterializedView => write!(f, "materialized view {name}"),
            K::Rule => write!(f, "a rule of {name}"),
            K::ForeignKeyFrom => write!(f, "foreign key {name} of {table}"),
            K::ForeignKeyTo => write!(f, "foreign key {name} to {table}"),
            K::CheckConstraint => write!(f, "check constraint {name}"),
            K::ExclusionConstraint => write!(f, "exclusion constraint {name}"),
            K::Trigger => write!(f, "trigger {name}"),
            K::Policy => write!(f, "policy {name}"),
            K::RowLevelSecurity => f.write_str("row-level security"),
            K::ForcedRowLevelSecurity => f.write_str("FORCE ROW LEVEL SECURITY"),
            K::Publication => write!(f, "publication {name}"),
            K::Subscription => write!(f, "subscription {name}"),
            K::ReplicationSlot => write!(f, "logical replication slot {name} ({of})"),
            K::ChildTable => write!(f, "child table {name}"),
            K::ParentTable => write!(f, "parent table {name}"),
            K::Partitions => f.write_str("its partitions"),
            K::ExtendedStatistics => write!(f, "extended statistics {name}"),
            K::Histogram => write!(f, "the histogram of column {name}"),
            K::ColumnDefault => write!(f, "the default of column {name}"),
            K::ColumnCollation => write!(f, "the collation of column {name}"),
            K::ColumnCheck => write!(f, "the check of column {name}"),
            K::GeneratedColumn => write!(f, "the generated column {name}"),
            K::InvisibleColumn => write!(f, "the invisible column {name}"),
            K::CountingColumn => write!(f, "column {name}, which counts up and would not any more"),
            K::Function => write!(f, "function {name}"),
            K::RowType => write!(f, "a use of its row type by {name}"),
            K::Object | K::TableOption => f.write_str(name),
            K::SequenceUse => write!(f, "a use of its sequence by {name}"),
            K::Sequence => write!(f, "sequence {name} of column {of}"),
            K::SequenceBounds => write!(f, "the bounds of sequence {name}"),
            K::Index => write!(f, "index {name}, which this job did not make"),
            K::SpecialIndex => write!(f, "the {of} index {name}"),
            K::PrefixIndex => write!(f, "the index {name} over the beginning of column {of}"),
            K::IndexComment => write!(f, "the comment of index {name}"),
            K::IndexOption => write!(f, "{name} of index {of}"),
            K::ConstraintOption => write!(f, "{name} of constraint {of}"),
            K::ColumnOption => write!(f, "{name} of column {of}"),
            K::Period => write!(f, "the period {name}"),
            K::TableType => write!(f, "its type {name}"),
            K::Unlogged => f.write_str("UNLOGGED"),
            K::Tablespace => write!(f, "tablespace {name}, in which this login may make no table"),
            K::SecurityLabel if of.is_empty() => write!(f, "security label of the table ({name})"),
            K::SecurityLabel => write!(f, "security label of column {of} ({name})"),
            K::Extension => write!(f, "extension {name}, which it belongs to"),
            K::UnknownCatalog => write!(f, "{name}, which this version of the job does not know"),
            K::UnreadableDefinition => f.write_str("a definition that could not be read"),
        }
    }
}

/// `view a, trigger b`.
pub fn list(dependents: &[Dependent]) -> String {
    dependents.iter().map(Dependent::to_string).collect::<Vec<_>>().join(", ")
}
