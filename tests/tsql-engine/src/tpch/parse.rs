//! Recognizes the queries that the generator can answer; `None` throughout means that the engine must.

use sqlparser::ast::{BinaryLength, BinaryOperator};
use sqlparser::ast::{
    CastKind, DataType, Distinct, ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    GroupByExpr, Ident, OrderByExpr, OrderByKind, OrderBySort, Query, Select, SelectItem, SetExpr, TableFactor,
    TableWithJoins, TopQuantity, UnaryOperator, Value as Literal, WildcardAdditionalOptions, WindowType,
};

use super::answer::WIDEST;
use super::plan::{Aggregate, Cast, Item, Plan, Wanted};
use super::schema::{Kind, Table};
use super::segment::{Condition, Operator, Segment, segments};
use crate::value::{Column, Len, SqlType};

/// The plan of a query, if the generator can answer it.
pub(super) fn plan(query: &Query) -> Option<Plan> {
    let select = plain_select(query)?;
    match &select.from.first()?.relation {
        TableFactor::Table { .. } => table_plan(query, select),
        TableFactor::Derived { .. } => sample_plan(query, select),
        _ => None,
    }
}

/// The SELECT of a query that has nothing but items, one source, WHERE, TOP and ORDER BY.
fn plain_select(query: &Query) -> Option<&Select> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let plain_query = query.with.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && query.locks.is_empty()
        && query.for_clause.is_none()
        && query.settings.is_none()
        && query.format_clause.is_none()
        && query.pipe_operators.is_empty();
    let ungrouped = matches!(&select.group_by, GroupByExpr::Expressions(by, with) if by.is_empty() && with.is_empty());
    let plain_select = matches!(select.distinct, None | Some(Distinct::All))
        && select.into.is_none()
        && select.having.is_none()
        && select.named_window.is_empty()
        && select.qualify.is_none()
        && select.prewhere.is_none()
        && select.lateral_views.is_empty()
        && select.connect_by.is_empty()
        && select.exclude.is_none();
    let one_source = select.from.len() == 1 && select.from.iter().all(|from| from.joins.is_empty());
    (plain_query && plain_select && ungrouped && one_source).then_some(select)
}

/// One table, a range of its keys, and what is asked of it.
pub(super) struct Range<'q> {
    pub table: Table,
    pub from: &'q [TableWithJoins],
    pub segments: Vec<Segment>,
    /// Conditions beyond the range, all of which must hold.
    pub others: Vec<&'q Expr>,
    pub items: &'q [SelectItem],
}

/// The range of a query over one table without TOP and ORDER BY.
pub(super) fn range(query: &Query) -> Option<Range<'_>> {
    let select = plain_select(query)?;
    let source = Source::of(&select.from.first()?.relation)?;
    if select.top.is_some() || query.order_by.is_some() {
        return None;
    }
    let (mut keys, mut others) = (None, Vec::new());
    for expr in select.selection.iter().flat_map(conjuncts) {
        match (condition(expr, &source), keys.take()) {
            (Some(own), Some(before)) => keys = Some(Condition::And(Box::new(before), Box::new(own))),
            (Some(own), None) => keys = Some(own),
            (None, before) => {
                keys = before;
                others.push(expr);
            }
        }
    }
    let (table, from, items) = (source.table, select.from.as_slice(), select.projection.as_slice());
    Some(Range { table, from, segments: segments(keys), others, items })
}

/// The parts of a condition that AND joins.
fn conjuncts(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::Nested(inner) => conjuncts(inner),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            let mut all = conjuncts(left);
            all.extend(conjuncts(right));
            all
        }
        other => vec![other],
    }
}

/// A table and the name by which the query knows it.
struct Source<'q> {
    table: Table,
    name: &'q str,
}

impl<'q> Source<'q> {
    fn of(factor: &'q TableFactor) -> Option<Self> {
        let TableFactor::Table { name, alias, args: None, version: None, sample: None, .. } = factor else {
            return None;
        };
        let idents = name.0.iter().map(|part| part.as_ident()).collect::<Option<Vec<&Ident>>>()?;
        let own = match idents.as_slice() {
            [table] => *table,
            [schema, table] if schema.value.eq_ignore_ascii_case("dbo") => *table,
            _ => return None,
        };
        if alias.as_ref().is_some_and(|alias| !alias.columns.is_empty() || alias.at.is_some()) {
            return None;
        }
        let table = Table::find(&own.value)?;
        Some(Source { table, name: alias.as_ref().map_or(&own.value, |alias| &alias.name.value) })
    }

