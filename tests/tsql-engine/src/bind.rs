//! Expressions with their columns resolved and their types known.

use crate::ast::{Expr, Name, Operator, TypeName};
use crate::functions::{self, Function};
use crate::storage::Database;
use crate::types::{collation_of, system_type};
use crate::value::{Collation, Len, SqlError, SqlType, Value};

/// A column that an expression may name.
#[derive(Debug, Clone)]
pub struct ScopeColumn {
    pub qualifier: Option<String>,
    pub name: String,
    pub kind: SqlType,
    pub nullable: bool,
    pub identity: bool,
}

/// What a bound expression does.
#[derive(Debug, Clone)]
pub enum Node {
    Column(usize),
    Const(Value<'static>),
    Cast {
        expr: Box<Bound>,
        style: Option<u16>,
    },
    Not(Box<Bound>),
    Negate(Box<Bound>),
    Logic {
        and: bool,
        left: Box<Bound>,
        right: Box<Bound>,
    },
    Compare {
        operator: Operator,
        left: Box<Bound>,
        right: Box<Bound>,
        collation: Collation,
    },
    Arithmetic {
        operator: Operator,
        left: Box<Bound>,
        right: Box<Bound>,
    },
    Concat(Box<Bound>, Box<Bound>),
    Case {
        branches: Vec<(Bound, Bound)>,
        otherwise: Box<Bound>,
    },
    IsNull {
        expr: Box<Bound>,
        negated: bool,
    },
    In {
        expr: Box<Bound>,
        list: Vec<Bound>,
        negated: bool,
        collation: Collation,
    },
    Like {
        expr: Box<Bound>,
        pattern: Box<Bound>,
        negated: bool,
        collation: Collation,
    },
    Call(Function, Vec<Bound>),
    /// A text column under another collation: the value itself stays.
    Same(Box<Bound>),
}

#[derive(Debug, Clone)]
pub struct Bound {
    pub node: Node,
    pub kind: SqlType,
    pub nullable: bool,
}

impl Bound {
    pub fn constant(value: Value<'static>, kind: SqlType) -> Self {
        let nullable = value.is_null();
        Self { node: Node::Const(value), kind, nullable }
    }
}

/// What expressions are bound against.
pub struct Binder<'a> {
    pub scope: &'a [ScopeColumn],
    pub database: &'a Database,
    /// Values of `@variables` and functions of the session, such as `DB_NAME()`.
    pub session: &'a dyn SessionValues,
    /// Runs a subquery that does not depend on the row: its rows' first column.
    pub subquery: &'a dyn Fn(&crate::ast::Query) -> Result<(SqlType, Vec<Value<'static>>), SqlError>,
}

/// What the session knows that expressions may ask for.
pub trait SessionValues {
    fn variable(&self, name: &str) -> Option<(SqlType, Value<'static>)>;
    /// A function without arguments or with constant ones; `None` where it is not the session's.
    fn function(&self, name: &str, arguments: &[Value<'static>]) -> Option<(SqlType, Value<'static>)>;
}

type Binding = Result<Bound, SqlError>;

impl Binder<'_> {
    pub fn bind(&self, expr: &Expr) -> Binding {
        Ok(match expr {
            Expr::Column(name) => self.column(name)?,
            Expr::Variable(name) => {
                let (kind, value) =
                    self.session.variable(name).or_else(|| self.session.function(name, &[])).ok_or_else(|| {
                        SqlError::new(137, 15, format!("Must declare the scalar variable \"{name}\"."))
                    })?;
                Bound { nullable: true, ..Bound::constant(value, kind) }
            }
            Expr::Literal(value, kind) => Bound::constant(value.clone(), kind.clone()),
            Expr::Null => Bound { nullable: true, ..Bound::constant(Value::Null, SqlType::Int) },
            Expr::Not(inner) => {
                let inner = self.bind(inner)?;
                boolean(Node::Not(Box::new(inner)))
            }
            Expr::Negate(inner) => {
                let inner = self.bind(inner)?;
                Bound { kind: inner.kind.clone(), nullable: inner.nullable, node: Node::Negate(Box::new(inner)) }
            }
            Expr::Binary(operator, left, right) => self.binary(*operator, left, right)?,
            Expr::Cast { expr, to, style } => self.cast(expr, to, *style)?,
            Expr::Case { operand, branches, otherwise } => {
                self.case(operand.as_deref(), branches, otherwise.as_deref())?
            }
            Expr::Call { name, arguments } => self.call(name, arguments)?,
            Expr::Method { on, name } => self.method(on, name)?,
            Expr::IsNull { expr, negated } => {
                boolean(Node::IsNull { expr: Box::new(self.bind(expr)?), negated: *negated })
            }
            Expr::In { expr, list, negated } => self.in_list(expr, list, *negated)?,
            Expr::Exists { query, negated } => {
                let (_, rows) = (self.subquery)(query)?;
                Bound::constant(Value::Bit(rows.is_empty() == *negated), SqlType::Bit)
            }
            Expr::Scalar(query) => {
                let (kind, rows) = (self.subquery)(query)?;
                if rows.len() > 1 {
                    return Err(SqlError::new(512, 16, "Subquery returned more than 1 value."));
                }
                Bound { nullable: true, ..Bound::constant(rows.into_iter().next().unwrap_or(Value::Null), kind) }
            }
            Expr::Like { expr, pattern, negated } => {
                let expr = self.bind(expr)?;
                let collation = collation_of(&expr.kind).cloned().unwrap_or_default();
                let pattern = Box::new(self.bind(pattern)?);
                boolean(Node::Like { expr: Box::new(expr), pattern, negated: *negated, collation })
            }
            Expr::Collate(expr, name) => self.collate(expr, name)?,
            Expr::RowNumber(_) => {
                return Err(SqlError::new(4108, 15, "Windowed functions can only appear in the SELECT list."));
            }
            Expr::Star => return Err(SqlError::new(102, 15, "Incorrect syntax near '*'.")),
        })
    }

    fn column(&self, name: &Name) -> Binding {
        let column = name.last().map_or("", String::as_str);
        let qualifier = (name.len() > 1).then(|| name[name.len() - 2].as_str());
        let mut found = self.scope.iter().enumerate().filter(|(_, candidate)| {
            candidate.name.eq_ignore_ascii_case(column)
                && qualifier.is_none_or(|wanted| {
                    candidate.qualifier.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(wanted))
                })
        });
        let Some((position, first)) = found.next() else {
            return Err(SqlError::new(207, 16, format!("Invalid column name '{}'.", name.join("."))));
        };
        if found.next().is_some() {
            return Err(SqlError::new(209, 16, format!("Ambiguous column name '{}'.", name.join("."))));
        }
        Ok(Bound { node: Node::Column(position), kind: first.kind.clone(), nullable: first.nullable })
    }

