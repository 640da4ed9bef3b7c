//! What a reader of the plan should know of a table although it keeps nothing from being copied.

use super::{ColumnPlan, Dialect, Finding, FindingId, IndexPlan, Severity};
use crate::config::{Consistency, MaskedPolicy, OutdatedWord, TableSettings};
use crate::model::facts::{Absence, MissingFact};
use crate::model::logical::LogicalType;
use crate::model::schema::{IndexKind, SourceColumn, SourceTable};
use crate::plan::type_map::StoredType;

/// A word that will not be read for ever.
pub(super) fn of_outdated_word(word: &OutdatedWord) -> Finding {
    let OutdatedWord { key, old, new } = word;
    Finding::new(
        FindingId::OutdatedKey,
        Severity::Warning,
        format!("{key} = {old:?} in the job file is now called {new:?}; the old word is still read"),
        format!("Write {key} = {new:?}."),
    )
}

/// What could not be read is not known; that is not the same as absent.
pub(super) fn of_missing_fact(missing: &MissingFact) -> Finding {
    let weighty = missing.cause == Absence::Unseen && missing.what.is_weighty();
    let severity = if weighty { Severity::Warning } else { Severity::Note };
    Finding::new(
        FindingId::MissingFact,
        severity,
        format!("not known: {}: {}", missing.what.name(), missing.why),
        "Grant VIEW DEFINITION and VIEW DATABASE STATE to see it.",
    )
}

/// Why a column is refused whose type the source does not show.
pub(super) fn type_not_shown(column: &SourceColumn) -> String {
    format!(
        "column {} is of a user-defined type that the server does not show to this login: how its values are to be read is \
         not known",
        column.name
    )
}

/// Why a masked column is refused. A computed column's own catalog row does not say that it shows masks.
pub(super) fn masked(column: &SourceColumn) -> String {
    let why = if column.computed {
        "is computed in a table with masked columns, and shows a mask if it depends on one"
    } else {
        "is masked for this login, or may be"
    };
    format!("column {} {why}: what would be copied is not what is stored", column.name)
}

/// Warnings and notes about one table.
#[expect(clippy::too_many_lines, reason = "a list of findings, each independent of the others")]
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
            FindingId::RowLevelSecurity,
            Severity::Warning,
            "a security policy filters this table: only the rows that this login sees are copied".to_owned(),
            "Use a login that the policy exempts, if all rows are wanted.",
        );
    }
    if let Some(masked) = &source.may_show_masks {
        let severity = match settings.masked {
            MaskedPolicy::Refuse => Severity::Refusal,
            MaskedPolicy::Allow => Severity::Warning,
        };
        say(
            FindingId::MaskedView,
            severity,
            format!(
                "this view may show masks: the login sees masked values in this database, such as those of {masked}"
            ),
            "GRANT UNMASK to the login, or set masked = \"allow\" for the view: its values are then copied as the login sees them, and the \
             source's own sums are not compared.",
        );
    }
    if columns.iter().any(|column| column.masked) && settings.masked == MaskedPolicy::Allow {
        say(
            FindingId::MaskedColumn,
            Severity::Warning,
            "masked values are copied, as the job file allows".to_owned(),
            "GRANT UNMASK to copy what is stored.",
        );
    }
    let by_base_type: Vec<&str> =
        source.columns.iter().filter(|column| column.by_base_type).map(|column| column.name.as_str()).collect();
    if !by_base_type.is_empty() {
        say(
            FindingId::TypeNotShown,
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
            FindingId::NoSnapshot,
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
                FindingId::CollationDiffers,
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
            .filter(|(name, _)| columns.iter().any(|column| &column.target == name && is_cut(column)))
            .map(|(name, _)| name.as_str())
            .collect();
        if !cut.is_empty() {
            say(
                FindingId::KeyCut,
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
            FindingId::TemporalTable,
            Severity::Note,
            format!("{}: its current rows are copied as they are", temporal.to_lowercase().replace('_', " ")),
            "Select the history table, too, if it is wanted.",
        );
    }
    findings
}

/// Whether the seventh fraction digit of its times is lost.
fn is_cut(column: &ColumnPlan) -> bool {
    use LogicalType as L;
    matches!(column.holds, L::Time { digits: 7 } | L::Timestamp { digits: 7 } | L::TimestampTz { digits: 7 })
        && matches!(
            column.mapping.stored,
            StoredType::Time { .. } | StoredType::Timestamp { .. } | StoredType::TimestampTz { .. }
        )
}