    /// The place of the column that an expression names.
    fn column(&self, expr: &Expr) -> Option<usize> {
        let name = column_name(expr, self.name)?;
        self.table.layout().iter().position(|(own, _)| own.eq_ignore_ascii_case(name))
    }

    /// The place of a column within the primary key.
    fn key_column(&self, expr: &Expr) -> Option<usize> {
        let column = self.column(expr)?;
        self.table.key().iter().position(|at| *at == column)
    }

    /// Whether an order is the primary key's own, as far as it goes.
    fn is_key_order(&self, order: &[OrderByExpr]) -> bool {
        order.len() <= self.table.key().len()
            && order.iter().enumerate().all(|(at, by)| {
                by.options.sort.as_ref().is_none_or(|sort| *sort == OrderBySort::Asc)
                    && by.with_fill.is_none()
                    && self.key_column(&by.expr) == Some(at)
            })
    }
}

/// The column's name in `name` or `source.name`.
fn column_name<'e>(expr: &'e Expr, source: &str) -> Option<&'e str> {
    match expr {
        Expr::Identifier(name) => Some(&name.value),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [qualifier, name] if qualifier.value.eq_ignore_ascii_case(source) => Some(&name.value),
            _ => None,
        },
        Expr::Nested(inner) => column_name(inner, source),
        _ => None,
    }
}

fn order(query: &Query) -> Option<&[OrderByExpr]> {
    match &query.order_by {
        None => Some(&[]),
        Some(order) => match &order.kind {
            OrderByKind::Expressions(by) => Some(by),
            OrderByKind::All(_) => None,
        },
    }
}

/// An item's expression and alias.
fn item_parts(item: &SelectItem) -> Option<(&Expr, Option<&str>)> {
    match item {
        SelectItem::UnnamedExpr(expr) => Some((expr, None)),
        SelectItem::ExprWithAlias { expr, alias } => Some((expr, Some(&alias.value))),
        _ => None,
    }
}

fn table_plan(query: &Query, select: &Select) -> Option<Plan> {
    let source = Source::of(&select.from.first()?.relation)?;
    let order = order(query)?;
    let condition = match &select.selection {
        Some(expr) => Some(condition(expr, &source)?),
        None => None,
    };
    if select.projection.len() > WIDEST || !source.is_key_order(order) {
        return None;
    }
    if let [SelectItem::Wildcard(options)] = select.projection.as_slice()
        && *options == WildcardAdditionalOptions::default()
    {
        let all = source.table.layout().iter().enumerate();
        let (items, columns) = all
            .map(|(column, (name, kind))| {
                let described =
                    Column { name: (*name).to_owned(), sql_type: kind.sql_type(), nullable: false, identity: false };
                (Item { column, cast: Cast::None }, described)
            })
            .unzip();
        let wanted = Wanted::Rows { items, limit: limit(select)? };
        return Some(Plan { table: source.table, segments: segments(condition), columns, wanted });
    }
    let aggregates: Option<Vec<(Aggregate, Column)>> =
        select.projection.iter().map(|item| aggregate(item, &source)).collect();
    let (columns, wanted) = if let Some(aggregates) = aggregates {
        if select.top.is_some() || !order.is_empty() {
            return None;
        }
        let (items, columns): (Vec<_>, Vec<_>) = aggregates.into_iter().unzip();
        (columns, Wanted::Aggregates(items))
    } else {
        let (items, columns): (Vec<_>, Vec<_>) =
            select.projection.iter().map(|found| item(found, &source)).collect::<Option<Vec<_>>>()?.into_iter().unzip();
        (columns, Wanted::Rows { items, limit: limit(select)? })
    };
    Some(Plan { table: source.table, segments: segments(condition), columns, wanted })
}

/// The rows that TOP lets through.
fn limit(select: &Select) -> Option<u64> {
    let Some(top) = &select.top else { return Some(u64::MAX) };
    if top.with_ties || top.percent {
        return None;
    }
    match top.quantity.as_ref()? {
        TopQuantity::Constant(limit) => Some(*limit),
        TopQuantity::Expr(expr) => u64::try_from(integer(expr)?).ok(),
    }
}