    fn binary(&self, operator: Operator, left: &Expr, right: &Expr) -> Binding {
        let (left, right) = (self.bind(left)?, self.bind(right)?);
        if matches!(operator, Operator::And | Operator::Or) {
            let and = operator == Operator::And;
            return Ok(boolean(Node::Logic { and, left: Box::new(left), right: Box::new(right) }));
        }
        let nullable = left.nullable || right.nullable;
        if matches!(
            operator,
            Operator::Equal
                | Operator::NotEqual
                | Operator::Less
                | Operator::LessOrEqual
                | Operator::Greater
                | Operator::GreaterOrEqual
        ) {
            let (left, right) = align(left, right);
            let collation = collation_of(&left.kind).or(collation_of(&right.kind)).cloned().unwrap_or_default();
            return Ok(boolean(Node::Compare { operator, left: Box::new(left), right: Box::new(right), collation }));
        }
        if operator == Operator::Add && is_text(&left.kind) && is_text(&right.kind) {
            let kind = concat_type(&left.kind, &right.kind);
            let (left, right) = (to_family(left, &kind), to_family(right, &kind));
            return Ok(Bound { node: Node::Concat(Box::new(left), Box::new(right)), kind, nullable });
        }
        let kind = arithmetic_type(operator, &left.kind, &right.kind)?;
        Ok(Bound { node: Node::Arithmetic { operator, left: Box::new(left), right: Box::new(right) }, kind, nullable })
    }

    pub fn type_of(&self, name: &TypeName) -> Result<SqlType, SqlError> {
        let last = name.name.last().map_or("", String::as_str).to_lowercase();
        if let Some((_, _, base, _)) = self.database.types.get(&last) {
            return Ok(base.sql_type.clone());
        }
        let mut name = name.clone();
        // CAST without a length means 30.
        if name.arguments.is_empty()
            && matches!(last.as_str(), "varchar" | "nvarchar" | "char" | "nchar" | "varbinary" | "binary")
        {
            name.arguments.push("30".to_owned());
        }
        Ok(system_type(&name, &self.database.collation)?.sql_type)
    }

    fn cast(&self, expr: &Expr, to: &TypeName, style: Option<u16>) -> Binding {
        let expr = self.bind(expr)?;
        let mut kind = self.type_of(to)?;
        // Text keeps the collation of the text that it comes from.
        if let Some(from) = collation_of(&expr.kind) {
            kind = with_collation(kind, from);
        }
        Ok(Bound { nullable: expr.nullable, kind, node: Node::Cast { expr: Box::new(expr), style } })
    }

