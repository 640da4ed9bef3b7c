//! Statements that change tables and their rows.

use std::collections::HashSet;
use std::sync::Arc;

use crate::ast::{
    AlterTable, ColumnDefinition, Expr, ForeignKeyDefinition, IndexDefinition, InsertSource, Name, TableDefinition,
    TypeName,
};
use crate::bind::{ScopeColumn, to_type};
use crate::convert::{check_fits, convert};
use crate::eval::{eval, is_true};
use crate::select::Engine;
use crate::storage::{Database, ForeignKey, Index, Row, Table, TableColumn};
use crate::types::{Declared, collation_of, system_type};
use crate::value::{Column, SqlError, SqlType, Value};

type Changed<T> = Result<T, SqlError>;

/// `schema.name` of a name of one to three parts.
pub fn split(name: &Name) -> (String, String) {
    let last = name.last().cloned().unwrap_or_default();
    let schema = if name.len() > 1 { name[name.len() - 2].clone() } else { "dbo".to_owned() };
    (schema, last)
}

fn missing(name: &Name) -> SqlError {
    SqlError::new(208, 16, format!("Invalid object name '{}'.", name.join(".")))
}

fn declared(database: &Database, written: &TypeName, collation: Option<&String>) -> Changed<(Declared, bool)> {
    let last = written.name.last().map_or("", String::as_str).to_lowercase();
    if let Some((schema, name, base, nullable)) = database.types.get(&last) {
        return Ok((Declared { alias: Some((schema.clone(), name.clone())), ..base.clone() }, *nullable));
    }
    let collation = collation.map_or_else(|| database.collation.clone(), |name| crate::value::Collation(name.clone()));
    Ok((system_type(written, &collation)?, true))
}

fn column(
    database: &Database,
    definition: &ColumnDefinition,
    engine_columns: &[ScopeColumn],
    engine: &Engine<'_>,
) -> Changed<TableColumn> {
    let (declared, nullable) = match (&definition.type_name, &definition.computed) {
        (Some(written), _) => declared(database, written, definition.collation.as_ref())?,
        (None, Some(expr)) => {
            let bound = engine.bind_row(expr, engine_columns)?;
            let name = crate::catalog::type_name(&bound.kind);
            (Declared { sql_type: bound.kind, name, alias: None }, true)
        }
        (None, None) => return Err(SqlError::new(173, 15, "The definition for column must include a data type.")),
    };
    let vector = declared.name == "vector";
    let dimensions =
        definition.type_name.as_ref().and_then(|written| written.arguments.first()).and_then(|text| text.parse().ok());
    let rowversion = declared.sql_type == SqlType::RowVersion;
    Ok(TableColumn {
        name: definition.name.clone(),
        vector_dimensions: if vector { dimensions } else { None },
        nullable: definition.nullable.unwrap_or(nullable && definition.identity.is_none() && !rowversion),
        identity: definition.identity,
        default: definition.default.clone(),
        computed: definition.computed.clone(),
        masked: definition.masked,
        encrypted: definition.encrypted,
        hidden: definition.hidden,
        declared,
    })
}

fn scope(columns: &[TableColumn]) -> Vec<ScopeColumn> {
    columns
        .iter()
        .map(|column| ScopeColumn {
            qualifier: None,
            name: column.name.clone(),
            kind: column.declared.sql_type.clone(),
            nullable: column.nullable,
            identity: false,
        })
        .collect()
}

/// `CREATE TABLE`: the new table, to be added to the database.
pub fn create_table(engine: &Engine<'_>, definition: &TableDefinition, id: i32) -> Changed<Table> {
    let (schema, name) = split(&definition.name);
    let database = engine.database;
    if database.tables.contains_key(&Database::key(&schema, &name)) {
        return Err(SqlError::new(2714, 16, format!("There is already an object named '{name}' in the database.")));
    }
    if database.schema_id(&schema) == 0 {
        return Err(SqlError::new(2760, 16, format!("The specified schema name \"{schema}\" does not exist.")));
    }
    let mut table = Table {
        id,
        schema,
        name,
        columns: Vec::new(),
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
        rows: Arc::new(Vec::new()),
        next_identity: 1,
    };
    for definition in &definition.columns {
        let known = scope(&table.columns);
        table.columns.push(column(database, definition, &known, engine)?);
    }
    table.next_identity = table.columns.iter().find_map(|column| column.identity).map_or(1, |(seed, _)| seed);
    for index in &definition.indexes {
        add_index(&mut table, index)?;
    }
    for key in &definition.foreign_keys {
        add_foreign_key(&mut table, key, database)?;
    }
    Ok(table)
}

