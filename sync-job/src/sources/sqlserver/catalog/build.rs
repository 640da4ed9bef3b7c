//! Rows of the catalog into tables with their columns, indexes and foreign keys.

use std::collections::HashMap;

use super::fields::Fields;
use crate::model::error::Result;
use crate::model::schema::{
    IndexColumn, IndexKind, IndexStructure, Listed, SourceColumn, SourceForeignKey, SourceIndex, SourceKind,
    SourceTable, TableName,
};
use crate::sources::sqlserver::field::column_type;
use crate::sources::sqlserver::types::{SourceType, TypeFacts, declared, source_type};

/// Stands for the condition of a filtered index that the server keeps to itself.
const FILTER_NOT_SHOWN: &str = "its condition is not shown to this login";

/// An object's id and that of a part of it: a column, an index, a foreign key.
pub type PartId = (i64, i64);

/// The tables so far, and where each object and column of the catalog is among them.
#[derive(Debug, Default)]
pub struct Tables {
    pub found: Vec<SourceTable>,
    places: HashMap<i64, usize>,
    columns: HashMap<PartId, usize>,
    indexes: HashMap<PartId, usize>,
    foreign_keys: HashMap<PartId, usize>,
    /// How many columns of each index and foreign key have come with their names.
    pub index_columns: HashMap<PartId, i64>,
    pub key_columns: HashMap<PartId, i64>,
}

impl Tables {
    /// The table with this id, where it is one that can be copied.
    pub fn table(&mut self, object: i64) -> Option<&mut SourceTable> {
        self.places.get(&object).map(|&place| &mut self.found[place])
    }

    pub fn column(&mut self, id: PartId) -> Option<&mut SourceColumn> {
        let place = *self.columns.get(&id)?;
        self.table(id.0)?.columns.get_mut(place)
    }

    /// The ids of the tables, in their order.
    pub fn ids(&self) -> Vec<i64> {
        let mut ids: Vec<(usize, i64)> = self.places.iter().map(|(id, place)| (*place, *id)).collect();
        ids.sort_unstable();
        ids.into_iter().map(|(_, id)| id).collect()
    }

    pub fn has_column(&self, id: PartId) -> bool {
        self.columns.contains_key(&id)
    }

    pub fn has_index(&self, id: PartId) -> bool {
        self.indexes.contains_key(&id)
    }

    pub fn has_foreign_key(&self, id: PartId) -> bool {
        self.foreign_keys.contains_key(&id)
    }

    pub fn add_table(&mut self, fields: &Fields<'_>) -> Result<()> {
        let schema = fields.optional_text("schema_name")?;
        let named = schema.is_some();
        let schema = match schema {
            Some(schema) => schema,
            None => format!("(schema {})", fields.int("schema_id")?),
        };
        // char(2), padded with a space.
        let is_view = fields.text("object_type")?.trim_end() == "V";
        let mut table = SourceTable {
            name: TableName::new(schema, fields.text("table_name")?),
            kind: if is_view { SourceKind::View } else { SourceKind::Table },
            columns: Vec::new(),
            indexes: Vec::new(),
            foreign_keys: Vec::new(),
            listed: Listed::default(),
            lacking: Vec::new(),
            rows: None,
            bytes: None,
            temporal: None,
            row_level_security: false,
            outside_transactions: false,
            may_show_masks: None,
        };
        if !named {
            table.lacking.push("the name of its schema".to_owned());
        }
        self.places.insert(fields.int("object_id")?, self.found.len());
        self.found.push(table);
        Ok(())
    }

    pub fn add_column(&mut self, fields: &Fields<'_>) -> Result<()> {
        let id = (fields.int("object_id")?, fields.int("column_id")?);
        let Some(table) = self.table(id.0) else { return Ok(()) };
        table.columns.push(new_column(fields)?);
        let place = table.columns.len() - 1;
        self.columns.insert(id, place);
        Ok(())
    }

    pub fn add_index_column(&mut self, fields: &Fields<'_>) -> Result<()> {
        let id = (fields.int("object_id")?, fields.int("index_id")?);
        let known = self.indexes.get(&id).copied();
        let Some(table) = self.table(id.0) else { return Ok(()) };
        let place = known.unwrap_or(table.indexes.len());
        if known.is_none() {
            table.indexes.push(new_index(fields)?);
        }
        let index = &mut table.indexes[place];
        let column = fields.optional_text("column_name")?;
        if let Some(name) = &column {
            let is_plain_tree = index.is_plain_tree();
            if fields.flag("is_included_column")? {
                index.included.push(name.clone());
            } else if fields.int("key_ordinal")? > 0 || !is_plain_tree {
                // Others are there for the sake of a partition scheme.
                let descending = fields.flag("is_descending_key")?;
                index.columns.push(IndexColumn { name: name.clone(), descending });
            }
        }
        self.indexes.insert(id, place);
        *self.index_columns.entry(id).or_default() += i64::from(column.is_some());
        Ok(())
    }

