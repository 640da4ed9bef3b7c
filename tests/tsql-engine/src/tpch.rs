//! Reads of TPC-H's tables straight from the generator, from any key on.

use std::borrow::Cow;
use std::io::Write;

use sqlparser::ast::{BinaryOperator, Expr, GroupByExpr, Query, SelectItem, SetExpr, TableFactor};
use tpchgen::dates::TPCHDate;
use tpchgen::decimal::TPCHDecimal;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};

use crate::bind::{Binder, quote, same};
use crate::catalog::Table;
use crate::datetime::DAYS_1970;
use crate::expr::parts;
use crate::session::{Env, Session};
use crate::value::{Column, Flow, Len, Output, SqlError, SqlType, Value};

/// Rows that one part of the generator makes, about: how far a read may begin before its first key.
const PART_ROWS: i64 = 1024;

/// Parts of the leading table (orders for lineitem, part for partsupp).
fn leading_rows(name: &str, scale: f64) -> i64 {
    match name {
        "lineitem" | "orders" => OrderGenerator::calculate_row_count(scale, 1, 1),
        "customer" => CustomerGenerator::calculate_row_count(scale, 1, 1),
        "part" | "partsupp" => PartGenerator::calculate_row_count(scale, 1, 1),
        "supplier" => SupplierGenerator::calculate_row_count(scale, 1, 1),
        "nation" => 25,
        _ => 5,
    }
}

/// Rows of a table at a scale factor, exactly.
pub fn row_count(name: &str, scale: f64) -> i64 {
    let rows = leading_rows(name, scale);
    match name {
        "lineitem" => {
            let mut lines = OrderGenerator::create_line_count_random();
            (0..rows)
                .map(|_| {
                    let count = i64::from(lines.next_value());
                    lines.row_finished();
                    count
                })
                .sum()
        }
        "partsupp" => rows * 4,
        _ => rows,
    }
}

fn money(value: TPCHDecimal) -> Value<'static> {
    Value::Decimal { value: i128::from(value.into_inner()), scale: 2 }
}

fn date(value: TPCHDate) -> Value<'static> {
    Value::Date((i64::from(value.to_unix_epoch()) + DAYS_1970) as u32)
}

fn text(value: &str) -> Value<'_> {
    Value::VarChar(Cow::Borrowed(value.as_bytes()))
}

/// Text padded to a char column's width, on the stack.
fn padded<const N: usize>(value: impl std::fmt::Display) -> [u8; N] {
    let mut bytes = [b' '; N];
    // Text longer than the column would be the generator's error; the rest stays blank.
    let _ = write!(&mut bytes[..], "{value}");
    bytes
}

fn chars(value: &[u8]) -> Value<'_> {
    Value::VarChar(Cow::Borrowed(value))
}

