//! Scenarios of several sessions as text, so that the engine and a real server can run the same ones.
//!
//! `# title`; `page:` names what it was written from, or `assumed:` says that no page tells; `1> sql` runs a batch in session 1, in a
//! database of its own that tracks changes; `= text` is a row of one text that the batch returns, `! number` the error that it raises.

/// A batch and what comes of it.
pub struct Step {
    pub session: usize,
    pub sql: String,
    pub rows: Vec<String>,
    pub error: Option<u32>,
}

/// A scenario.
pub struct Scenario {
    pub title: String,
    pub source: String,
    pub steps: Vec<Step>,
}

/// All scenarios.
pub const TEXTS: [&str; 4] = [
    include_str!("change_tracking.txt"),
    include_str!("rowversion.txt"),
    include_str!("writers.txt"),
    include_str!("assumed.txt"),
];

/// The scenarios of a text.
pub fn parse(text: &str) -> Vec<Scenario> {
    let mut found: Vec<Scenario> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if let Some(title) = line.strip_prefix("# ") {
            found.push(Scenario { title: title.to_owned(), source: String::new(), steps: Vec::new() });
            continue;
        }
        let Some(scenario) = found.last_mut() else { panic!("a scenario begins with its title: {line}") };
        if line.starts_with("page: ") || line.starts_with("assumed: ") {
            line.clone_into(&mut scenario.source);
        } else if let Some((session, sql)) = line.split_once("> ").and_then(|(at, sql)| Some((at.parse().ok()?, sql))) {
            scenario.steps.push(Step { session, sql: sql.to_owned(), rows: Vec::new(), error: None });
        } else {
            let Some(step) = scenario.steps.last_mut() else { panic!("nothing has run yet: {line}") };
            match line.split_at(1) {
                ("=", row) => step.rows.push(row.strip_prefix(' ').unwrap_or(row).to_owned()),
                ("!", number) => step.error = number.trim().parse().ok(),
                _ => panic!("no step, row or error: {line}"),
            }
        }
    }
    assert!(found.iter().all(|scenario| !scenario.source.is_empty()), "a scenario without a source");
    found
}