/// Adds an index, checking the rows that are there.
pub fn add_index(table: &mut Table, definition: &IndexDefinition) -> Changed<()> {
    let find = |table: &Table, name: &String| {
        table
            .position(name)
            .ok_or_else(|| SqlError::new(1911, 16, format!("Column name '{name}' does not exist in the target table.")))
    };
    let columns: Vec<(usize, bool)> = definition
        .columns
        .iter()
        .map(|(name, descending)| Ok((find(table, name)?, *descending)))
        .collect::<Changed<_>>()?;
    let included = definition.included.iter().map(|name| find(table, name)).collect::<Changed<_>>()?;
    if definition.primary_key {
        columns.iter().for_each(|(at, _)| table.columns[*at].nullable = false);
    }
    let kind = if definition.primary_key { "PK" } else { "UQ" };
    let name = definition.name.clone().unwrap_or_else(|| {
        format!(
            "{kind}__{}__{:08X}",
            table.name.chars().take(9).collect::<String>(),
            table.id * 16 + table.indexes.len() as i32
        )
    });
    let clustered = definition.structure == "CLUSTERED";
    table.indexes.push(Index {
        id: if clustered { 1 } else { table.indexes.len() as i32 + 2 },
        name,
        primary_key: definition.primary_key,
        constraint: definition.constraint,
        unique: definition.unique,
        structure: definition.structure.clone(),
        columns,
        included,
        filter: definition.filter.clone(),
    });
    check_unique(table)
}

pub fn add_foreign_key(table: &mut Table, definition: &ForeignKeyDefinition, database: &Database) -> Changed<()> {
    let (schema, name) = split(&definition.referenced);
    let key = Database::key(&schema, &name);
    let own = Database::key(&table.schema, &table.name);
    let referenced_columns = if !definition.referenced_columns.is_empty() {
        definition.referenced_columns.clone()
    } else {
        let other = if key == own { Some(&*table) } else { database.tables.get(&key) };
        let primary =
            other.and_then(|other| other.indexes.iter().find(|index| index.primary_key).map(|index| (other, index)));
        primary
            .map(|(other, index)| index.columns.iter().map(|(at, _)| other.columns[*at].name.clone()).collect())
            .unwrap_or_default()
    };
    if key != own && !database.tables.contains_key(&key) {
        return Err(SqlError::new(1767, 16, format!("Foreign key references invalid table '{schema}.{name}'.")));
    }
    let columns = definition
        .columns
        .iter()
        .map(|name| {
            table
                .position(name)
                .ok_or_else(|| SqlError::new(1769, 16, format!("Foreign key references invalid column '{name}'.")))
        })
        .collect::<Changed<Vec<_>>>()?;
    let name =
        definition.name.clone().unwrap_or_else(|| format!("FK__{}__{}", table.name, table.foreign_keys.len() + 1));
    table.foreign_keys.push(ForeignKey {
        name,
        columns,
        referenced: key,
        referenced_columns,
        on_delete: definition.on_delete.clone(),
        on_update: definition.on_update.clone(),
    });
    Ok(())
}

fn check_unique(table: &Table) -> Changed<()> {
    for index in table.indexes.iter().filter(|index| index.unique && index.filter.is_none()) {
        let mut seen = HashSet::with_capacity(table.rows.len());
        for row in table.rows.iter() {
            if !seen.insert(unique_key(table, index, row)) {
                return Err(duplicate(table, index));
            }
        }
    }
    Ok(())
}

fn unique_key(table: &Table, index: &Index, row: &Row) -> String {
    let mut key = String::new();
    for (at, _) in &index.columns {
        let value = &row[*at];
        match (value, collation_of(&table.columns[*at].declared.sql_type)) {
            (Value::VarChar(_) | Value::NVarChar(_), Some(collation)) => {
                let text = crate::convert::text_of(value, collation).unwrap_or_default();
                let text = text.trim_end_matches(' ');
                key.push_str(&if collation.ignores_case() { text.to_lowercase() } else { text.to_owned() });
            }
            (other, _) => key.push_str(&format!("{other:?}")),
        }
        key.push('\u{1}');
    }
    key
}

