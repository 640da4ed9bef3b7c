//! Runs queries: from, where, group by, projection, order by. A scan of one table streams; everything else is collected.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ast::{Expr, Item, Join, JoinKind, Operator, Query, Relation};
use crate::bind::{Binder, Bound, Node, ScopeColumn, SessionValues, to_type};
use crate::catalog;
use crate::compare::order;
use crate::convert::exact;
use crate::eval::{eval, is_true};
use crate::storage::{Database, Row};
use crate::types::collation_of;
use crate::value::{Collation, Column, Flow, Output, SqlError, SqlType, Value};

/// What a query runs against.
pub struct Engine<'a> {
    pub database: &'a Database,
    pub session: &'a dyn SessionValues,
    /// Catalog views that look beyond the database.
    pub server: &'a catalog::ServerView,
    pub may_unmask: bool,
}

/// Rows with the columns that they have.
struct Rows {
    scope: Vec<ScopeColumn>,
    rows: Arc<Vec<Row>>,
}

type Queried<T> = Result<T, SqlError>;

impl Engine<'_> {
    /// Runs a query and hands its rows to `out`; the count of rows and whether to go on.
    pub fn run(&self, query: &Query, out: &mut dyn Output, truncate: usize) -> Queried<(u64, Flow)> {
        let with = self.with(query, &HashMap::new())?;
        let plan = self.plan(query, &with)?;
        if out.columns(&plan.columns) == Flow::Stop {
            return Ok((0, Flow::Stop));
        }
        let mut count = 0;
        let mut flow = Flow::Continue;
        plan.each(&mut |row| {
            count += 1;
            flow = if truncate < usize::MAX { out.row(&cut(&row, &plan.columns, truncate)) } else { out.row(&row) };
            flow == Flow::Continue
        })?;
        Ok((count, flow))
    }

    /// All rows of a query, with its columns.
    pub fn collect(&self, query: &Query) -> Queried<(Vec<Column>, Vec<Row>)> {
        let with = self.with(query, &HashMap::new())?;
        let plan = self.plan(query, &with)?;
        let mut rows = Vec::new();
        plan.each(&mut |row| {
            rows.push(row.into_boxed_slice());
            true
        })?;
        Ok((plan.columns, rows))
    }

    /// The columns of a query.
    pub fn columns_of(&self, query: &Query) -> Queried<Vec<Column>> {
        let with = self.with(query, &HashMap::new())?;
        Ok(self.plan(query, &with)?.columns)
    }

    fn with(&self, query: &Query, outer: &With) -> Queried<With> {
        let mut with = outer.clone();
        for (name, inner) in &query.with {
            let rows = self.derived(inner, &with, name)?;
            with.insert(name.to_lowercase(), Arc::new(rows));
        }
        Ok(with)
    }

    fn derived(&self, query: &Query, with: &With, alias: &str) -> Queried<Rows> {
        let with = self.with(query, with)?;
        let plan = self.plan(query, &with)?;
        let mut rows = Vec::new();
        plan.each(&mut |row| {
            rows.push(row.into_boxed_slice());
            true
        })?;
        let scope = plan
            .columns
            .into_iter()
            .map(|column| ScopeColumn {
                qualifier: Some(alias.to_owned()),
                name: column.name,
                kind: column.sql_type,
                nullable: column.nullable,
                identity: column.identity,
            })
            .collect();
        Ok(Rows { scope, rows: Arc::new(rows) })
    }

    fn relation(&self, relation: &Relation, with: &With) -> Queried<Rows> {
        match relation {
            Relation::Derived { query, alias } => self.derived(query, with, alias),
            Relation::Values { rows, alias, columns } => self.values(rows, alias, columns),
            Relation::Table { name, alias } => {
                let last = name.last().map_or("", String::as_str);
                let alias = alias.as_deref().unwrap_or(last);
                if name.len() == 1
                    && let Some(rows) = with.get(&last.to_lowercase())
                {
                    let mut scope = rows.scope.clone();
                    scope.iter_mut().for_each(|column| column.qualifier = Some(alias.to_owned()));
                    return Ok(Rows { scope, rows: rows.rows.clone() });
                }
                let schema = if name.len() > 1 { name[name.len() - 2].as_str() } else { "dbo" };
                if schema.eq_ignore_ascii_case("sys") {
                    return self.catalog_view(last, alias);
                }
                self.table(schema, last, alias)
            }
        }
    }

    fn values(&self, rows: &[Vec<Expr>], alias: &str, columns: &[String]) -> Queried<Rows> {
        let mut found: Vec<Row> = Vec::new();
        let mut scope: Vec<ScopeColumn> = Vec::new();
        let with = HashMap::new();
        for row in rows {
            let mut values = Vec::new();
            for (index, expr) in row.iter().enumerate() {
                let bound = self.bind(expr, &[], &with)?;
                if scope.len() == index {
                    let name = columns.get(index).cloned().unwrap_or_default();
                    scope.push(ScopeColumn {
                        qualifier: Some(alias.to_owned()),
                        name,
                        kind: bound.kind.clone(),
                        nullable: true,
                        identity: false,
                    });
                }
                let kind = scope[index].kind.clone();
                values.push(eval(&to_type(bound, &kind), &[])?);
            }
            found.push(values.into());
        }
        Ok(Rows { scope, rows: Arc::new(found) })
    }

    fn catalog_view(&self, name: &str, alias: &str) -> Queried<Rows> {
        let view = catalog::view(name, self.database, self.server)
            .ok_or_else(|| SqlError::new(208, 16, format!("Invalid object name 'sys.{name}'.")))?;
        let scope = view
            .columns
            .into_iter()
            .map(|(name, kind)| ScopeColumn {
                qualifier: Some(alias.to_owned()),
                name,
                kind,
                nullable: true,
                identity: false,
            })
            .collect();
        Ok(Rows { scope, rows: Arc::new(view.rows) })
    }

    fn table(&self, schema: &str, name: &str, alias: &str) -> Queried<Rows> {
        let key = Database::key(schema, name);
        if let Some(view) = self.database.views.get(&key) {
            return self.derived(&view.query, &HashMap::new(), alias);
        }
        let table = self
            .database
            .tables
            .get(&key)
            .ok_or_else(|| SqlError::new(208, 16, format!("Invalid object name '{schema}.{name}'.")))?;
        let scope: Vec<ScopeColumn> = table
            .columns
            .iter()
            .map(|column| ScopeColumn {
                qualifier: Some(alias.to_owned()),
                name: column.name.clone(),
                kind: column.declared.sql_type.clone(),
                nullable: column.nullable,
                identity: column.identity.is_some(),
            })
            .collect();
        let mut rows = table.rows.clone();
        let masked: Vec<usize> =
            table.columns.iter().enumerate().filter(|(_, column)| column.masked).map(|(at, _)| at).collect();
        if !masked.is_empty() && !self.may_unmask {
            let mask = |row: &Row| {
                let mut row = row.clone();
                masked.iter().for_each(|at| row[*at] = catalog::mask(&scope[*at].kind));
                row
            };
            rows = Arc::new(rows.iter().map(mask).collect());
        }
        Ok(Rows { scope, rows })
    }

    fn bind(&self, expr: &Expr, scope: &[ScopeColumn], with: &With) -> Queried<Bound> {
        let subquery = |query: &Query| -> Queried<(SqlType, Vec<Value<'static>>)> {
            let rows = self.derived(query, with, "")?;
            let kind = rows.scope.first().map_or(SqlType::Int, |column| column.kind.clone());
            Ok((kind, rows.rows.iter().map(|row| row[0].clone()).collect()))
        };
        Binder { scope, database: self.database, session: self.session, subquery: &subquery }.bind(expr)
    }

    /// A constant expression.
    pub fn constant(&self, expr: &Expr) -> Queried<(SqlType, Value<'static>)> {
        let bound = self.bind(expr, &[], &HashMap::new())?;
        let value = eval(&bound, &[])?;
        Ok((bound.kind, value))
    }

    /// An expression over the columns of a table.
    pub fn bind_row(&self, expr: &Expr, scope: &[ScopeColumn]) -> Queried<Bound> {
        self.bind(expr, scope, &HashMap::new())
    }

    fn plan(&self, query: &Query, with: &With) -> Queried<Plan> {
        let mut plan = self.plan_one(query, with)?;
        for other in &query.union {
            let mut rows = Vec::new();
            let kinds: Vec<SqlType> = plan.columns.iter().map(|column| column.sql_type.clone()).collect();
            self.plan_one(other, with)?.each_converted(&kinds, &mut |row| rows.push(row))?;
            plan.appended.extend(rows);
        }
        Ok(plan)
    }

    fn plan_one(&self, query: &Query, with: &With) -> Queried<Plan> {
        let mut input = match &query.from {
            Some(relation) => self.relation(relation, with)?,
            None => Rows { scope: Vec::new(), rows: Arc::new(vec![Vec::new().into()]) },
        };
        for join in &query.joins {
            input = self.join(input, join, with)?;
        }
        let filter = query.filter.as_ref().map(|filter| self.bind(filter, &input.scope, with)).transpose()?;
        let mut items = expand(query, &input.scope);
        let mut order_by = query.order_by.clone();
        let grouped = !query.group_by.is_empty() || items.iter().any(|(expr, _)| has_aggregate(expr));
        let filter = if grouped {
            input = crate::aggregate::group(
                &|expr, scope| self.bind(expr, scope, with),
                query,
                &mut items,
                &mut order_by,
                &input.scope,
                filtered(&input.rows, filter.as_ref())?,
            )
            .map(|(scope, rows)| Rows { scope, rows: Arc::new(rows) })?;
            None
        } else {
            filter
        };
        let filter = self.number_rows(&mut input, &mut items, filter, with)?;
        let mut columns = Vec::new();
        let mut outputs = Vec::new();
        for (expr, name) in &items {
            let bound = self.bind(expr, &input.scope, with)?;
            let identity = matches!(bound.node, Node::Column(at) if input.scope[at].identity);
            columns.push(Column {
                name: name.clone(),
                sql_type: bound.kind.clone(),
                nullable: bound.nullable,
                identity,
            });
            outputs.push(bound);
        }
        let order = self.order(&order_by, &items, &input.scope, with)?;
        let top = match &query.top {
            Some(top) => Some(exact(&self.constant(top)?.1).map_or(0, |(number, _)| number.max(0) as u64)),
            None => None,
        };
        Ok(Plan {
            columns,
            outputs,
            rows: input.rows,
            filter,
            order,
            top,
            distinct: query.distinct,
            appended: Vec::new(),
        })
    }

    /// Sort keys: output columns by name or number, else any expression.
    fn order(
        &self,
        order_by: &[(Expr, bool)],
        items: &[(Expr, String)],
        scope: &[ScopeColumn],
        with: &With,
    ) -> Queried<Vec<(Bound, bool)>> {
        order_by
            .iter()
            .map(|(expr, descending)| {
                let named = match expr {
                    Expr::Column(name) if name.len() == 1 => {
                        items.iter().find(|(_, item)| item.eq_ignore_ascii_case(&name[0]))
                    }
                    Expr::Literal(Value::Int(number), _) => items.get((*number as usize).wrapping_sub(1)),
                    _ => None,
                };
                let expr = named.map_or(expr, |(expr, _)| expr);
                Ok((self.bind(expr, scope, with)?, *descending))
            })
            .collect()
    }

    /// ROW_NUMBER becomes a further column of the (filtered) input.
    fn number_rows(
        &self,
        input: &mut Rows,
        items: &mut [(Expr, String)],
        filter: Option<Bound>,
        with: &With,
    ) -> Queried<Option<Bound>> {
        let Some((Expr::RowNumber(order), _)) =
            items.iter().find(|(expr, _)| matches!(expr, Expr::RowNumber(_))).cloned()
        else {
            return Ok(filter);
        };
        let keys: Vec<(Bound, bool)> = order
            .iter()
            .map(|(expr, descending)| Ok((self.bind(expr, &input.scope, with)?, *descending)))
            .collect::<Queried<_>>()?;
        let mut rows = filtered(&input.rows, filter.as_ref())?;
        sort(&mut rows, &keys)?;
        let numbered = rows
            .into_iter()
            .zip(1_i64..)
            .map(|(row, number)| row.into_vec().into_iter().chain([Value::BigInt(number)]).collect::<Vec<_>>().into())
            .collect();
        input.rows = Arc::new(numbered);
        input.scope.push(ScopeColumn {
            qualifier: None,
            name: "\u{1}row_number".to_owned(),
            kind: SqlType::BigInt,
            nullable: false,
            identity: false,
        });
        for (expr, _) in items.iter_mut() {
            if matches!(expr, Expr::RowNumber(_)) {
                *expr = Expr::Column(vec!["\u{1}row_number".to_owned()]);
            }
        }
        Ok(None)
    }

    fn join(&self, left: Rows, join: &Join, with: &With) -> Queried<Rows> {
        let right = self.relation(&join.relation, with)?;
        let width = left.scope.len();
        let mut scope = left.scope;
        scope.extend(right.scope);
        let on = join.on.as_ref().map(|on| self.bind(on, &scope, with)).transpose()?;
        let keys = on.as_ref().and_then(|on| equal_columns(on, width));
        let mut buckets: HashMap<String, Vec<usize>> = HashMap::new();
        if let Some((_, at)) = keys {
            for (index, row) in right.rows.iter().enumerate() {
                buckets.entry(hash_key(&row[at - width])).or_default().push(index);
            }
        }
        let everything: Vec<usize> = (0..right.rows.len()).collect();
        let nothing = Vec::new();
        let mut rows: Vec<Row> = Vec::new();
        for left_row in left.rows.iter() {
            let candidates = match keys {
                Some((at, _)) => buckets.get(&hash_key(&left_row[at])).unwrap_or(&nothing),
                None => &everything,
            };
            let mut matched = false;
            for index in candidates {
                let row: Row = left_row.iter().chain(right.rows[*index].iter()).cloned().collect();
                if on.as_ref().map_or(Ok(true), |on| is_true(on, &row))? {
                    matched = true;
                    rows.push(row);
                }
            }
            if !matched && join.kind == JoinKind::Left {
                rows.push(left_row.iter().cloned().chain((width..scope.len()).map(|_| Value::Null)).collect());
            }
        }
        Ok(Rows { scope, rows: Arc::new(rows) })
    }
}

