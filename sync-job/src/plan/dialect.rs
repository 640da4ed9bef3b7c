//! What the plan must know of a kind of target. Implemented beside each target; pure.

use super::{ColumnPlan, IndexPlan, Named, TablePlan};
use crate::model::logical::LogicalType;
use crate::model::schema::IndexKind;
use crate::plan::type_map::Mapping;

/// Types, names and limits of a kind of target.
pub trait Dialect: Send + Sync {
    /// How it stores a logical type.
    fn mapping(&self, holds: LogicalType) -> Mapping;

    /// The mapping to a type that the job file asks for, or what is allowed.
    fn mapping_as(&self, holds: LogicalType, wanted: &str) -> Result<Mapping, String>;

    /// Where tables of the source's schema `dbo` go, unless the job file says otherwise.
    fn default_schema<'a>(&self, database: &'a str) -> &'a str;

    /// The longest name, and what it is counted in. It has room for a hash.
    fn longest_name(&self) -> (usize, &'static str);

    fn name_length(&self, name: &str) -> usize;

    /// Why nothing of this kind can have this name, whatever its length.
    fn refuse_name(&self, named: Named, name: &str) -> Option<&'static str>;

    /// What two names of columns, or of indexes, must not have in common.
    fn fold(&self, name: &str) -> String {
        name.to_owned()
    }

    /// Folded names that no index but the server's own can have.
    fn index_names_of_its_own(&self) -> &'static [&'static str] {
        &[]
    }

    /// Most columns of a table.
    fn most_columns(&self) -> usize;

    /// Most columns of an index, included ones counted.
    fn most_key_columns(&self) -> usize;

    /// Index names need to be unique in their table only, not in the schema.
    fn index_names_belong_to_tables(&self) -> bool;

    /// Whether an index of this kind can descend.
    fn descends(&self, kind: IndexKind) -> bool;

    /// Whether an index can carry columns that are not part of its key.
    fn keeps_included_columns(&self) -> bool;

    /// Bytes of an index's row, included columns counted. Asked only where an index can carry them.
    fn most_index_bytes(&self) -> u32 {
        u32::MAX
    }

    /// Whether its columns tell apart what the source's collation calls equal.
    fn compares_text_exactly(&self) -> bool;

    /// Why an index cannot be created, if it cannot.
    fn refuse_index(&self, index: &IndexPlan, columns: &[ColumnPlan]) -> Option<String>;

    /// Why a foreign key over these columns cannot be created, if it cannot.
    fn refuse_foreign_key(&self, columns: &[&ColumnPlan]) -> Option<String> {
        let _ = columns;
        None
    }

    /// Whether the columns that a foreign key refers to must come in the order of the index over them.
    fn refers_in_order_of_index(&self) -> bool {
        false
    }

    /// Whether a foreign key can lead from a column of one type to one of another, as overrides of types may have it.
    fn refers_across_types(&self, from: &str, to: &str) -> bool;

    /// Whether the catalog's spelling of a type and the plan's mean the same.
    fn same_type(&self, found: &str, wanted: &str) -> bool;

    /// Makes a planned table fit limits that concern it as a whole, and notes what that takes.
    fn fit(&self, table: &mut TablePlan);

    /// As [`Dialect::fit`], once the table's foreign keys are planned: some targets make an index for each.
    fn fit_foreign_keys(&self, table: &mut TablePlan) {
        let _ = table;
    }
}
