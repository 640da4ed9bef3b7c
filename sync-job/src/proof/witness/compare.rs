//! What the answers of both sides mean.

use super::Answer;
use super::plan::{Aggregate, Plan, Question, Subject};
use super::sample::Scope;
use crate::model::human::count;
use crate::plan::TablePlan;
use crate::rows::encode::{Loss, LossCounts};
use crate::rows::message::Message;

/// What the source said.
#[derive(Debug, Clone, PartialEq)]
pub struct Testimony {
    pub scope: Scope,
    /// Before the load, where the rows were not read in one state of the table.
    pub before: Option<Vec<Answer>>,
    pub after: Vec<Answer>,
}

/// Why the source said nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Silence {
    /// The job file says so.
    Off,
    /// A large table without a key for ranges, which is witnessed in another of the turns.
    NotItsTurn,
    /// A large table of whose key values none lie in this turn's ranges.
    EmptyRanges,
    /// One of the servers cannot compute it, in its words.
    Unanswered(String),
}

impl std::fmt::Display for Silence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Off => f.write_str("not witnessed: witness = \"off\""),
            Self::NotItsTurn => write!(
                f,
                "not witnessed in this run: the table is large and has no key for ranges, so that it is witnessed whole in one of {} runs",
                super::sample::TURNS
            ),
            Self::EmptyRanges => {
                f.write_str("not witnessed in this run: no row has a key in the ranges whose turn it is")
            }
            Self::Unanswered(why) => write!(f, "not witnessed: {why}"),
        }
    }
}

/// Two answers that should be equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The source's column; nothing where the number of rows differs.
    pub column: Option<String>,
    pub aggregate: Aggregate,
    pub source: Answer,
    pub target: Answer,
}

impl Difference {
    /// A sum may be that of a single value, and an extreme is one: only counts are words.
    pub fn message(&self) -> Message {
        let column = self.column.as_ref().map(|column| format!("column {column}: ")).unwrap_or_default();
        let start = Message::default().words(column).words(format!("the source's {} is ", self.aggregate.describe()));
        let and = ", the target's is ";
        let text = |answer: &Answer| answer.clone().unwrap_or_else(|| "NULL".to_owned());
        match self.aggregate {
            Aggregate::Rows | Aggregate::NotNull => {
                start.words(text(&self.source)).words(and).words(text(&self.target))
            }
            _ => start.value(text(&self.source)).words(and).value(text(&self.target)),
        }
    }
}

/// What was witnessed of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Summary {
    /// Columns whose values agree.
    pub columns: usize,
    pub of_columns: usize,
    /// How many rows were added up.
    pub rows: u64,
    /// Ranges that were asked about, and how many there are; nothing where it was the whole table.
    pub ranges: Option<(usize, usize)>,
    /// The other columns, each with why.
    pub unwitnessed: Vec<Unwitnessed>,
}

/// A column that was not witnessed beyond the count of its values.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Unwitnessed {
    pub column: String,
    pub why: String,
}

/// What the witness says of a table; [`compare`] makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Agrees(Summary),
    /// The table changed while it was read; columns of the summary agree with it as it was before or after.
    Moved(Summary),
    Differs(Difference),
    Silent(Silence),
}