fn integer(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Value(literal) => match &literal.value {
            Literal::Number(digits, _) => digits.parse().ok(),
            _ => None,
        },
        Expr::Nested(inner) => integer(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => integer(expr)?.checked_neg(),
        _ => None,
    }
}

fn condition(expr: &Expr, source: &Source<'_>) -> Option<Condition> {
    match expr {
        Expr::Nested(inner) => condition(inner, source),
        Expr::IsNull(inner) => source.column(inner).map(|_| Condition::Never),
        Expr::BinaryOp { left, op: op @ (BinaryOperator::And | BinaryOperator::Or), right } => {
            let (left, right) = (Box::new(condition(left, source)?), Box::new(condition(right, source)?));
            Some(if *op == BinaryOperator::And { Condition::And(left, right) } else { Condition::Or(left, right) })
        }
        Expr::BinaryOp { left, op, right } => {
            let operator = match op {
                BinaryOperator::Lt => Operator::Less,
                BinaryOperator::LtEq => Operator::LessOrEqual,
                BinaryOperator::Eq => Operator::Equal,
                BinaryOperator::GtEq => Operator::GreaterOrEqual,
                BinaryOperator::Gt => Operator::Greater,
                _ => return None,
            };
            Some(Condition::Compare { column: source.key_column(left)?, operator, literal: integer(right)? })
        }
        _ => None,
    }
}

fn item(item: &SelectItem, source: &Source<'_>) -> Option<(Item, Column)> {
    let (expr, alias) = item_parts(item)?;
    if let Some(column) = source.column(expr) {
        let (name, kind) = source.table.layout()[column];
        let name = alias.unwrap_or(name).to_owned();
        let described = Column { name, sql_type: kind.sql_type(), nullable: false, identity: false };
        return Some((Item { column, cast: Cast::None }, described));
    }
    let Expr::Cast { kind: CastKind::Cast, expr, data_type, format: None } = expr else { return None };
    let column = source.column(expr)?;
    let (cast, sql_type) = cast(source.table.layout()[column].1, data_type)?;
    // An unnamed expression has no name; the server calls a cast nullable.
    let described = Column { name: alias.unwrap_or_default().to_owned(), sql_type, nullable: true, identity: false };
    Some((Item { column, cast }, described))
}

/// A cast that cannot fail for any value of the column.
fn cast(from: Kind, to: &DataType) -> Option<(Cast, SqlType)> {
    match (from, to) {
        (Kind::Char(_) | Kind::Text(_), DataType::Varbinary(length)) => {
            let len = match length {
                // "CAST and CONVERT": the length is 30 where none is given.
                None => Len::N(30),
                Some(BinaryLength::Max) => Len::Max,
                Some(BinaryLength::IntegerLength { length }) => {
                    Len::N(u16::try_from(*length).ok().filter(|length| (1..=8000).contains(length))?)
                }
            };
            let limit = match len {
                Len::N(limit) => usize::from(limit),
                Len::Max => usize::MAX,
            };
            Some((Cast::Binary { limit }, SqlType::VarBinary { len }))
        }
        (
            Kind::Key | Kind::Int | Kind::Money,
            DataType::Decimal(ExactNumberInfo::PrecisionAndScale(precision, scale)),
        ) => {
            let precision = u8::try_from(*precision).ok().filter(|precision| *precision <= 38)?;
            let scale = u8::try_from(*scale).ok()?;
            let (digits, own_scale) = match from {
                Kind::Money => (13, 2),
                Kind::Int => (10, 0),
                _ => (19, 0),
            };
            let fits = scale >= own_scale && precision >= scale && precision - scale >= digits;
            let factor = 10_i128.pow(u32::from(scale.checked_sub(own_scale)?));
            fits.then_some((Cast::Decimal { factor, scale }, SqlType::Decimal { precision, scale }))
        }
        _ => None,
    }
}

/// The arguments of a plain call of a function without OVER.
fn call<'e>(function: &'e Function, name: &str) -> Option<&'e [FunctionArg]> {
    let plain = function.filter.is_none()
        && function.null_treatment.is_none()
        && function.within_group.is_empty()
        && matches!(function.parameters, FunctionArguments::None);
    let [own] = function.name.0.as_slice() else { return None };
    if !plain || !own.as_ident()?.value.eq_ignore_ascii_case(name) {
        return None;
    }
    match &function.args {
        FunctionArguments::List(list) if list.duplicate_treatment.is_none() && list.clauses.is_empty() => {
            Some(&list.args)
        }
        _ => None,
    }
}

