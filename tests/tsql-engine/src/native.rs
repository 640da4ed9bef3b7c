//! Bound expressions that run without SQLite, for rows that no table holds: a tree beside the SQL that the same translation wrote.

use std::cmp::Ordering;
use std::rc::Rc;

use rusqlite::types::Value as Stored;

use crate::bind::Bound;
use crate::call::{Call, Folded};
use crate::codec::store;
use crate::types::{collation_of, is_wide};
use crate::value::{SqlError, SqlType, Value};

/// An expression.
#[derive(Debug, Clone)]
pub enum Node {
    /// A column of the one table, by its place.
    Column(usize),
    Constant(Value<'static>),
    Call(Rc<Call>, Vec<Node>),
    /// Results, each with its condition; then ELSE.
    Case(Vec<(Test, Node)>, Box<Node>),
    /// The first that is not NULL.
    Coalesce(Vec<Node>),
    Aggregate(Rc<Aggregate>),
    /// What an aggregate came to, by its place in the list that [`Node::split`] made.
    Result(usize),
}

/// An aggregate and what it goes over.
#[derive(Debug, Clone)]
pub enum Aggregate {
    /// COUNT of rows, or of values that are not NULL.
    Count(Option<Node>),
    /// Any other, as the engine's own aggregate in SQLite does it.
    Fold(Rc<Call>, Node),
    /// MIN or MAX in SQLite's own order.
    Extreme { greatest: bool, sql_type: SqlType, of: Node },
}

/// A condition; `None` is unknown.
#[derive(Debug, Clone)]
pub enum Test {
    And(Box<Test>, Box<Test>),
    Or(Box<Test>, Box<Test>),
    Not(Box<Test>),
    IsNull(Node),
    /// Both sides are of the type.
    Compare(&'static str, SqlType, Node, Node),
    /// A call that yields a bit.
    Holds(Node),
}

/// Where the values of a row's columns are.
pub trait Row {
    fn column(&self, at: usize) -> Value<'_>;
}

/// A row without columns, for what is left when all aggregates are known.
pub struct NoRow<'a>(pub &'a [Value<'static>]);

impl Row for NoRow<'_> {
    fn column(&self, at: usize) -> Value<'_> {
        self.0.get(at).cloned().unwrap_or(Value::Null)
    }
}

impl Node {
    /// The expressions of bound ones; `None` where one has none.
    pub fn of_all(bounds: &[Bound]) -> Option<Vec<Node>> {
        bounds.iter().map(|bound| bound.node.clone()).collect()
    }

    /// The value for a row.
    pub fn value<'r>(&'r self, row: &'r dyn Row) -> Result<Value<'r>, SqlError> {
        match self {
            Node::Column(at) | Node::Result(at) => Ok(row.column(*at)),
            Node::Constant(value) => Ok(value.clone()),
            Node::Call(call, arguments) => {
                let values: Result<Vec<Value<'_>>, SqlError> =
                    arguments.iter().map(|argument| argument.value(row)).collect();
                call.run(values?)
            }
            Node::Case(cases, otherwise) => {
                for (test, result) in cases {
                    if test.holds(row)? == Some(true) {
                        return result.value(row);
                    }
                }
                otherwise.value(row)
            }
            Node::Coalesce(choices) => {
                for choice in choices {
                    let value = choice.value(row)?;
                    if !value.is_null() {
                        return Ok(value);
                    }
                }
                Ok(Value::Null)
            }
            // Split off before any row is read.
            Node::Aggregate(_) => Err(crate::error::unsupported("an aggregate within an aggregate")),
        }
    }

