//! Plans for this folder's tests.

use crate::config::{Consistency, WitnessPolicy};
use crate::model::schema::{SourceKind, SourceType, TableName};
use crate::plan::type_map::Mapping;
use crate::plan::{ColumnPlan, SwapMethod, SwapPlan, TablePlan};
use crate::rows::encode::TextPolicy;

pub fn column(name: &str, source_type: SourceType, mapping: Mapping) -> ColumnPlan {
    ColumnPlan {
        source: name.to_owned(),
        target: name.to_lowercase(),
        source_type,
        declared: String::new(),
        mapping,
        nullable: true,
        masked: false,
        only_counted: false,
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
        consistency: Consistency::None,
        memory_optimized: false,
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
        swap: SwapPlan { method: SwapMethod::Create, reason: String::new() },
        max_shrink_percent: None,
        witness: WitnessPolicy::Sample,
        witness_key: None,
        group: None,
        findings: Vec::new(),
    }
}
