//! What a reader of the plan should know of a table although it keeps nothing from being copied.

use super::{ColumnPlan, Dialect, Finding, IndexPlan, Severity};
use crate::config::{Consistency, MaskedPolicy, TableSettings};
use crate::model::facts::MissingFact;
use crate::model::schema::{IndexKind, SourceColumn, SourceTable, SourceType};
use crate::plan::type_map::LogicalType;

/// The id of what concerns types that the source does not show.
pub const TYPE_NOT_SHOWN: &str = "type-not-shown";

/// Facts without which a copy may be another than it seems, and the report says nothing of it.
const WEIGHTY_FACTS: [&str; 3] = ["masked columns", "encrypted columns", "row-level security"];

/// What could not be read is not known; that is not the same as absent.
pub(super) fn of_missing_fact(missing: &MissingFact) -> Finding {
    let weighty = missing.forbidden && WEIGHTY_FACTS.contains(&missing.what);
    let severity = if weighty { Severity::Warning } else { Severity::Note };
    Finding::new(
        "missing-fact",
        severity,
        format!("not known: {}: {}", missing.what, missing.why),
        "Grant VIEW DEFINITION and VIEW DATABASE STATE to see it.",
    )
}

/// Why a column is refused whose type the server does not show, and the remedy. Only a type of a CLR assembly has no base type
/// to be taken by.
pub(super) fn type_not_shown(column: &SourceColumn, id: i32) -> (String, String) {
    let message = format!(
        "column {} is of a user-defined type that the server does not show to this login: how its values are to be read is \
         not known",
        column.name
    );
    let remedy = format!(
        "GRANT VIEW DEFINITION ON TYPE::… to the login (SELECT SCHEMA_NAME(schema_id), name FROM sys.types WHERE user_type_id = \
         {id} tells an administrator its name), or list the column in exclude_columns."
    );
    (message, remedy)
}

/// Warnings and notes about one table.
pub(super) fn of_table(
    source: &SourceTable,
    settings: &TableSettings,
    indexes: &[IndexPlan],
    columns: &[ColumnPlan],
    dialect: &dyn Dialect,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut say = |id, severity, message: String, remedy: &str| {
        findings.push(Finding::new(id, severity, message, remedy).on(&source.name));
    };
    if source.row_level_security {
        say(
            "row-level-security",
            Severity::Warning,
            "a security policy filters this table: only the rows that this login sees are copied".to_owned(),
            "Use a login that the policy exempts, if all rows are wanted.",
        );
    }
    if source.may_show_masks && settings.masked == MaskedPolicy::Refuse {
        say(
            "masked-view",
            Severity::Refusal,
            "the database has columns that are masked for this login, or may be: this view may show their masks"
                .to_owned(),
            "GRANT UNMASK to the login, or set masked = \"allow\" for the view if it shows no masked column.",
        );
    }
    let shows_masks = source.may_show_masks || source.columns.iter().any(|column| column.masked);
    if shows_masks && settings.masked == MaskedPolicy::Allow {
        say(
            "masked-column",
            Severity::Warning,
            "masked values are copied, as the job file allows".to_owned(),
            "GRANT UNMASK to copy what is stored.",
        );
    }
    let by_base_type: Vec<&str> =
        source.columns.iter().filter(|column| column.by_base_type).map(|column| column.name.as_str()).collect();
    if !by_base_type.is_empty() {
        say(
            TYPE_NOT_SHOWN,
            Severity::Note,
            format!(
                "the login does not see the alias types of {}: they are copied by their base types",
                by_base_type.join(", ")
            ),
            "Nothing is lost: an alias type holds the values of its base type.",
        );
    }
    if settings.consistency == Consistency::None {
        say(
            "no-snapshot",
            Severity::Note,
            "rows are read while the table may change; what was read is what is verified".to_owned(),
            "Set consistency = \"snapshot\" for one state of the table.",
        );
    }
    let insensitive = |name: &str| {
        source
            .columns
            .iter()
            .find(|column| column.name == name)
            .and_then(|column| column.collation.as_ref())
            .is_some_and(|collation| collation.contains("_CI"))
    };
    let unique = indexes.iter().filter(|index| index.kind != IndexKind::Plain);
    for index in unique.filter(|_| dialect.compares_text_exactly()) {
        let affected: Vec<&str> = index
            .columns
            .iter()
            .filter_map(|(name, _)| columns.iter().find(|column| &column.target == name))
            .filter(|column| insensitive(&column.source))
            .map(|column| column.target.as_str())
            .collect();
        if !affected.is_empty() {
            say(
                "collation-differs",
                Severity::Note,
                format!(
                    "{} is unique without regard to case at the source; on the target {} compares exactly",
                    index.name,
                    affected.join(", ")
                ),
                "Nothing is lost; writers to the copy could add values that differ in case only.",
            );
        }
    }
    for index in indexes.iter().filter(|index| index.kind != IndexKind::Plain) {
        let cut: Vec<&str> = index
            .columns
            .iter()
            .filter(|(name, _)| columns.iter().any(|column| &column.target == name && is_cut(source, column)))
            .map(|(name, _)| name.as_str())
            .collect();
        if !cut.is_empty() {
            say(
                "key-cut",
                Severity::Warning,
                format!(
                    "{} is unique with seven fraction digits in {}, of which six are kept: rows that differ in the seventh alone \
                     make the table fail, and it keeps its old rows",
                    index.name,
                    cut.join(", ")
                ),
                "Where there may be such rows, set indexes = \"none\" or target_types = text for the column.",
            );
        }
    }
    if let Some(temporal) = &source.temporal {
        say(
            "temporal-table",
            Severity::Note,
            format!("{}: its current rows are copied as they are", temporal.to_lowercase().replace('_', " ")),
            "Select the history table, too, if it is wanted.",
        );
    }
    findings
}

/// Whether the seventh fraction digit of its times is lost.
fn is_cut(source: &SourceTable, column: &ColumnPlan) -> bool {
    use SourceType as S;
    let has_seven = |source_type: &S| {
        matches!(source_type, S::Time { digits: 7 } | S::DateTime2 { digits: 7 } | S::DateTimeOffset { digits: 7 })
    };
    matches!(
        column.mapping.logical,
        LogicalType::Time { .. } | LogicalType::Timestamp { .. } | LogicalType::TimestampTz { .. }
    ) && source.columns.iter().any(|found| found.name == column.source && has_seven(&found.source_type))
}
