//! The rules, as the tables in ARCHITECTURE.md have them.

use anyhow::{Result, ensure};
use std::collections::{BTreeMap, BTreeSet};

const MODULES: &str = "| module | its one job | may use | never knows |";
const WORDS: &str = "| word | only in |";

/// What may use what, and who knows what. Places are paths such as `targets/postgres`.
#[derive(Debug, Default)]
pub struct Rules {
    /// By top-level module, the others that it may use.
    pub uses: BTreeMap<String, BTreeSet<String>>,
    /// By place, words and modules that it never knows. A word may end in `*`.
    pub never: Vec<(String, Vec<String>)>,
    /// Words, each with the places that may know it.
    pub only: Vec<(String, Vec<String>)>,
}

impl Rules {
    /// Only what stands in backticks counts; the rest of a cell is for people.
    pub fn parse(document: &str) -> Result<Self> {
        let mut rules = Self::default();
        for cells in table(document, MODULES)? {
            for place in code(cells[0]) {
                // Those of a module below the top are its parent's.
                if !place.contains('/') {
                    rules.uses.insert(place.clone(), code(cells[2]).into_iter().collect());
                }
                rules.never.push((place, code(cells[3])));
            }
        }
        for cells in table(document, WORDS)? {
            rules.only.extend(code(cells[0]).into_iter().map(|word| (word, code(cells[1]))));
        }
        Ok(rules)
    }
}

/// Whether a word of the code is the rule's, which may be a beginning: `aws_*`.
pub fn matches(rule: &str, word: &str) -> bool {
    rule.strip_suffix('*').map_or(rule == word, |beginning| word.starts_with(beginning))
}

/// The rows of the table with this head, in cells.
fn table<'a>(document: &'a str, head: &str) -> Result<Vec<Vec<&'a str>>> {
    let after = document.lines().skip_while(|line| *line != head);
    let rows: Vec<Vec<&str>> = after.skip(2).take_while(|line| line.starts_with('|')).map(cells).collect();
    ensure!(!rows.is_empty(), "ARCHITECTURE.md has no table {head}");
    let width = head.matches('|').count() - 1;
    for row in &rows {
        ensure!(row.len() == width, "ARCHITECTURE.md: a row of the table {head} has {} cells: {row:?}", row.len());
    }
    Ok(rows)
}

fn cells(line: &str) -> Vec<&str> {
    line.trim().trim_matches('|').split('|').map(str::trim).collect()
}

/// What stands in backticks.
fn code(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