    /// The expression over the aggregates' results, which are collected; `None` where a column stands outside of all of them.
    pub fn split(&self, aggregates: &mut Vec<Rc<Aggregate>>) -> Option<Node> {
        let mut all = |nodes: &[Node]| nodes.iter().map(|node| node.split(aggregates)).collect::<Option<Vec<Node>>>();
        Some(match self {
            Node::Aggregate(aggregate) => {
                aggregates.push(Rc::clone(aggregate));
                Node::Result(aggregates.len() - 1)
            }
            Node::Constant(_) => self.clone(),
            Node::Call(call, arguments) => Node::Call(Rc::clone(call), all(arguments)?),
            Node::Coalesce(choices) => Node::Coalesce(all(choices)?),
            Node::Column(_) | Node::Case(..) | Node::Result(_) => return None,
        })
    }
}

impl Test {
    /// Whether it holds for a row.
    pub fn holds(&self, row: &dyn Row) -> Result<Option<bool>, SqlError> {
        Ok(match self {
            Test::And(left, right) => match (left.holds(row)?, right.holds(row)?) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Test::Or(left, right) => match (left.holds(row)?, right.holds(row)?) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Test::Not(inner) => inner.holds(row)?.map(|holds| !holds),
            Test::IsNull(node) => Some(node.value(row)?.is_null()),
            Test::Holds(node) => match node.value(row)? {
                Value::Bit(holds) => Some(holds),
                _ => None,
            },
            Test::Compare(operator, sql_type, left, right) => {
                let (left, right) = (left.value(row)?, right.value(row)?);
                if left.is_null() || right.is_null() {
                    return Ok(None);
                }
                let order = compare(&left, &right, sql_type)?;
                Some(match *operator {
                    "=" => order.is_eq(),
                    "<>" => order.is_ne(),
                    "<" => order.is_lt(),
                    "<=" => order.is_le(),
                    ">" => order.is_gt(),
                    _ => order.is_ge(),
                })
            }
        })
    }
}

/// The order of two values of a type, as SQLite has it of what they are stored as.
fn compare(left: &Value<'_>, right: &Value<'_>, sql_type: &SqlType) -> Result<Ordering, SqlError> {
    if let (Value::VarChar(a) | Value::NVarChar(a), Value::VarChar(b) | Value::NVarChar(b)) = (left, right) {
        let (wide, name) = (is_wide(sql_type), collation_of(sql_type).unwrap_or(""));
        let key = |bytes: &[u8]| crate::collation::sort_key(bytes, wide, name);
        return Ok(key(a)?.cmp(&key(b)?));
    }
    let instant = |stored: Stored| match (stored, sql_type) {
        // The offset says nothing of the order.
        (Stored::Blob(bytes), SqlType::DateTimeOffset { .. }) => Stored::Blob(bytes.into_iter().take(8).collect()),
        (stored, _) => stored,
    };
    Ok(match (instant(store(left, sql_type)), instant(store(right, sql_type))) {
        (Stored::Integer(a), Stored::Integer(b)) => a.cmp(&b),
        (Stored::Real(a), Stored::Real(b)) => a.total_cmp(&b),
        (Stored::Blob(a), Stored::Blob(b)) => a.cmp(&b),
        _ => Ordering::Equal,
    })
}

/// What an aggregate has seen so far.
pub enum Accumulator {
    Count(i64),
    Fold(Folded),
    Extreme(Option<Value<'static>>),
}

impl Accumulator {
    pub fn of(aggregate: &Aggregate) -> Self {
        match aggregate {
            Aggregate::Count(_) => Accumulator::Count(0),
            Aggregate::Fold(..) => Accumulator::Fold(Folded::default()),
            Aggregate::Extreme { .. } => Accumulator::Extreme(None),
        }
    }

    /// Takes a row.
    pub fn take(&mut self, aggregate: &Aggregate, row: &dyn Row) -> Result<(), SqlError> {
        match (self, aggregate) {
            (Accumulator::Count(count), Aggregate::Count(None)) => *count += 1,
            (Accumulator::Count(count), Aggregate::Count(Some(of))) => *count += i64::from(!of.value(row)?.is_null()),
            (Accumulator::Fold(folded), Aggregate::Fold(call, of)) => folded.take(call, of.value(row)?)?,
            (Accumulator::Extreme(best), Aggregate::Extreme { greatest, sql_type, of }) => {
                let value = of.value(row)?;
                let better = match best {
                    _ if value.is_null() => false,
                    None => true,
                    Some(best) => {
                        compare(&value, best, sql_type)? == if *greatest { Ordering::Greater } else { Ordering::Less }
                    }
                };
                if better {
                    *best = Some(value.into_static());
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The aggregate's value, of the type that its expression has.
    pub fn value(self, aggregate: &Aggregate) -> Result<Value<'static>, SqlError> {
        match (self, aggregate) {
            (Accumulator::Count(count), _) => Ok(Value::BigInt(count)),
            (Accumulator::Fold(folded), Aggregate::Fold(call, _)) => folded.value(call),
            (Accumulator::Extreme(best), _) => Ok(best.unwrap_or(Value::Null)),
            _ => Ok(Value::Null),
        }
    }
}