type With = HashMap<String, Arc<Rows>>;

/// `left.a = right.b` somewhere among the conjuncts of a join's condition.
fn equal_columns(on: &Bound, width: usize) -> Option<(usize, usize)> {
    match &on.node {
        Node::Logic { and: true, left, right } => equal_columns(left, width).or_else(|| equal_columns(right, width)),
        Node::Compare { operator: Operator::Equal, left, right, .. } => match (&left.node, &right.node) {
            (Node::Column(a), Node::Column(b)) if *a < width && *b >= width => Some((*a, *b)),
            (Node::Column(b), Node::Column(a)) if *a < width && *b >= width => Some((*a, *b)),
            _ => None,
        },
        _ => None,
    }
}

/// Values that may be equal have the same key; the condition itself decides.
fn hash_key(value: &Value<'static>) -> String {
    match value {
        Value::VarChar(_) | Value::NVarChar(_) => {
            let text = crate::convert::text_of(value, &Collation::default()).unwrap_or_default();
            text.trim_end_matches(' ').to_lowercase()
        }
        other => match exact(other) {
            Some((number, 0)) => number.to_string(),
            Some((number, scale)) => {
                crate::convert::decimal_text(number, scale).trim_end_matches('0').trim_end_matches('.').to_owned()
            }
            None => format!("{other:?}"),
        },
    }
}

