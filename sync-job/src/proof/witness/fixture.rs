//! Plans for this folder's tests.

use std::time::Duration;

use crate::config::{Consistency, Deletes, Engine, Mode, OnMismatch, WitnessPolicy};
use crate::model::logical::LogicalType;
use crate::model::read::ReadPlan;
use crate::model::schema::{SourceKind, TableName};
use crate::plan::type_map::{Mapping, map};
use crate::plan::{ColumnPlan, SwapMethod, SwapPlan, SwapReason, TablePlan};
use crate::rows::encode::TextPolicy;

/// A column as the type map has it.
pub fn of_type(name: &str, holds: LogicalType, engine: Engine) -> ColumnPlan {
    column(name, holds, map(holds, engine))
}

pub fn column(name: &str, holds: LogicalType, mapping: Mapping) -> ColumnPlan {
    ColumnPlan {
        source: name.to_owned(),
        source_id: 1,
        target: name.to_lowercase(),
        holds,
        read: ReadPlan::new(()),
        companion: None,
        declared: String::new(),
        mapping,
        nullable: true,
        masked: false,
        unwitnessed: None,
        computed: false,
        identity: None,
        policy: TextPolicy::default(),
        collation: None,
    }
}

pub fn table(columns: Vec<ColumnPlan>) -> TablePlan {
    TablePlan {
        source: TableName::new("dbo", "Orders"),
        target: TableName::new("public", "orders"),
        kind: SourceKind::Table,
        columns,
        filter: None,
        mode: Mode::Full,
        deletes: Deletes::Keys,
        version_column: None,
        full_every: Duration::MAX,
        prove: None,
        on_mismatch: OnMismatch::Full,
        follows: None,
        consistency: Consistency::None,
        outside_transactions: false,
        readers: 1,
        chunk_key: Vec::new(),
        chunks: 1,
        chunking: String::new(),
        row_key: Vec::new(),
        rows: None,
        bytes: None,
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
        not_created: Vec::new(),
        drops_identities: false,
        losses: Vec::new(),
        drift: Vec::new(),
        swap: SwapPlan { method: SwapMethod::Create, reason: SwapReason::New },
        without_its_key: false,
        max_shrink_percent: None,
        witness: WitnessPolicy::Sample,
        witness_key: None,
        group: None,
        findings: Vec::new(),
    }
}