/// Compares the answers of the source with those of the target to the same questions about the same rows.
///
/// A difference counts only if the source said the same before and after the load to every question. Of a table that moved, columns whose
/// numbers are the target's at either time are counted as agreeing.
pub fn compare(table: &TablePlan, plan: &Plan, testimony: &Testimony, held: &[Answer], losses: &LossCounts) -> Outcome {
    let before = testimony.before.as_ref().unwrap_or(&testimony.after);
    let moved = *before != testimony.after;
    let mut columns: Vec<Option<String>> = table
        .columns
        .iter()
        .zip(&plan.subjects)
        .map(|(_, subject)| match subject {
            Subject::Counted { why } | Subject::Skipped { why } => Some((*why).to_owned()),
            _ => None,
        })
        .collect();
    for (index, question) in plan.questions.iter().enumerate() {
        let answers = (before.get(index), testimony.after.get(index), held.get(index));
        let (Some(before), Some(after), Some(held)) = answers else { continue };
        if let Some(why) = changed(question, plan, losses) {
            mark(&mut columns, question, why);
        } else if held != after && held != before {
            if !moved {
                return Outcome::Differs(difference(table, question, after, held));
            }
            mark(&mut columns, question, "it changed at the source while it was read".to_owned());
        }
    }
    let unwitnessed: Vec<Unwitnessed> = table
        .columns
        .iter()
        .zip(columns)
        .filter_map(|(column, why)| Some(Unwitnessed { column: column.target.clone(), why: why? }))
        .collect();
    let summary = Summary {
        columns: table.columns.len() - unwitnessed.len(),
        of_columns: table.columns.len(),
        rows: rows(&testimony.after),
        ranges: match &testimony.scope {
            Scope::Whole => None,
            Scope::Ranges { ranges, of } => Some((ranges.len(), *of)),
        },
        unwitnessed,
    };
    match moved {
        true => Outcome::Moved(summary),
        false if summary.ranges.is_some() && summary.rows == 0 => Outcome::Silent(Silence::EmptyRanges),
        false => Outcome::Agrees(summary),
    }
}

/// The number of rows is the first question of each plan.
fn rows(answers: &[Answer]) -> u64 {
    answers.first().and_then(|rows| rows.as_ref()?.parse().ok()).unwrap_or_default()
}

fn mark(columns: &mut [Option<String>], question: &Question, why: String) {
    if let Some(column) = question.column.and_then(|column| columns.get_mut(column)) {
        column.get_or_insert(why);
    }
}

/// Why a number cannot be compared: values of the column were changed on the way, as planned. Counts stay, digits of moments that are
/// cut are cut by both sides, and an offset that is dropped leaves the moment.
fn changed(question: &Question, plan: &Plan, losses: &LossCounts) -> Option<String> {
    let column = question.column?;
    if question.aggregate == Aggregate::NotNull || !matches!(plan.subjects.get(column), Some(Subject::Text { .. })) {
        return None;
    }
    let of = |loss: Loss| Some((losses.get(column, loss), loss)).filter(|(rows, _)| *rows > 0);
    let (rows, loss) = of(Loss::Undecodable).or_else(|| of(Loss::NulStripped))?;
    let values = if rows == 1 { "value was" } else { "values were" };
    Some(format!("{} {values} changed as planned: {}", count(rows), loss.describe()))
}

fn difference(table: &TablePlan, question: &Question, source: &Answer, target: &Answer) -> Difference {
    Difference {
        column: question.column.and_then(|column| table.columns.get(column)).map(|column| column.source.clone()),
        aggregate: question.aggregate,
        source: source.clone(),
        target: target.clone(),
    }
}