fn filtered(rows: &Arc<Vec<Row>>, filter: Option<&Bound>) -> Queried<Vec<Row>> {
    let Some(filter) = filter else { return Ok(rows.as_ref().clone()) };
    let mut kept = Vec::new();
    for row in rows.iter() {
        if is_true(filter, row)? {
            kept.push(row.clone());
        }
    }
    Ok(kept)
}

/// Names of the output columns; `*` becomes all of them.
fn expand(query: &Query, scope: &[ScopeColumn]) -> Vec<(Expr, String)> {
    let mut items = Vec::new();
    for item in &query.items {
        match item {
            Item::Expr(expr, alias) => {
                let name = alias.clone().unwrap_or_else(|| match expr {
                    Expr::Column(name) => name.last().cloned().unwrap_or_default(),
                    _ => String::new(),
                });
                items.push((expr.clone(), name));
            }
            Item::Star(wanted) => {
                for column in scope {
                    let own = wanted.as_ref().is_none_or(|wanted| {
                        column.qualifier.as_ref().is_some_and(|qualifier| qualifier.eq_ignore_ascii_case(wanted))
                    });
                    if own {
                        let name: Vec<String> = column.qualifier.iter().cloned().chain([column.name.clone()]).collect();
                        items.push((Expr::Column(name), column.name.clone()));
                    }
                }
            }
        }
    }
    items
}