    fn collate(&self, expr: &Expr, name: &str) -> Binding {
        let inner = self.bind(expr)?;
        let collation = Collation(name.to_owned());
        let kind = with_collation(inner.kind.clone(), &collation);
        // Bytes that stand in a literal stay as they are: that is how a test stores undecodable ones.
        Ok(Bound { nullable: inner.nullable, kind, node: Node::Same(Box::new(inner)) })
    }

    fn case(&self, operand: Option<&Expr>, branches: &[(Expr, Expr)], otherwise: Option<&Expr>) -> Binding {
        let mut bound = Vec::new();
        for (when, then) in branches {
            let when = match operand {
                Some(operand) => self.binary(Operator::Equal, operand, when)?,
                None => self.bind(when)?,
            };
            bound.push((when, self.bind(then)?));
        }
        let otherwise = otherwise.map_or_else(|| self.bind(&Expr::Null), |expr| self.bind(expr))?;
        let kind = common_type(bound.iter().map(|(_, then)| then).chain([&otherwise]));
        let nullable = otherwise.nullable || bound.iter().any(|(_, then)| then.nullable);
        let bound = bound.into_iter().map(|(when, then)| (when, to_type(then, &kind))).collect();
        let otherwise = Box::new(to_type(otherwise, &kind));
        Ok(Bound { node: Node::Case { branches: bound, otherwise }, kind, nullable })
    }

    fn in_list(&self, expr: &Expr, list: &[Expr], negated: bool) -> Binding {
        let expr = self.bind(expr)?;
        let mut bound = Vec::new();
        for item in list {
            if let Expr::Scalar(query) = item {
                let (kind, rows) = (self.subquery)(query)?;
                bound.extend(rows.into_iter().map(|value| Bound::constant(value, kind.clone())));
            } else {
                bound.push(self.bind(item)?);
            }
        }
        let collation = collation_of(&expr.kind).cloned().unwrap_or_default();
        Ok(boolean(Node::In { expr: Box::new(expr), list: bound, negated, collation }))
    }

    fn call(&self, name: &str, arguments: &[Expr]) -> Binding {
        if matches!(name, "DATEPART" | "DATEADD" | "DATEDIFF" | "YEAR" | "MONTH" | "DAY") {
            return functions::date_call(self, name, arguments);
        }
        let bound: Vec<Bound> = arguments.iter().map(|argument| self.bind(argument)).collect::<Result<_, _>>()?;
        if matches!(name, "ISNULL" | "COALESCE") {
            let kind = if name == "ISNULL" { bound[0].kind.clone() } else { common_type(bound.iter()) };
            let nullable = bound.iter().all(|argument| argument.nullable);
            let bound = bound.into_iter().map(|argument| to_type(argument, &kind)).collect();
            return Ok(Bound { node: Node::Call(Function::Coalesce, bound), kind, nullable });
        }
        let constants: Option<Vec<Value<'static>>> = bound
            .iter()
            .map(|argument| match &argument.node {
                Node::Const(value) => Some(value.clone()),
                _ => None,
            })
            .collect();
        if let Some((kind, value)) = constants.and_then(|constants| self.session.function(name, &constants)) {
            return Ok(Bound { nullable: true, ..Bound::constant(value, kind) });
        }
        functions::call(name, bound)
    }

    fn method(&self, on: &Expr, name: &str) -> Binding {
        let on = self.bind(on)?;
        functions::method(name, on)
    }
}

fn boolean(node: Node) -> Bound {
    Bound { node, kind: SqlType::Bit, nullable: true }
}

pub fn is_text(kind: &SqlType) -> bool {
    collation_of(kind).is_some()
}

fn is_national(kind: &SqlType) -> bool {
    matches!(kind, SqlType::NChar { .. } | SqlType::NVarChar { .. } | SqlType::NText { .. })
}

fn with_collation(kind: SqlType, collation: &Collation) -> SqlType {
    let collation = collation.clone();
    match kind {
        SqlType::Char { len, .. } => SqlType::Char { len, collation },
        SqlType::VarChar { len, .. } => SqlType::VarChar { len, collation },
        SqlType::NChar { len, .. } => SqlType::NChar { len, collation },
        SqlType::NVarChar { len, .. } => SqlType::NVarChar { len, collation },
        other => other,
    }
}

fn text_length(kind: &SqlType) -> Len {
    match kind {
        SqlType::Char { len, .. } | SqlType::NChar { len, .. } => Len::N(*len),
        SqlType::VarChar { len, .. } | SqlType::NVarChar { len, .. } => *len,
        _ => Len::Max,
    }
}

fn concat_type(left: &SqlType, right: &SqlType) -> SqlType {
    let national = is_national(left) || is_national(right);
    let limit = if national { 4000 } else { 8000 };
    let len = match (text_length(left), text_length(right)) {
        (Len::N(a), Len::N(b)) => Len::N((a + b).min(limit)),
        _ => Len::Max,
    };
    let collation = collation_of(left).cloned().unwrap_or_default();
    if national { SqlType::NVarChar { len, collation } } else { SqlType::VarChar { len, collation } }
}