impl Summary {
    /// `14 of 16 columns, 96,774 rows in 2 of 62 ranges`.
    pub fn describe(&self) -> String {
        let rows = match self.ranges {
            Some((ranges, of)) => format!("{} rows in {ranges} of {of} ranges", count(self.rows)),
            None => "every row".to_owned(),
        };
        format!("{} of {} columns, {rows}", self.columns, self.of_columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Engine;
    use crate::model::facts::Abilities;
    use crate::model::schema::{Length, SourceType};
    use crate::plan::type_map::map;
    use crate::proof::witness::Scope;
    use crate::proof::witness::fixture::{column, table};

    fn orders() -> (TablePlan, Plan) {
        let of = |name: &str, source_type: SourceType| {
            let mapping = map(&source_type, Engine::Postgres).unwrap();
            column(name, source_type, mapping)
        };
        let table = table(vec![
            of("Amount", SourceType::Money),
            of("Note", SourceType::NVarChar { units: Length::Max }),
            of("Shape", SourceType::Vector { dimensions: None }),
        ]);
        let plan = Plan::of(&table, Abilities { utf8: true, long_hash: true });
        (table, plan)
    }

    /// An answer to each question: rows and counts first, then whatever.
    fn answers(plan: &Plan, values: u64) -> Vec<Answer> {
        let counts = |aggregate| matches!(aggregate, Aggregate::Rows | Aggregate::NotNull);
        let answer = |question: &Question| if counts(question.aggregate) { values } else { 700 };
        plan.questions.iter().map(|question| Some(answer(question).to_string())).collect()
    }

    fn with(answers: &[Answer], plan: &Plan, column: usize, aggregate: Aggregate, value: &str) -> Vec<Answer> {
        let question = Question { column: Some(column), aggregate };
        let at = plan.questions.iter().position(|other| *other == question).unwrap();
        let mut changed = answers.to_vec();
        changed[at] = Some(value.to_owned());
        changed
    }

    fn steady(answers: &[Answer]) -> Testimony {
        Testimony { scope: Scope::Whole, before: None, after: answers.to_vec() }
    }

    #[test]
    fn equal_sums_agree_and_say_what_was_only_counted() {
        let (table, plan) = orders();
        let all = answers(&plan, 12);
        let Outcome::Agrees(summary) = compare(&table, &plan, &steady(&all), &all, &LossCounts::new(3)) else {
            panic!("equal answers differ")
        };
        assert_eq!(summary.describe(), "2 of 3 columns, every row");
        assert_eq!(summary.unwitnessed.len(), 1);
        assert_eq!(summary.unwitnessed[0].column, "shape");
    }

    #[test]
    fn a_difference_names_column_and_aggregate() {
        let (table, plan) = orders();
        let all = answers(&plan, 12);
        let held = with(&all, &plan, 0, Aggregate::Sum, "701.5");
        let outcome = compare(&table, &plan, &steady(&all), &held, &LossCounts::new(3));
        let Outcome::Differs(difference) = outcome else { panic!("{outcome:?}") };
        let text = difference.message().with_values();
        assert_eq!(text, "column Amount: the source's sum is 700, the target's is 701.5");
    }

    #[test]
    fn no_message_shows_a_row_s_value() {
        let (table, plan) = orders();
        for aggregate in [Aggregate::Min, Aggregate::Max, Aggregate::Sum] {
            let all = answers(&plan, 12);
            let held = with(&all, &plan, 0, aggregate, "4711");
            let outcome = compare(&table, &plan, &steady(&all), &held, &LossCounts::new(3));
            let Outcome::Differs(difference) = outcome else { panic!("{outcome:?}") };
            let message = difference.message();
            assert!(!message.to_string().contains("4711") && message.with_values().contains("4711"), "{message}");
        }
    }

    #[test]
    fn what_was_changed_as_planned_is_no_difference() {
        let (table, plan) = orders();
        let all = answers(&plan, 12);
        let held = with(&all, &plan, 1, Aggregate::Content, "1");
        let mut losses = LossCounts::new(3);
        losses.count(1, Loss::Undecodable, 1_200);
        let Outcome::Agrees(summary) = compare(&table, &plan, &steady(&all), &held, &losses) else {
            panic!("a planned loss differs")
        };
        assert_eq!(summary.columns, 1);
        assert!(summary.unwitnessed[0].why.starts_with("1,200 values were changed as planned"), "{summary:?}");
        // A value that is gone is one all the same.
        let gone = with(&all, &plan, 1, Aggregate::NotNull, "11");
        assert!(matches!(compare(&table, &plan, &steady(&all), &gone, &losses), Outcome::Differs(_)));
    }

    #[test]
    fn a_table_that_moved_is_not_accused() {
        let (table, plan) = orders();
        let before = answers(&plan, 12);
        let after = with(&before, &plan, 0, Aggregate::Sum, "800");
        let moved = Testimony { scope: Scope::Whole, before: Some(before.clone()), after: after.clone() };
        let losses = LossCounts::new(3);
        for held in [&before, &after] {
            let Outcome::Moved(summary) = compare(&table, &plan, &moved, held, &losses) else { panic!("{held:?}") };
            assert_eq!(summary.columns, 2, "it is what the source had at one of the times");
        }
        let held = with(&before, &plan, 0, Aggregate::Sum, "750");
        let Outcome::Moved(summary) = compare(&table, &plan, &moved, &held, &losses) else { panic!("it moved") };
        assert_eq!((summary.columns, summary.unwitnessed[0].column.as_str()), (1, "amount"));
        // It stood still: the same number is a difference.
        let stood = Testimony { before: Some(after.clone()), ..moved };
        assert!(matches!(compare(&table, &plan, &stood, &held, &losses), Outcome::Differs(_)));
    }
}
