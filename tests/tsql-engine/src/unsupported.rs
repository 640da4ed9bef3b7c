//! Clauses that the parser accepts and the translation does not read: each is refused by name, so that no statement runs
//! with a part of it ignored.

use sqlparser::ast::{
    Delete, Distinct, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Insert, OrderBy,
    Query, Select, SetExpr, TableFactor, Update, WildcardAdditionalOptions, WindowSpec,
};

use crate::error::{error, unsupported};
use crate::value::SqlError;

/// Table hints that change no result here: a statement sees committed rows, and writers wait for each other.
const TABLE_HINTS: &[&str] =
    &["NOLOCK", "READUNCOMMITTED", "READCOMMITTED", "ROWLOCK", "PAGLOCK", "TABLOCK", "FORCESEEK", "FORCESCAN"];

/// Query hints that choose a plan and change no result.
const QUERY_HINTS: &[&str] = &[
    "MAXDOP",
    "RECOMPILE",
    "FORCE ORDER",
    "FAST",
    "KEEP PLAN",
    "KEEPFIXED PLAN",
    "LOOP JOIN",
    "HASH JOIN",
    "MERGE JOIN",
    "HASH GROUP",
    "ORDER GROUP",
    "OPTIMIZE FOR",
    "ROBUST PLAN",
    "LABEL",
];

fn refuse(found: bool, what: &str) -> Result<(), SqlError> {
    if found { Err(unsupported(what)) } else { Ok(()) }
}

/// What stands around a query's body.
pub fn query(query: &Query) -> Result<(), SqlError> {
    if let Some(clause) = &query.for_clause {
        return Err(unsupported(&clause.to_string()));
    }
    refuse(!query.locks.is_empty(), "SELECT … FOR UPDATE")?;
    refuse(query.settings.is_some() || query.format_clause.is_some(), "SETTINGS and FORMAT")?;
    refuse(!query.pipe_operators.is_empty(), "|>")?;
    if let Some(fetch) = &query.fetch {
        refuse(fetch.with_ties || fetch.percent, "FETCH … PERCENT / WITH TIES")?;
        refuse(query.limit_clause.is_none(), "FETCH without OFFSET")?;
    }
    if let Some(order) = &query.order_by {
        order_by(order)?;
    }
    if let Some(with) = &query.with {
        refuse(with.recursive, "WITH RECURSIVE")?;
        let odd = with.cte_tables.iter().any(|cte| cte.from.is_some() || cte.materialized.is_some());
        refuse(odd, "MATERIALIZED")?;
    }
    if let SetExpr::Select(select) = query.body.as_ref() {
        if select.top.is_some() && (query.limit_clause.is_some() || query.fetch.is_some()) {
            return Err(error(10741, "A TOP can not be used in the same query or sub-query as a OFFSET."));
        }
        self::select(select)?;
    }
    Ok(())
}

fn order_by(order: &OrderBy) -> Result<(), SqlError> {
    refuse(order.interpolate.is_some(), "INTERPOLATE")?;
    let sqlparser::ast::OrderByKind::Expressions(items) = &order.kind else { return Ok(()) };
    let odd = items.iter().any(|item| item.options.nulls_first.is_some() || item.with_fill.is_some());
    refuse(odd, "ORDER BY … NULLS FIRST / LAST")
}

/// The clauses of a SELECT itself.
pub fn select(select: &Select) -> Result<(), SqlError> {
    match &select.group_by {
        GroupByExpr::All(_) => return Err(unsupported("GROUP BY ALL")),
        GroupByExpr::Expressions(items, modifiers) => {
            if let Some(modifier) = modifiers.first() {
                return Err(unsupported(&format!("GROUP BY … {modifier}")));
            }
            let several = |expr: &&Expr| matches!(expr, Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_));
            if let Some(expr) = items.iter().find(several) {
                return Err(unsupported(&format!("GROUP BY {expr}")));
            }
        }
    }
    refuse(matches!(select.distinct, Some(Distinct::On(_))), "DISTINCT ON")?;
    refuse(select.select_modifiers.is_some(), "modifiers of SELECT")?;
    refuse(select.exclude.is_some(), "EXCLUDE")?;
    refuse(!select.named_window.is_empty(), "WINDOW")?;
    refuse(select.qualify.is_some(), "QUALIFY")?;
    refuse(select.prewhere.is_some() || !select.lateral_views.is_empty(), "PREWHERE and LATERAL VIEW")?;
    let other = !select.cluster_by.is_empty() || !select.distribute_by.is_empty() || !select.sort_by.is_empty();
    refuse(other || !select.connect_by.is_empty() || select.value_table_mode.is_some(), "clauses of other dialects")?;
    for table in &select.from {
        factor(&table.relation)?;
        for join in &table.joins {
            refuse(join.global, "GLOBAL JOIN")?;
            factor(&join.relation)?;
        }
    }
    Ok(())
}

/// `*` with additions.
pub fn wildcard(options: &WildcardAdditionalOptions) -> Result<(), SqlError> {
    refuse(*options != WildcardAdditionalOptions::default(), "additions to *")
}

/// What stands around a table's name.
pub fn factor(factor: &TableFactor) -> Result<(), SqlError> {
    match factor {
        TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => {
            Err(unsupported(&format!("TABLESAMPLE: FROM {factor}")))
        }
        TableFactor::Table { version: Some(version), .. } => Err(unsupported(&version.to_string())),
        TableFactor::Table {
            name,
            alias,
            with_hints,
            with_ordinality,
            partitions,
            json_path,
            index_directives,
            inheritance,
            ..
        } => {
            let odd = *with_ordinality
                || !partitions.is_empty()
                || json_path.is_some()
                || !index_directives.is_empty()
                || inheritance.is_some();
            refuse(odd, &format!("FROM {factor}"))?;
            refuse(
                alias.as_ref().is_some_and(|alias| !alias.columns.is_empty()) && !crate::changetable::is_named(name),
                "column names after a table's alias",
            )?;
            with_hints.iter().try_for_each(table_hint)
        }
        TableFactor::Derived { lateral: true, .. } => Err(unsupported("LATERAL")),
        _ => Ok(()),
    }
}