/// Converts text to the national or code-page family of `kind`.
fn to_family(bound: Bound, kind: &SqlType) -> Bound {
    if is_national(&bound.kind) == is_national(kind) { bound } else { to_type(bound, &with_len(kind, Len::Max)) }
}

fn with_len(kind: &SqlType, len: Len) -> SqlType {
    match kind {
        SqlType::VarChar { collation, .. } => SqlType::VarChar { len, collation: collation.clone() },
        SqlType::NVarChar { collation, .. } => SqlType::NVarChar { len, collation: collation.clone() },
        other => other.clone(),
    }
}

/// Wraps in a conversion where the type differs.
pub fn to_type(bound: Bound, kind: &SqlType) -> Bound {
    if bound.kind == *kind {
        return bound;
    }
    Bound { nullable: bound.nullable, kind: kind.clone(), node: Node::Cast { expr: Box::new(bound), style: None } }
}

/// Text compared with something else becomes the other's type (data type precedence).
fn align(left: Bound, right: Bound) -> (Bound, Bound) {
    let plain = |kind: &SqlType| is_text(kind);
    match (plain(&left.kind), plain(&right.kind)) {
        (true, false) if !matches!(right.node, Node::Const(Value::Null)) => {
            let kind = right.kind.clone();
            (to_type(left, &kind), right)
        }
        (false, true) if !matches!(left.node, Node::Const(Value::Null)) => {
            let kind = left.kind.clone();
            let right = to_type(right, &kind);
            (left, right)
        }
        _ => (left, right),
    }
}

fn rank(kind: &SqlType) -> u8 {
    match kind {
        SqlType::Bit => 1,
        SqlType::TinyInt => 2,
        SqlType::SmallInt => 3,
        SqlType::Int => 4,
        SqlType::BigInt => 5,
        SqlType::SmallMoney | SqlType::Money => 6,
        SqlType::Decimal { .. } | SqlType::Numeric { .. } => 7,
        SqlType::Real => 8,
        SqlType::Float => 9,
        _ => 0,
    }
}

fn common_type<'a>(bounds: impl Iterator<Item = &'a Bound>) -> SqlType {
    let mut kind: Option<SqlType> = None;
    for bound in bounds {
        if matches!(bound.node, Node::Const(Value::Null)) {
            continue;
        }
        kind = Some(match kind {
            None => bound.kind.clone(),
            Some(kind) if is_text(&kind) && is_text(&bound.kind) => {
                let wider = |a: Len, b: Len| match (a, b) {
                    (Len::N(a), Len::N(b)) => Len::N(a.max(b)),
                    _ => Len::Max,
                };
                with_len(&concat_type(&kind, &bound.kind), wider(text_length(&kind), text_length(&bound.kind)))
            }
            Some(kind) if rank(&bound.kind) > rank(&kind) => bound.kind.clone(),
            Some(kind) => kind,
        });
    }
    kind.unwrap_or(SqlType::Int)
}

/// "Precision, scale, and length" in the T-SQL reference.
fn arithmetic_type(operator: Operator, left: &SqlType, right: &SqlType) -> Result<SqlType, SqlError> {
    let wider = if rank(left) >= rank(right) { left } else { right };
    if rank(left) == 0 || rank(right) == 0 {
        if matches!(left, SqlType::DateTime | SqlType::SmallDateTime) {
            return Ok(left.clone());
        }
        return Err(SqlError::unsupported(format!("arithmetic of {left:?} and {right:?} is not supported")));
    }
    if !matches!(wider, SqlType::Decimal { .. } | SqlType::Numeric { .. }) {
        return Ok(wider.clone());
    }
    let facts = |kind: &SqlType| match kind {
        SqlType::Decimal { precision, scale } | SqlType::Numeric { precision, scale } => (*precision, *scale),
        SqlType::BigInt => (19, 0),
        SqlType::Money | SqlType::SmallMoney => (19, 4),
        SqlType::Int => (10, 0),
        _ => (5, 0),
    };
    let ((p1, s1), (p2, s2)) = (facts(left), facts(right));
    let (precision, scale) = match operator {
        Operator::Multiply => (p1 + p2 + 1, s1 + s2),
        Operator::Divide => (p1 - s1 + s2 + 6.max(s1 + p2 + 1), 6.max(s1 + p2 + 1)),
        _ => ((p1 - s1).max(p2 - s2) + s1.max(s2) + 1, s1.max(s2)),
    };
    let (precision, scale) = if precision > 38 {
        // Too wide: the fraction gives way, but keeps six digits.
        (38, scale.saturating_sub(precision - 38).max(scale.min(6)))
    } else {
        (precision, scale)
    };
    Ok(SqlType::Decimal { precision, scale })
}
