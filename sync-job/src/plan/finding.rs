//! What was found before anything was written.

use crate::model::code::plain_coded;
use crate::model::schema::TableName;

plain_coded! {
    /// How much a finding matters.
    pub enum Severity {
        Note = "note",
        Warning = "warning",
        /// Nothing is written while one of these stands.
        Refusal = "refusal",
    }
}

plain_coded! {
    /// What a finding is about.
    pub enum FindingId {
        ChunkKey = "chunk-key",
        CollationDiffers = "collation-differs",
        ColumnCount = "column-count",
        ColumnNameCollision = "column-name-collision",
        DatabaseSnapshot = "database-snapshot",
        DecodedWithoutIdentity = "decoded-without-identity",
        Drift = "drift",
        DriftInPlace = "drift-kept-table",
        EmptyPattern = "empty-pattern",
        EncryptedColumn = "encrypted-column",
        Filter = "filter",
        ForeignKeyDiffers = "foreign-key-differs",
        ForeignKeyNotChecked = "foreign-key-not-checked",
        ChangesUnfit = "changes-unfit",
        ChangesUntracked = "changes-untracked",
        IncompleteCatalog = "incomplete-catalog",
        InvisibleSessions = "readers-not-seen",
        KeyCut = "key-cut",
        MaskedColumn = "masked-column",
        MaskedView = "masked-view",
        MissingColumn = "missing-column",
        MissingFact = "missing-fact",
        MissingTable = "missing-table",
        NameNotTaken = "name-not-taken",
        NameTooLong = "name-too-long",
        NewTableDecoded = "new-table-decoded",
        NewTablePublished = "new-table-published",
        NoPrimaryKey = "no-primary-key",
        NoReplicaIdentity = "no-replica-identity",
        NoSnapshot = "no-snapshot",
        NotResumable = "not-resumable",
        NothingSelected = "nothing-selected",
        OnlyCounted = "only-counted",
        OutdatedKey = "outdated-key",
        ReplicaReaders = "replica-readers",
        RowLevelSecurity = "row-level-security",
        RowMayBeTooLong = "row-may-be-too-long",
        RowTooWide = "row-too-wide",
        SelfTest = "self-test",
        SnapshotNotAllowed = "snapshot-not-allowed",
        SourcePermission = "source-permission",
        SourceVersion = "source-version",
        TableNameCollision = "table-name-collision",
        TargetNotATable = "target-not-a-table",
        TargetPermission = "target-permission",
        TargetSlower = "target-slower",
        TargetUnusable = "target-unusable",
        TemporalTable = "temporal-table",
        TextThroughDriver = "text-through-driver",
        TlsDisabled = "tls-disabled",
        TlsNotVerified = "tls-not-verified",
        TypeNotShown = "type-not-shown",
        UnknownIdentity = "unknown-identity",
        UnmappedType = "unmapped-type",
        ViewDefinition = "view-definition",
    }
}

impl std::fmt::Display for FindingId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

/// Something found before anything is written.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    pub id: FindingId,
    pub severity: Severity,
    /// The table, or nothing for the run as a whole.
    pub table: Option<String>,
    pub message: String,
    pub remedy: String,
}

impl Finding {
    pub fn new(id: FindingId, severity: Severity, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { id, severity, table: None, message: message.into(), remedy: remedy.into() }
    }

    /// Whether the plan lacks a part of the table because the source does not show it: a comparison by this plan would pass over
    /// that part and agree.
    pub fn hides_a_part(&self) -> bool {
        self.severity == Severity::Refusal && matches!(self.id, FindingId::IncompleteCatalog | FindingId::TypeNotShown)
    }

    pub fn on(mut self, table: &TableName) -> Self {
        self.table = Some(table.to_string());
        self
    }
}
