//! What was witnessed, for people and programs.

use serde::Serialize;

use super::TableReport;
use crate::proof::witness::{Outcome, Summary};

/// How the source's witness of a table ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WitnessState {
    Agrees,
    /// The table changed while it was read.
    Moved,
    Differs,
    NotWitnessed,
}

/// The witness of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WitnessReport {
    pub state: WitnessState,
    #[serde(flatten)]
    pub summary: Option<Summary>,
    /// The difference, or why there is no witness.
    pub why: Option<String>,
}

impl WitnessReport {
    pub fn of(outcome: &Outcome) -> Self {
        let (state, summary, why) = match outcome {
            Outcome::Agrees(summary) => (WitnessState::Agrees, Some(summary.clone()), None),
            Outcome::Moved(summary) => (WitnessState::Moved, Some(summary.clone()), None),
            Outcome::Differs(difference) => (WitnessState::Differs, None, Some(difference.message().to_string())),
            Outcome::Silent(silence) => (WitnessState::NotWitnessed, None, Some(silence.to_string())),
        };
        Self { state, summary, why }
    }

    /// Every column agrees.
    fn agrees_wholly(&self) -> Option<&Summary> {
        self.summary.as_ref().filter(|summary| self.state == WitnessState::Agrees && summary.unwitnessed.is_empty())
    }

    fn line(&self) -> String {
        let summary = self.summary.as_ref();
        let mut line = match (self.state, summary) {
            (WitnessState::Agrees, Some(summary)) => format!("witnessed: {}", summary.describe()),
            (WitnessState::Moved, Some(summary)) => {
                format!(
                    "moved, not witnessed: rows changed at the source meanwhile; {} agree all the same",
                    summary.describe()
                )
            }
            _ => self.why.clone().unwrap_or_default(),
        };
        let columns = summary.map(|summary| summary.unwitnessed.as_slice()).unwrap_or_default();
        for unwitnessed in columns {
            line.push_str(&format!("; {}: {}", unwitnessed.column, unwitnessed.why));
        }
        line
    }
}

/// Of more tables than this with the same to say, their number is said.
const MOST_NAMED: usize = 3;

/// One line for all tables that were witnessed whole, one for each of the others; where many others have the same to say, one for them.
pub fn lines(tables: &[TableReport]) -> Vec<String> {
    lines_of(tables.iter().filter_map(|table| Some((table.target.as_str(), table.witness.as_ref()?))))
}

fn lines_of<'a>(tables: impl Iterator<Item = (&'a str, &'a WitnessReport)>) -> Vec<String> {
    let mut whole = 0;
    let mut groups: Vec<(String, Vec<(&str, &WitnessReport)>)> = Vec::new();
    for (name, witness) in tables {
        let said = match witness.agrees_wholly().map(|summary| summary.ranges) {
            Some(None) => {
                whole += 1;
                continue;
            }
            Some(Some((ranges, of))) => {
                format!("witnessed: every column, the rows in {ranges} of {of} ranges of its key")
            }
            None => witness.line(),
        };
        match groups.iter_mut().find(|(other, _)| *other == said) {
            Some((_, tables)) => tables.push((name, witness)),
            None => groups.push((said, vec![(name, witness)])),
        }
    }
    let plural = if whole == 1 { "table" } else { "tables" };
    let of_all = (whole > 0).then(|| format!("{whole} {plural} witnessed: every column, every row"));
    let others = groups.into_iter().flat_map(|(said, tables)| match tables.len() {
        0..=MOST_NAMED => tables.iter().map(|(name, witness)| format!("{name}: {}", witness.line())).collect(),
        many => vec![format!("{many} tables, each {said}")],
    });
    of_all.into_iter().chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agrees(rows: u64, ranges: Option<(usize, usize)>) -> WitnessReport {
        let summary = Summary { columns: 2, of_columns: 2, rows, ranges, unwitnessed: Vec::new() };
        WitnessReport { state: WitnessState::Agrees, summary: Some(summary), why: None }
    }

    #[test]
    fn many_tables_with_the_same_to_say_are_counted() {
        let silent = WitnessReport {
            state: WitnessState::NotWitnessed,
            summary: None,
            why: Some("not witnessed: why".to_owned()),
        };
        let sampled = agrees(9, Some((2, 62)));
        let mut tables = vec![("a", &sampled), ("b", &sampled), ("c", &sampled), ("d", &silent)];
        let whole = agrees(5, None);
        tables.push(("e", &whole));
        let few = lines_of(tables.iter().copied());
        assert_eq!(few[0], "1 table witnessed: every column, every row");
        assert_eq!(few[1], "a: witnessed: 2 of 2 columns, 9 rows in 2 of 62 ranges");
        assert_eq!(few.len(), 5, "{few:?}");
        tables.push(("f", &sampled));
        let many = lines_of(tables.iter().copied());
        assert_eq!(many[1], "4 tables, each witnessed: every column, the rows in 2 of 62 ranges of its key");
        assert_eq!(many[2..], ["d: not witnessed: why"]);
    }
}