fn table_hint(hint: &Expr) -> Result<(), SqlError> {
    let text = hint.to_string().to_uppercase();
    let known = TABLE_HINTS.contains(&text.as_str()) || text.starts_with("INDEX");
    refuse(!known, &format!("the table hint {text}"))
}

/// OPTION (…), as text.
pub fn query_hints(text: &str) -> Result<(), SqlError> {
    let mut depth = 0;
    let split = |letter: char| {
        depth += i32::from(letter == '(') - i32::from(letter == ')');
        letter == ',' && depth == 0
    };
    for hint in text.split(split) {
        let hint = hint.trim().to_uppercase();
        let known = QUERY_HINTS.iter().any(|known| {
            hint.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '(', '=']))
        });
        refuse(!known, &format!("OPTION ({hint})"))?;
    }
    Ok(())
}

/// INSERT beyond its columns and its source.
pub fn insert(insert: &Insert) -> Result<(), SqlError> {
    refuse(insert.output.is_some(), "INSERT … OUTPUT")?;
    refuse(insert.returning.is_some(), "RETURNING")?;
    refuse(insert.table_alias.is_some() || insert.insert_alias.is_some(), "an alias of INSERT's table")?;
    refuse(insert.on.is_some() || insert.or.is_some() || insert.ignore, "INSERT … ON / OR / IGNORE")?;
    refuse(!insert.assignments.is_empty() || insert.replace_into || insert.priority.is_some(), "INSERT … SET")?;
    refuse(insert.overwrite || insert.partitioned.is_some() || insert.has_table_keyword, "INSERT OVERWRITE")?;
    refuse(!insert.after_columns.is_empty() || !insert.multi_table_into_clauses.is_empty(), "INSERT … PARTITION")?;
    refuse(insert.settings.is_some() || insert.format_clause.is_some(), "INSERT … FORMAT")?;
    let Some(source) = &insert.source else { return Err(unsupported("INSERT … DEFAULT VALUES")) };
    query(source)?;
    let bare = matches!(source.body.as_ref(), SetExpr::Values(_));
    refuse(bare && (source.order_by.is_some() || source.limit_clause.is_some()), "ORDER BY after VALUES")
}

/// UPDATE beyond SET and WHERE.
pub fn update(update: &Update) -> Result<(), SqlError> {
    refuse(update.from.is_some(), "UPDATE … FROM")?;
    refuse(update.output.is_some(), "UPDATE … OUTPUT")?;
    refuse(update.returning.is_some() || update.or.is_some(), "UPDATE … RETURNING")?;
    refuse(!update.order_by.is_empty() || update.limit.is_some(), "UPDATE … ORDER BY / LIMIT")?;
    factor(&update.table.relation)
}

/// DELETE beyond one table and WHERE.
pub fn delete(delete: &Delete) -> Result<(), SqlError> {
    refuse(!delete.tables.is_empty(), "DELETE … FROM … (a second FROM)")?;
    refuse(delete.output.is_some(), "DELETE … OUTPUT")?;
    refuse(delete.using.is_some() || delete.returning.is_some(), "DELETE … USING / RETURNING")?;
    refuse(!delete.order_by.is_empty() || delete.limit.is_some(), "DELETE … ORDER BY / LIMIT")?;
    let (sqlparser::ast::FromTable::WithFromKeyword(from) | sqlparser::ast::FromTable::WithoutKeyword(from)) =
        &delete.from;
    from.iter().try_for_each(|table| factor(&table.relation))
}

/// A function call's parts other than plain arguments.
pub fn function(function: &Function) -> Result<(), SqlError> {
    let name = function.name.to_string().to_uppercase();
    let what = |part: &str| format!("{name} {part}");
    refuse(!function.within_group.is_empty(), &what("WITHIN GROUP"))?;
    refuse(function.filter.is_some(), &what("FILTER"))?;
    refuse(function.null_treatment.is_some(), &what("IGNORE NULLS"))?;
    refuse(!matches!(function.parameters, FunctionArguments::None), &what("with parameters"))?;
    match &function.args {
        FunctionArguments::None => Ok(()),
        FunctionArguments::Subquery(_) => Err(unsupported(&what("of a subquery"))),
        FunctionArguments::List(list) => {
            refuse(!list.clauses.is_empty(), &what("with clauses among its arguments"))?;
            let star = matches!(list.args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]);
            let plain = |argument: &FunctionArg| matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::Expr(_)));
            let counts = matches!(name.as_str(), "COUNT" | "COUNT_BIG");
            refuse(!(star && counts || list.args.iter().all(plain)), &what("of these arguments"))
        }
    }
}

/// OVER (…): a frame, and a count of anything but rows, are not translated.
pub fn window(name: &str, raw: &[FunctionArg], spec: &WindowSpec) -> Result<(), SqlError> {
    refuse(spec.window_frame.is_some(), "ROWS / RANGE in OVER")?;
    refuse(spec.window_name.is_some(), "a named window")?;
    let star = matches!(raw, [] | [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]);
    refuse(!star, &format!("{}(…) OVER", name.to_uppercase()))
}