fn duplicate(table: &Table, index: &Index) -> SqlError {
    let number = if index.constraint { 2627 } else { 2601 };
    SqlError::new(
        number,
        14,
        format!("Cannot insert duplicate key in object '{}.{}' ({}).", table.schema, table.name, index.name),
    )
}

/// The rows of an INSERT, ready to be appended, and the next identity value and rowversion.
pub struct Inserted {
    pub key: (String, String),
    pub rows: Vec<Row>,
    pub next_identity: i64,
    pub next_rowversion: u64,
}

/// Evaluates an INSERT without changing anything yet.
pub fn insert(
    engine: &Engine<'_>,
    name: &Name,
    columns: &[String],
    source: &InsertSource,
    identity_insert: bool,
) -> Changed<Inserted> {
    let (schema, last) = split(name);
    let key = Database::key(&schema, &last);
    let table = engine.database.tables.get(&key).ok_or_else(|| missing(name))?;
    let generated = |column: &TableColumn| {
        column.computed.is_some()
            || column.declared.sql_type == SqlType::RowVersion
            || (column.identity.is_some() && !identity_insert)
    };
    let places: Vec<usize> = if columns.is_empty() {
        (0..table.columns.len()).filter(|at| !generated(&table.columns[*at])).collect()
    } else {
        columns
            .iter()
            .map(|name| {
                table.position(name).ok_or_else(|| SqlError::new(207, 16, format!("Invalid column name '{name}'.")))
            })
            .collect::<Changed<_>>()?
    };
    if let Some(at) = places.iter().find(|at| generated(&table.columns[**at])) {
        let message =
            format!("Cannot insert explicit value for column '{}' in table '{}'.", table.columns[*at].name, table.name);
        return Err(SqlError::new(544, 16, message));
    }
    let given = given_rows(engine, source, table, &places)?;
    let row_scope = scope(&table.columns);
    let computed: Vec<(usize, crate::bind::Bound)> = table
        .columns
        .iter()
        .enumerate()
        .filter_map(|(at, column)| column.computed.as_ref().map(|expr| (at, column, expr)))
        .map(|(at, column, expr)| Ok((at, to_type(engine.bind_row(expr, &row_scope)?, &column.declared.sql_type))))
        .collect::<Changed<_>>()?;
    let mut inserted = Inserted {
        key,
        rows: Vec::with_capacity(given.len()),
        next_identity: table.next_identity,
        next_rowversion: engine.database.next_rowversion,
    };
    for values in given {
        if values.len() != places.len() {
            return Err(SqlError::new(
                213,
                16,
                "Column name or number of supplied values does not match table definition.",
            ));
        }
        let mut row: Vec<Option<Value<'static>>> = vec![None; table.columns.len()];
        for (value, at) in values.into_iter().zip(&places) {
            row[*at] = value;
        }
        let row = complete(engine, table, row, &computed, &mut inserted)?;
        inserted.rows.push(row);
    }
    Ok(inserted)
}

/// `None` stands for DEFAULT.
type Given = Vec<Option<Value<'static>>>;

fn given_rows(engine: &Engine<'_>, source: &InsertSource, table: &Table, places: &[usize]) -> Changed<Vec<Given>> {
    let assign = |value: Value<'static>, from: &SqlType, at: usize| -> Changed<Option<Value<'static>>> {
        let column = &table.columns[at];
        let to = &column.declared.sql_type;
        // Before the conversion cuts.
        let family = convert(value.clone(), from, &widest(to), None)?;
        check_fits(&family, &widest(to), to)
            .map_err(|error| SqlError { message: format!("{} (column '{}')", error.message, column.name), ..error })?;
        // Text that stands in its code page already keeps its bytes.
        Ok(Some(convert(value, from, to, None)?))
    };
    match source {
        InsertSource::Defaults => Ok(vec![vec![None; places.len()]]),
        InsertSource::Values(rows) => rows
            .iter()
            .map(|row| {
                row.iter()
                    .zip(places)
                    .map(|(expr, at)| match expr {
                        Expr::Column(name) if name.len() == 1 && name[0].eq_ignore_ascii_case("DEFAULT") => Ok(None),
                        expr => {
                            let (kind, value) = engine.constant(expr)?;
                            assign(value, &kind, *at)
                        }
                    })
                    .collect()
            })
            .collect(),
        InsertSource::Query(query) => {
            let (columns, rows): (Vec<Column>, Vec<Row>) = engine.collect(query)?;
            rows.into_iter()
                .map(|row| {
                    row.into_vec()
                        .into_iter()
                        .zip(&columns)
                        .zip(places)
                        .map(|((value, column), at)| assign(value, &column.sql_type, *at))
                        .collect()
                })
                .collect()
        }
    }
}