pub fn has_aggregate(expr: &Expr) -> bool {
    match expr {
        Expr::Call { name, arguments } => crate::aggregate::is_aggregate(name) || arguments.iter().any(has_aggregate),
        Expr::Binary(_, left, right) => has_aggregate(left) || has_aggregate(right),
        Expr::Cast { expr, .. } | Expr::Not(expr) | Expr::Negate(expr) | Expr::IsNull { expr, .. } => {
            has_aggregate(expr)
        }
        Expr::Case { branches, otherwise, .. } => {
            branches.iter().any(|(when, then)| has_aggregate(when) || has_aggregate(then))
                || otherwise.as_ref().is_some_and(|expr| has_aggregate(expr))
        }
        _ => false,
    }
}

fn sort(rows: &mut Vec<Row>, keys: &[(Bound, bool)]) -> Queried<()> {
    let mut keyed: Vec<(Vec<Value<'static>>, Row)> = Vec::with_capacity(rows.len());
    for row in rows.drain(..) {
        let key = keys.iter().map(|(bound, _)| eval(bound, &row)).collect::<Queried<Vec<_>>>()?;
        keyed.push((key, row));
    }
    keyed.sort_by(|(left, _), (right, _)| compare_keys(left, right, keys));
    rows.extend(keyed.into_iter().map(|(_, row)| row));
    Ok(())
}

/// NULL comes first, as SQL Server has it.
fn compare_keys(left: &[Value<'static>], right: &[Value<'static>], keys: &[(Bound, bool)]) -> std::cmp::Ordering {
    use std::cmp::Ordering;
    for ((a, b), (bound, descending)) in left.iter().zip(right).zip(keys) {
        let collation = collation_of(&bound.kind).cloned().unwrap_or_default();
        let found = match (a.is_null(), b.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            _ => order(a, b, &collation).unwrap_or(Ordering::Equal),
        };
        let found = if *descending { found.reverse() } else { found };
        if found != Ordering::Equal {
            return found;
        }
    }
    Ordering::Equal
}

/// A query ready to run.
struct Plan {
    columns: Vec<Column>,
    outputs: Vec<Bound>,
    rows: Arc<Vec<Row>>,
    filter: Option<Bound>,
    order: Vec<(Bound, bool)>,
    top: Option<u64>,
    distinct: bool,
    /// Rows of further SELECTs of a UNION ALL.
    appended: Vec<Vec<Value<'static>>>,
}

impl Plan {
    /// Calls `take` for each output row until it says no.
    fn each(&self, take: &mut dyn FnMut(Vec<Value<'static>>) -> bool) -> Queried<()> {
        let sorted;
        let rows: &[Row] = if self.order.is_empty() {
            &self.rows
        } else {
            let mut rows = filtered(&self.rows, self.filter.as_ref())?;
            sort(&mut rows, &self.order)?;
            sorted = rows;
            &sorted
        };
        let mut seen = std::collections::HashSet::new();
        let mut left = self.top.unwrap_or(u64::MAX);
        for row in rows {
            if left == 0 {
                return Ok(());
            }
            if self.order.is_empty()
                && let Some(filter) = &self.filter
                && !is_true(filter, row)?
            {
                continue;
            }
            let output: Vec<Value<'static>> =
                self.outputs.iter().map(|bound| eval(bound, row)).collect::<Queried<_>>()?;
            if self.distinct && !seen.insert(format!("{output:?}")) {
                continue;
            }
            left -= 1;
            if !take(output) {
                return Ok(());
            }
        }
        for row in &self.appended {
            if !take(row.clone()) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn each_converted(&self, kinds: &[SqlType], take: &mut dyn FnMut(Vec<Value<'static>>)) -> Queried<()> {
        let mut failed = None;
        self.each(&mut |row| {
            let converted: Queried<Vec<_>> = row
                .into_iter()
                .zip(&self.columns)
                .zip(kinds)
                .map(|((value, column), kind)| crate::convert::convert(value, &column.sql_type, kind, None))
                .collect();
            match converted {
                Ok(row) => take(row),
                Err(error) => failed = Some(error),
            }
            failed.is_none()
        })?;
        failed.map_or(Ok(()), Err)
    }
}

/// SET TEXTSIZE cuts large values, silently, as the real one does.
fn cut(row: &[Value<'static>], columns: &[Column], limit: usize) -> Vec<Value<'static>> {
    row.iter()
        .zip(columns)
        .map(|(value, column)| {
            let large = matches!(
                column.sql_type,
                SqlType::VarChar { len: crate::value::Len::Max, .. }
                    | SqlType::NVarChar { len: crate::value::Len::Max, .. }
                    | SqlType::VarBinary { len: crate::value::Len::Max }
                    | SqlType::Text { .. }
                    | SqlType::NText { .. }
                    | SqlType::Image
            );
            match value {
                Value::VarChar(bytes) if large && bytes.len() > limit => Value::VarChar(bytes[..limit].to_vec().into()),
                Value::NVarChar(bytes) if large && bytes.len() > limit => {
                    Value::NVarChar(bytes[..limit / 2 * 2].to_vec().into())
                }
                Value::Binary(bytes) if large && bytes.len() > limit => Value::Binary(bytes[..limit].to_vec().into()),
                other => other.clone(),
            }
        })
        .collect()
}
