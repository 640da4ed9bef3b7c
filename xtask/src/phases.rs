//! The phases of a long command: which one is at work, and how long each one took.

use crate::workspace::seconds;
use anyhow::Result;
use std::time::{Duration, Instant};

/// The phases so far, in the order of their ends.
pub struct Phases {
    begun: Instant,
    done: Vec<Phase>,
}

struct Phase {
    name: String,
    took: Duration,
    failed: bool,
}

impl Phases {
    pub fn begin() -> Self {
        Self { begun: Instant::now(), done: Vec::new() }
    }

    /// Works on a phase, and says when it begins and how long it took.
    pub fn run<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("\n[{}] {name}", seconds(self.begun.elapsed()));
        let start = Instant::now();
        let result = work();
        self.add(name, start.elapsed(), result.is_err());
        result
    }

    /// Notes a phase that was worked on elsewhere.
    pub fn add(&mut self, name: &str, took: Duration, failed: bool) {
        println!("[{}] {name}: {}{}", seconds(self.begun.elapsed()), seconds(took), end(failed));
        self.done.push(Phase { name: name.to_owned(), took, failed });
    }

    /// A line for each phase, and one for them all. Phases that went on side by side add up to more than that.
    pub fn table(&self) -> String {
        let width = self.done.iter().map(|phase| phase.name.chars().count()).max().unwrap_or(0).max(TOTAL.len());
        let line = |name: &str, took, failed| format!("  {name:width$}  {:>12}{}\n", seconds(took), end(failed));
        let phases = self.done.iter().map(|phase| line(&phase.name, phase.took, phase.failed));
        phases.chain([line(TOTAL, self.begun.elapsed(), false)]).collect()
    }
}

const TOTAL: &str = "all of it";

fn end(failed: bool) -> &'static str {
    if failed { ", failed" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_is_in_the_table_whatever_became_of_it() {
        let mut phases = Phases::begin();
        assert_eq!(phases.run("format", || Ok(7)).unwrap(), 7);
        phases.run::<()>("lint", || anyhow::bail!("no")).unwrap_err();
        phases.add("tests of xtask", Duration::from_secs(130), false);
        let table = phases.table();
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = table.lines().map(words).collect();
        assert_eq!(lines[..3], ["format 0.0 s", "lint 0.0 s, failed", "tests of xtask 2 min 10 s"]);
        assert!(lines[3].starts_with("all of it "), "{table}");
    }
}
