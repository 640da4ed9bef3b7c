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

    /// Every column of every row.
    fn is_whole(&self) -> bool {
        self.state == WitnessState::Agrees
            && self.summary.as_ref().is_some_and(|summary| summary.ranges.is_none() && summary.unwitnessed.is_empty())
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

/// A line for each table of which not everything was witnessed, and one for all others.
pub fn lines(tables: &[TableReport]) -> Vec<String> {
    let told = || tables.iter().filter_map(|table| Some((&table.target, table.witness.as_ref()?)));
    let whole = told().filter(|(_, witness)| witness.is_whole()).count();
    let plural = if whole == 1 { "table" } else { "tables" };
    let of_all = (whole > 0).then(|| format!("{whole} {plural} witnessed: every column, every row"));
    let others = told().filter(|(_, witness)| !witness.is_whole());
    of_all.into_iter().chain(others.map(|(name, witness)| format!("{name}: {}", witness.line()))).collect()
}