/// The same type without a length.
fn widest(kind: &SqlType) -> SqlType {
    use crate::value::Len;
    match kind {
        SqlType::Char { collation, .. } | SqlType::VarChar { collation, .. } => {
            SqlType::VarChar { len: Len::Max, collation: collation.clone() }
        }
        SqlType::NChar { collation, .. } | SqlType::NVarChar { collation, .. } => {
            SqlType::NVarChar { len: Len::Max, collation: collation.clone() }
        }
        SqlType::Binary { .. } | SqlType::VarBinary { .. } => SqlType::VarBinary { len: Len::Max },
        other => other.clone(),
    }
}

fn complete(
    engine: &Engine<'_>,
    table: &Table,
    given: Given,
    computed: &[(usize, crate::bind::Bound)],
    inserted: &mut Inserted,
) -> Changed<Row> {
    let mut row: Vec<Value<'static>> = Vec::with_capacity(given.len());
    for (value, column) in given.into_iter().zip(&table.columns) {
        let kind = &column.declared.sql_type;
        row.push(match value {
            Some(value) => value,
            None if column.identity.is_some() => {
                let (_, increment) = column.identity.unwrap_or((1, 1));
                let value = inserted.next_identity;
                inserted.next_identity += increment;
                convert(Value::BigInt(value), &SqlType::BigInt, kind, None)?
            }
            None if *kind == SqlType::RowVersion => {
                inserted.next_rowversion += 1;
                Value::Binary(inserted.next_rowversion.to_be_bytes().to_vec().into())
            }
            None => match &column.default {
                Some((expr, _)) => {
                    let (from, value) = engine.constant(expr)?;
                    convert(value, &from, kind, None)?
                }
                None => Value::Null,
            },
        });
    }
    for (at, bound) in computed {
        row[*at] = eval(bound, &row)?;
    }
    for (value, column) in row.iter().zip(&table.columns) {
        if value.is_null() && !column.nullable && column.computed.is_none() {
            let message = format!(
                "Cannot insert the value NULL into column '{}', table '{}.{}'.",
                column.name, table.schema, table.name
            );
            return Err(SqlError::new(515, 16, message));
        }
    }
    Ok(row.into_boxed_slice())
}

/// Appends what [`insert`] made, checking unique keys against the rows that are there.
pub fn append(database: &mut Database, inserted: Inserted) -> Changed<u64> {
    let count = inserted.rows.len() as u64;
    let table = database.tables.get_mut(&inserted.key).ok_or_else(|| missing(&vec![inserted.key.1.clone()]))?;
    let mut rows = table.rows.as_ref().clone();
    rows.extend(inserted.rows);
    let before = std::mem::replace(&mut table.rows, Arc::new(rows));
    if let Err(error) = check_unique(table) {
        table.rows = before;
        return Err(error);
    }
    table.next_identity = inserted.next_identity.max(table.next_identity);
    database.next_rowversion = inserted.next_rowversion;
    Ok(count)
}

/// The table's rows after an UPDATE, and how many it changed.
pub fn update(
    engine: &Engine<'_>,
    name: &Name,
    sets: &[(String, Expr)],
    filter: Option<&Expr>,
) -> Changed<(Vec<Row>, u64)> {
    let (schema, last) = split(name);
    let table = engine.database.tables.get(&Database::key(&schema, &last)).ok_or_else(|| missing(name))?;
    let row_scope = scope(&table.columns);
    let filter = filter.map(|filter| engine.bind_row(filter, &row_scope)).transpose()?;
    let sets: Vec<(usize, crate::bind::Bound)> = sets
        .iter()
        .map(|(name, expr)| {
            let at =
                table.position(name).ok_or_else(|| SqlError::new(207, 16, format!("Invalid column name '{name}'.")))?;
            Ok((at, to_type(engine.bind_row(expr, &row_scope)?, &table.columns[at].declared.sql_type)))
        })
        .collect::<Changed<_>>()?;
    let mut count = 0;
    let mut rows = Vec::with_capacity(table.rows.len());
    for row in table.rows.iter() {
        let mut changed = row.clone();
        if filter.as_ref().map_or(Ok(true), |filter| is_true(filter, row))? {
            count += 1;
            for (at, bound) in &sets {
                changed[*at] = eval(bound, row)?;
            }
        }
        rows.push(changed);
    }
    Ok((rows, count))
}