    pub fn add_foreign_key_column(&mut self, fields: &Fields<'_>) -> Result<()> {
        let id = (fields.int("object_id")?, fields.int("key_id")?);
        let known = self.foreign_keys.get(&id).copied();
        let referenced = self.places.get(&fields.int("referenced_object_id")?).copied();
        let referenced = referenced.map(|place| self.found[place].name.clone());
        let Some(table) = self.table(id.0) else { return Ok(()) };
        let place = known.unwrap_or(table.foreign_keys.len());
        if known.is_none() {
            table.foreign_keys.push(new_foreign_key(fields, referenced)?);
        }
        let key = &mut table.foreign_keys[place];
        let column = fields.optional_text("column_name")?;
        key.columns.extend(column.clone());
        key.referenced_columns.extend(fields.optional_text("referenced_column")?);
        if key.referenced_columns.len() != key.columns.len() {
            // Of a table that the login does not see there are no columns either.
            key.referenced = None;
        }
        self.foreign_keys.insert(id, place);
        *self.key_columns.entry(id).or_default() += i64::from(column.is_some());
        Ok(())
    }
}

fn new_column(fields: &Fields<'_>) -> Result<SourceColumn> {
    let type_name = fields.optional_text("type_name")?;
    let facts = TypeFacts {
        schema: fields.optional_text("type_schema")?,
        base: fields.optional_text("base_name")?,
        id: fields.small("user_type_id")?,
        // Without its row a type is told by its base type alone.
        user_defined: type_name.is_some() && fields.flag("is_user_defined")?,
        assembly: type_name.is_some() && fields.flag("is_assembly_type")?,
        name: type_name,
        max_length: fields.small("max_length")?,
        precision: fields.small("precision")?,
        scale: fields.small("scale")?,
        collation: fields.optional_text("collation_name")?,
        code_page: fields.optional_int("code_page")?.and_then(|number| i32::try_from(number).ok()),
    };
    let holds = source_type(&facts);
    Ok(SourceColumn {
        name: fields.text("column_name")?,
        id: fields.int("column_id")?,
        column_type: column_type(&holds),
        counts_changes: matches!(holds, SourceType::RowVersion),
        declared: declared(&facts),
        by_base_type: facts.name.is_none() && facts.base.is_some(),
        nullable: fields.flag("is_nullable")?,
        // The seed follows with the optional facts.
        counts_up: fields.flag("is_identity")?,
        identity: None,
        computed: fields.flag("is_computed")?,
        hidden: false,
        internal: false,
        masked: false,
        encrypted: false,
        has_default: fields.int("default_object_id")? != 0,
        collation: facts.collation,
    })
}

fn new_index(fields: &Fields<'_>) -> Result<SourceIndex> {
    let kind = if fields.flag("is_primary_key")? {
        IndexKind::PrimaryKey
    } else if fields.flag("is_unique_constraint")? {
        IndexKind::UniqueConstraint
    } else if fields.flag("is_unique")? {
        IndexKind::Unique
    } else {
        IndexKind::Plain
    };
    let filter = if fields.flag("has_filter")? {
        Some(fields.optional_text("filter_definition")?.unwrap_or_else(|| FILTER_NOT_SHOWN.to_owned()))
    } else {
        None
    };
    Ok(SourceIndex {
        name: fields.text("index_name")?,
        kind,
        structure: match fields.text("type_desc")?.as_str() {
            "CLUSTERED" => IndexStructure::Clustered,
            "NONCLUSTERED" => IndexStructure::Tree,
            other => IndexStructure::Other(other.to_owned()),
        },
        columns: Vec::new(),
        included: Vec::new(),
        filter,
        disabled: fields.flag("is_disabled")?,
    })
}

fn new_foreign_key(fields: &Fields<'_>, referenced: Option<TableName>) -> Result<SourceForeignKey> {
    Ok(SourceForeignKey {
        name: fields.text("key_name")?,
        columns: Vec::new(),
        referenced,
        referenced_columns: Vec::new(),
        on_delete: fields.text("delete_referential_action_desc")?,
        on_update: fields.text("update_referential_action_desc")?,
        untrusted: fields.flag("is_disabled")? || fields.flag("is_not_trusted")?,
    })
}