/// Calls `row` with every row whose leading key may lie in `low..=high`, in key order, until it says stop.
fn scan(
    name: &str,
    scale: f64,
    (low, high): (i64, i64),
    row: &mut dyn FnMut(&[Value<'_>]) -> Result<Flow, SqlError>,
) -> Result<(), SqlError> {
    let rows = leading_rows(name, scale);
    let sparse = matches!(name, "orders" | "lineitem");
    // Order keys use 8 of every 32 numbers.
    let index = |key: i64| if sparse { ((key >> 5) << 3) + (key & 31).min(7) } else { key };
    let count = if rows < 2 * PART_ROWS { 1 } else { rows / PART_ROWS };
    let each = rows / count;
    let part_of = |key: i64| (index(key).saturating_sub(1).clamp(0, rows) / each).min(count - 1);
    let low = low.clamp(0, i64::MAX / 2);
    if low > high {
        return Ok(());
    }
    for part in part_of(low)..=part_of(high.clamp(0, i64::MAX / 2)) {
        if one_part(name, scale, (part + 1) as i32, count as i32, row)? == Flow::Stop {
            return Ok(());
        }
    }
    Ok(())
}

macro_rules! each {
    ($generator:expr, $item:ident => $row:ident $cells:expr) => {
        for $item in $generator.iter() {
            if $row(&$cells)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
    };
}

fn one_part(
    name: &str,
    scale: f64,
    part: i32,
    count: i32,
    row: &mut dyn FnMut(&[Value<'_>]) -> Result<Flow, SqlError>,
) -> Result<Flow, SqlError> {
    let big = Value::BigInt;
    match name {
        "lineitem" => each!(LineItemGenerator::new(scale, part, count), r => row [
            big(r.l_orderkey), big(r.l_partkey), big(r.l_suppkey), Value::Int(r.l_linenumber),
            Value::Decimal { value: i128::from(r.l_quantity) * 100, scale: 2 },
            money(r.l_extendedprice), money(r.l_discount), money(r.l_tax), text(r.l_returnflag), text(r.l_linestatus),
            date(r.l_shipdate), date(r.l_commitdate), date(r.l_receiptdate),
            chars(&padded::<25>(r.l_shipinstruct)), chars(&padded::<10>(r.l_shipmode)), text(r.l_comment)
        ]),
        "orders" => each!(OrderGenerator::new(scale, part, count), r => row [
            big(r.o_orderkey), big(r.o_custkey), text(r.o_orderstatus.as_str()), money(r.o_totalprice), date(r.o_orderdate),
            chars(&padded::<15>(r.o_orderpriority)), chars(&padded::<15>(r.o_clerk)), Value::Int(r.o_shippriority), text(r.o_comment)
        ]),
        "customer" => each!(CustomerGenerator::new(scale, part, count), r => row [
            big(r.c_custkey), text(&r.c_name.to_string()), text(&r.c_address.to_string()), big(r.c_nationkey),
            chars(&padded::<15>(r.c_phone)), money(r.c_acctbal), chars(&padded::<10>(r.c_mktsegment)), text(r.c_comment)
        ]),
        "part" => each!(PartGenerator::new(scale, part, count), r => row [
            big(r.p_partkey), text(&r.p_name.to_string()), chars(&padded::<25>(r.p_mfgr)), chars(&padded::<10>(r.p_brand)),
            text(r.p_type), Value::Int(r.p_size), chars(&padded::<10>(r.p_container)), money(r.p_retailprice), text(r.p_comment)
        ]),
        "partsupp" => {
            // The generator's suppliers of one part are in no order; the key's order is wanted.
            let mut group = Vec::with_capacity(4);
            for r in PartSuppGenerator::new(scale, part, count).iter() {
                group.push(r);
                if group.len() == 4 {
                    group.sort_by_key(|own| own.ps_suppkey);
                    for r in group.drain(..) {
                        let cells = [
                            big(r.ps_partkey),
                            big(r.ps_suppkey),
                            Value::Int(r.ps_availqty),
                            money(r.ps_supplycost),
                            text(r.ps_comment),
                        ];
                        if row(&cells)? == Flow::Stop {
                            return Ok(Flow::Stop);
                        }
                    }
                }
            }
        }
        "supplier" => each!(SupplierGenerator::new(scale, part, count), r => row [
            big(r.s_suppkey), chars(&padded::<25>(r.s_name)), text(&r.s_address.to_string()), big(r.s_nationkey),
            chars(&padded::<15>(r.s_phone)), money(r.s_acctbal), text(&r.s_comment)
        ]),
        "nation" => each!(NationGenerator::new(scale, part, count), r => row [
            big(r.n_nationkey), chars(&padded::<25>(r.n_name)), big(r.n_regionkey), text(r.n_comment)
        ]),
        _ => each!(RegionGenerator::new(scale, part, count), r => row [
            big(r.r_regionkey), chars(&padded::<25>(r.r_name)), text(r.r_comment)
        ]),
    }
    Ok(Flow::Continue)
}

/// A temporary copy, for queries that the generator cannot answer itself; made once a session.
pub fn materialize(env: &Env<'_>, table: &Table, scale: f64) -> Result<String, SqlError> {
    let copy = format!("temp.{}", quote(&format!("copy of {}.{}", table.schema, table.name)));
    let names: Vec<String> = table.columns.iter().map(|column| quote(&column.name)).collect();
    let exists: i64 = env.connection.query_row(
        "SELECT count(*) FROM temp.sqlite_schema WHERE name = ?1",
        [format!("copy of {}.{}", table.schema, table.name)],
        |row| row.get(0),
    )?;
    if exists > 0 {
        return Ok(copy);
    }
    env.connection.execute_batch(&format!("CREATE TABLE {copy}({})", names.join(",")))?;
    let marks = vec!["?"; names.len()].join(",");
    let mut insert = env.connection.prepare(&format!("INSERT INTO {copy} VALUES ({marks})"))?;
    scan(&table.name, scale, (i64::MIN, i64::MAX), &mut |row| {
        let cells = row.iter().zip(&table.columns).map(|(value, column)| crate::codec::store(value, &column.sql_type));
        insert.execute(rusqlite::params_from_iter(cells))?;
        Ok(Flow::Continue)
    })?;
    Ok(copy)
}

/// A condition on integer columns.
enum Condition {
    Compare(usize, BinaryOperator, i64),
    Never,
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
}

impl Condition {
    fn holds(&self, row: &[Value<'_>]) -> bool {
        match self {
            Condition::Compare(at, op, wanted) => {
                let found = match &row[*at] {
                    Value::BigInt(v) => *v,
                    Value::Int(v) => i64::from(*v),
                    _ => return false,
                };
                match op {
                    BinaryOperator::Lt => found < *wanted,
                    BinaryOperator::LtEq => found <= *wanted,
                    BinaryOperator::Gt => found > *wanted,
                    BinaryOperator::GtEq => found >= *wanted,
                    _ => found == *wanted,
                }
            }
            Condition::Never => false,
            Condition::And(a, b) => a.holds(row) && b.holds(row),
            Condition::Or(a, b) => a.holds(row) || b.holds(row),
        }
    }

    /// Bounds that the leading key keeps wherever the condition holds.
    fn range(&self) -> (i64, i64) {
        match self {
            Condition::Compare(0, op, wanted) => match op {
                BinaryOperator::Lt => (i64::MIN, wanted.saturating_sub(1)),
                BinaryOperator::LtEq => (i64::MIN, *wanted),
                BinaryOperator::Gt => (wanted.saturating_add(1), i64::MAX),
                BinaryOperator::GtEq => (*wanted, i64::MAX),
                _ => (*wanted, *wanted),
            },
            Condition::Compare(..) => (i64::MIN, i64::MAX),
            Condition::Never => (i64::MAX, i64::MIN),
            Condition::And(a, b) => {
                let (a, b) = (a.range(), b.range());
                (a.0.max(b.0), a.1.min(b.1))
            }
            Condition::Or(a, b) => {
                let (a, b) = (a.range(), b.range());
                (a.0.min(b.0), a.1.max(b.1))
            }
        }
    }
}

fn column_at(expr: &Expr, table: &Table) -> Option<usize> {
    let name = match expr {
        Expr::Identifier(ident) => &ident.value,
        Expr::CompoundIdentifier(idents) => &idents.last()?.value,
        Expr::Nested(inner) => return column_at(inner, table),
        _ => return None,
    };
    table.columns.iter().position(|column| same(&column.name, name))
}

fn condition(expr: &Expr, table: &Table, session: &Session) -> Option<Condition> {
    let recurse = |expr: &Expr| condition(expr, table, session).map(Box::new);
    match expr {
        Expr::Nested(inner) => condition(inner, table, session),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            Some(Condition::And(recurse(left)?, recurse(right)?))
        }
        Expr::BinaryOp { left, op: BinaryOperator::Or, right } => Some(Condition::Or(recurse(left)?, recurse(right)?)),
        Expr::BinaryOp {
            left,
            op:
                op @ (BinaryOperator::Lt
                | BinaryOperator::LtEq
                | BinaryOperator::Gt
                | BinaryOperator::GtEq
                | BinaryOperator::Eq),
            right,
        } => {
            let at = column_at(left, table)
                .filter(|at| matches!(table.columns[*at].sql_type, SqlType::BigInt | SqlType::Int))?;
            let (sql_type, value) = session.evaluate(right).ok()?;
            match crate::convert::convert(value, &sql_type, &SqlType::BigInt, 0).ok()? {
                Value::BigInt(wanted) if crate::types::precedence(&sql_type) <= 16 => {
                    Some(Condition::Compare(at, op.clone(), wanted))
                }
                _ => None,
            }
        }
        // No column of these tables is ever NULL.
        Expr::IsNull(inner) => column_at(inner, table).map(|_| Condition::Never),
        _ => None,
    }
}

/// A projected column: its place, and whether as raw bytes.
fn projected(item: &SelectItem, table: &Table, session: &Session) -> Option<(usize, Column, bool)> {
    let (expr, alias) = match item {
        SelectItem::UnnamedExpr(expr) => (expr, None),
        SelectItem::ExprWithAlias { expr, alias } => (expr, Some(alias.value.clone())),
        _ => return None,
    };
    let (at, sql_type, raw) = match expr {
        Expr::Cast { expr, data_type, .. } => {
            let at = column_at(expr, table)?;
            let own = &table.columns[at].sql_type;
            let env = session.env();
            let to = Binder::new(&env).type_of(&data_type.to_string()).ok()?;
            let SqlType::VarBinary { len } = to else { return None };
            let fits = match (len, crate::types::length_of(own)) {
                (Len::Max, Some(_)) => true,
                (Len::N(limit), Some(length)) => length <= u32::from(limit),
                _ => false,
            };
            (crate::types::is_string(own) && fits).then_some((at, to, true))?
        }
        other => {
            let at = column_at(other, table)?;
            (at, table.columns[at].sql_type.clone(), false)
        }
    };
    let plain = if matches!(expr, Expr::Cast { .. }) { String::new() } else { table.columns[at].name.clone() };
    let column = Column { name: alias.unwrap_or(plain), sql_type, nullable: raw, identity: false };
    Some((at, column, raw))
}

/// Whether ORDER BY is absent or asks for the key's own order.
fn natural_order(query: &Query, table: &Table) -> bool {
    let Some(order) = &query.order_by else { return true };
    let sqlparser::ast::OrderByKind::Expressions(items) = &order.kind else { return false };
    let key: &[usize] = match table.name.as_str() {
        "lineitem" => &[0, 3],
        "partsupp" => &[0, 1],
        _ => &[0],
    };
    items.len() <= key.len()
        && items.iter().zip(key).all(|(item, at)| {
            !matches!(item.options.sort, Some(sqlparser::ast::OrderBySort::Desc))
                && column_at(&item.expr, table) == Some(*at)
        })
}

/// Runs a plain SELECT of one TPC-H table; `None` where the query is anything else.
pub fn direct(session: &Session, query: &Query, out: &mut dyn Output) -> Result<Option<(u64, Flow)>, SqlError> {
    let SetExpr::Select(select) = query.body.as_ref() else { return Ok(None) };
    let [from] = select.from.as_slice() else { return Ok(None) };
    let TableFactor::Table { name, args: None, .. } = &from.relation else { return Ok(None) };
    let names = parts(name);
    let Some(last) = names.last() else { return Ok(None) };
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(items, _) if items.is_empty());
    let plain = from.joins.is_empty()
        && select.top.is_none()
        && select.distinct.is_none()
        && select.having.is_none()
        && query.with.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && !grouped
        && session.settings.row_limit == 0;
    let schema = names.len().checked_sub(2).map_or("dbo", |at| names[at].as_str());
    if !plain {
        return Ok(None);
    }
    let Some(table) = crate::catalog::find(&session.connection, schema, last)? else { return Ok(None) };
    let Some(scale) = table.tpch else { return Ok(None) };
    session.env().may_select(&table)?;
    let filter = match &select.selection {
        Some(expr) => match condition(expr, &table, session) {
            Some(found) => Some(found),
            None => return Ok(None),
        },
        None => None,
    };
    let items: Option<Vec<(usize, Column, bool)>> =
        select.projection.iter().map(|item| projected(item, &table, session)).collect();
    let Some(items) = items.filter(|_| natural_order(query, &table)) else { return Ok(None) };
    let columns: Vec<Column> = items.iter().map(|item| Column { nullable: false, ..item.1.clone() }).collect();
    if out.columns(&columns) == Flow::Stop {
        return Ok(Some((0, Flow::Stop)));
    }
    let range = filter.as_ref().map_or((i64::MIN, i64::MAX), Condition::range);
    let (mut count, mut stopped) = (0, Flow::Continue);
    scan(&table.name, scale, range, &mut |row| {
        if filter.as_ref().is_some_and(|filter| !filter.holds(row)) {
            return Ok(Flow::Continue);
        }
        // Borrowed cells are moved about without touching the heap, up to the widest table's 16 columns.
        let mut cells: [Value<'_>; 16] = [const { Value::Null }; 16];
        for ((at, _, raw), cell) in items.iter().zip(&mut cells) {
            *cell = match &row[*at] {
                Value::VarChar(bytes) if *raw => Value::Binary(Cow::Borrowed(bytes)),
                Value::VarChar(bytes) => Value::VarChar(Cow::Borrowed(bytes)),
                other => other.clone(),
            };
        }
        count += 1;
        stopped = out.row(&cells[..items.len().min(16)]);
        Ok(stopped)
    })?;
    Ok(Some((count, stopped)))
}
