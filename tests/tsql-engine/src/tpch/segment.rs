//! A condition on the primary key, turned into ranges of the leading key before any row is made.

use std::rc::Rc;

use super::keys::Key;

/// A comparison's operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

/// A condition on the primary key's columns.
#[derive(Debug)]
pub(super) enum Condition {
    /// `column` counts within the key.
    Compare {
        column: usize,
        operator: Operator,
        literal: i64,
    },
    /// `IS NULL`: no column of these tables is.
    Never,
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
}

impl Condition {
    /// Whether it holds for a leading key and, if given, the second; `None` where only the second decides.
    fn decide(&self, leading: i64, second: Option<i64>) -> Option<bool> {
        match self {
            Condition::Compare { column, operator, literal } => {
                let value = if *column == 0 { leading } else { second? };
                Some(match operator {
                    Operator::Less => value < *literal,
                    Operator::LessOrEqual => value <= *literal,
                    Operator::Equal => value == *literal,
                    Operator::GreaterOrEqual => value >= *literal,
                    Operator::Greater => value > *literal,
                })
            }
            Condition::Never => Some(false),
            Condition::And(left, right) => match (left.decide(leading, second), right.decide(leading, second)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Condition::Or(left, right) => match (left.decide(leading, second), right.decide(leading, second)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
        }
    }

    fn literals(&self, into: &mut Vec<i64>) {
        match self {
            Condition::Compare { column: 0, literal, .. } => into.push(*literal),
            Condition::Compare { .. } | Condition::Never => {}
            Condition::And(left, right) | Condition::Or(left, right) => {
                left.literals(into);
                right.literals(into);
            }
        }
    }
}

/// Leading keys `low..=high`, all of whose rows are wanted unless `check` has something to say on the second column.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub low: i64,
    pub high: i64,
    pub check: Option<Rc<Condition>>,
}

impl Segment {
    /// Whether a row is wanted whose leading key lies in the segment.
    pub fn admits(&self, key: Key) -> bool {
        self.check.as_ref().is_none_or(|condition| condition.decide(key[0], Some(key[1])) == Some(true))
    }
}

/// The segments that a condition admits, ascending and disjoint.
///
/// Between two literals that the leading key is compared with, every leading key fares alike; so each such gap and each
/// literal itself is decided once.
pub(super) fn segments(condition: Option<Condition>) -> Vec<Segment> {
    let Some(condition) = condition else {
        return vec![Segment { low: i64::MIN, high: i64::MAX, check: None }];
    };
    let condition = Rc::new(condition);
    let mut literals = Vec::new();
    condition.literals(&mut literals);
    literals.sort_unstable();
    literals.dedup();

    let mut pieces = Vec::with_capacity(2 * literals.len() + 1);
    let mut next = Some(i64::MIN);
    for literal in literals {
        if let (Some(low), Some(high)) = (next, literal.checked_sub(1))
            && low <= high
        {
            pieces.push((low, high));
        }
        pieces.push((literal, literal));
        next = literal.checked_add(1);
    }
    pieces.extend(next.map(|low| (low, i64::MAX)));

    let mut segments: Vec<Segment> = Vec::new();
    for (low, high) in pieces {
        let verdict = condition.decide(low, None);
        if verdict == Some(false) {
            continue;
        }
        let check = verdict.is_none().then(|| Rc::clone(&condition));
        match segments.last_mut() {
            Some(last) if last.high.checked_add(1) == Some(low) && last.check.is_none() == check.is_none() => {
                last.high = high;
            }
            _ => segments.push(Segment { low, high, check }),
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(column: usize, operator: Operator, literal: i64) -> Condition {
        Condition::Compare { column, operator, literal }
    }

    fn and(left: Condition, right: Condition) -> Condition {
        Condition::And(Box::new(left), Box::new(right))
    }

    fn shape(condition: Condition) -> Vec<(i64, i64, bool)> {
        segments(Some(condition)).iter().map(|segment| (segment.low, segment.high, segment.check.is_some())).collect()
    }

    #[test]
    fn a_range_of_a_single_key_needs_no_check() {
        let range = and(compare(0, Operator::GreaterOrEqual, 5), compare(0, Operator::Less, 9));
        assert_eq!(shape(range), [(5, 8, false)]);
    }

    #[test]
    fn a_compound_bound_is_checked_only_where_the_leading_key_equals_it() {
        // k0 > 5 OR (k0 = 5 AND k1 >= 2)
        let equal = and(compare(0, Operator::Equal, 5), compare(1, Operator::GreaterOrEqual, 2));
        let bound = Condition::Or(Box::new(compare(0, Operator::Greater, 5)), Box::new(equal));
        assert_eq!(shape(bound), [(5, 5, true), (6, i64::MAX, false)]);
    }

    #[test]
    fn the_ends_of_the_integers_do_not_overflow() {
        assert_eq!(shape(compare(0, Operator::LessOrEqual, i64::MAX)), [(i64::MIN, i64::MAX, false)]);
        assert_eq!(shape(compare(0, Operator::Equal, i64::MIN)), [(i64::MIN, i64::MIN, false)]);
        assert!(shape(compare(0, Operator::Greater, i64::MAX)).is_empty());
        assert!(shape(Condition::Never).is_empty());
    }
}