fn aggregate(item: &SelectItem, source: &Source<'_>) -> Option<(Aggregate, Column)> {
    let (Expr::Function(function), alias) = item_parts(item)? else { return None };
    if function.over.is_some() {
        return None;
    }
    let key = |name: &str| match call(function, name)? {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))] => source.key_column(expr),
        _ => None,
    };
    let star = |name: &str| matches!(call(function, name), Some([FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]));
    let key_type = |at: usize| source.table.layout()[source.table.key()[at]].1.sql_type();
    let (aggregate, sql_type) = if let Some(at) = key("min") {
        (Aggregate::Min(at), key_type(at))
    } else if let Some(at) = key("max") {
        (Aggregate::Max(at), key_type(at))
    } else if star("count") {
        (Aggregate::Count, SqlType::Int)
    } else if star("count_big") {
        (Aggregate::CountBig, SqlType::BigInt)
    } else {
        return None;
    };
    let described = Column { name: alias.unwrap_or_default().to_owned(), sql_type, nullable: true, identity: false };
    Some((aggregate, described))
}

/// `SELECT k… FROM (SELECT k…, ROW_NUMBER() OVER (ORDER BY k…) AS n FROM t [WHERE …]) AS keys WHERE n % step = 0 ORDER BY n`.
fn sample_plan(query: &Query, select: &Select) -> Option<Plan> {
    let TableFactor::Derived { lateral: false, subquery, alias: Some(keys), sample: None } =
        &select.from.first()?.relation
    else {
        return None;
    };
    let inner = plain_select(subquery)?;
    let source = Source::of(&inner.from.first()?.relation)?;
    if !keys.columns.is_empty() || select.top.is_some() || inner.top.is_some() || !order(subquery)?.is_empty() {
        return None;
    }
    let condition = match &inner.selection {
        Some(expr) => Some(condition(expr, &source)?),
        None => None,
    };

    let (number, inner_keys) = inner.projection.split_last()?;
    let (Expr::Function(function), Some(number)) = item_parts(number)? else { return None };
    let numbered = call(function, "row_number")?.is_empty()
        && matches!(&function.over, Some(WindowType::WindowSpec(window))
            if window.window_name.is_none()
                && window.partition_by.is_empty()
                && window.window_frame.is_none()
                && !window.order_by.is_empty()
                && source.is_key_order(&window.order_by));
    // What the subquery calls each of its key columns.
    let names: Vec<(&str, usize)> = inner_keys
        .iter()
        .map(|item| {
            let (expr, alias) = item_parts(item)?;
            let at = source.key_column(expr)?;
            Some((alias.or_else(|| column_name(expr, source.name))?, at))
        })
        .collect::<Option<_>>()?;

    let outer = keys.name.value.as_str();
    let is_number = |expr: &Expr| column_name(expr, outer).is_some_and(|name| name.eq_ignore_ascii_case(number));
    let by_number = match order(query)? {
        [by] => by.options.sort.as_ref().is_none_or(|sort| *sort == OrderBySort::Asc) && is_number(&by.expr),
        _ => false,
    };
    let step = step(select.selection.as_ref()?, is_number)?;
    if !numbered || !by_number {
        return None;
    }
    let mut items = Vec::new();
    let mut columns = Vec::new();
    for item in &select.projection {
        let (expr, alias) = item_parts(item)?;
        let wanted = column_name(expr, outer)?;
        let (name, at) = names.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
        let sql_type = source.table.layout()[source.table.key()[*at]].1.sql_type();
        columns.push(Column { name: alias.unwrap_or(name).to_owned(), sql_type, nullable: false, identity: false });
        items.push(*at);
    }
    Some(Plan { table: source.table, segments: segments(condition), columns, wanted: Wanted::Sample { items, step } })
}

/// The step of `n % step = 0`.
fn step(expr: &Expr, is_number: impl Fn(&Expr) -> bool) -> Option<u64> {
    let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = expr else { return None };
    let Expr::BinaryOp { left: number, op: BinaryOperator::Modulo, right: by } = left.as_ref() else { return None };
    let step = u64::try_from(integer(by)?).ok().filter(|step| *step > 0)?;
    (is_number(number) && integer(right)? == 0).then_some(step)
}