/// The table's rows after a DELETE, and how many it took away.
pub fn delete(engine: &Engine<'_>, name: &Name, filter: Option<&Expr>) -> Changed<(Vec<Row>, u64)> {
    let (schema, last) = split(name);
    let table = engine.database.tables.get(&Database::key(&schema, &last)).ok_or_else(|| missing(name))?;
    let filter = filter.map(|filter| engine.bind_row(filter, &scope(&table.columns))).transpose()?;
    let mut rows = Vec::new();
    for row in table.rows.iter() {
        if !filter.as_ref().map_or(Ok(true), |filter| is_true(filter, row))? {
            rows.push(row.clone());
        }
    }
    let count = (table.rows.len() - rows.len()) as u64;
    Ok((rows, count))
}

/// Puts changed rows in place.
pub fn put_rows(database: &mut Database, name: &Name, rows: Vec<Row>) -> Changed<()> {
    let (schema, last) = split(name);
    let table = database.tables.get_mut(&Database::key(&schema, &last)).ok_or_else(|| missing(name))?;
    let before = std::mem::replace(&mut table.rows, Arc::new(rows));
    check_unique(table).inspect_err(|_| table.rows = before)
}

/// The table after an ALTER TABLE.
pub fn alter(engine: &Engine<'_>, name: &Name, change: &AlterTable) -> Changed<Table> {
    let (schema, last) = split(name);
    let mut table = engine.database.tables.get(&Database::key(&schema, &last)).ok_or_else(|| missing(name))?.clone();
    match change {
        AlterTable::AddColumn(definition) => {
            let added = column(engine.database, definition, &scope(&table.columns), engine)?;
            let value = match &added.default {
                Some((expr, _)) => {
                    let (from, value) = engine.constant(expr)?;
                    convert(value, &from, &added.declared.sql_type, None)?
                }
                None => Value::Null,
            };
            let widen = |row: &Row| row.iter().cloned().chain([value.clone()]).collect::<Vec<_>>().into();
            table.rows = Arc::new(table.rows.iter().map(widen).collect());
            table.columns.push(added);
        }
        AlterTable::DropColumn(name) => {
            let at = table
                .position(name)
                .ok_or_else(|| SqlError::new(4924, 16, format!("Column '{name}' does not exist in the table.")))?;
            if table.indexes.iter().any(|index| index.columns.iter().any(|(column, _)| *column == at)) {
                return Err(SqlError::new(5074, 16, format!("An index is dependent on column '{name}'.")));
            }
            let narrow = |row: &Row| {
                row.iter()
                    .enumerate()
                    .filter(|(index, _)| *index != at)
                    .map(|(_, value)| value.clone())
                    .collect::<Vec<_>>()
                    .into()
            };
            table.rows = Arc::new(table.rows.iter().map(narrow).collect());
            table.columns.remove(at);
            let shift = |position: &mut usize| *position -= usize::from(*position > at);
            table.indexes.iter_mut().for_each(|index| {
                index.columns.iter_mut().for_each(|(position, _)| shift(position));
                index.included.iter_mut().for_each(shift);
            });
            table.foreign_keys.iter_mut().for_each(|key| key.columns.iter_mut().for_each(shift));
        }
        AlterTable::AlterColumn(definition) => {
            let name = &definition.name;
            let at = table
                .position(name)
                .ok_or_else(|| SqlError::new(4924, 16, format!("Column '{name}' does not exist in the table.")))?;
            let changed = column(engine.database, definition, &[], engine)?;
            let from = table.columns[at].declared.sql_type.clone();
            let to = changed.declared.sql_type.clone();
            let mut rows = table.rows.as_ref().clone();
            for row in &mut rows {
                row[at] = convert(row[at].clone(), &from, &to, None)?;
            }
            table.rows = Arc::new(rows);
            table.columns[at] = TableColumn { identity: table.columns[at].identity, ..changed };
        }
        AlterTable::AddIndex(index) => add_index(&mut table, index)?,
        AlterTable::AddForeignKey(key) => add_foreign_key(&mut table, key, engine.database)?,
    }
    Ok(table)
}

/// An alias type's base.
pub fn alias(database: &Database, base: &TypeName) -> Changed<Declared> {
    Ok(declared(database, base, None)?.0)
}
