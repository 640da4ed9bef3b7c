//! Holds the code of `sync-job` to ARCHITECTURE.md: which module uses which, and what it never knows.
//!
//! Read are `use` lines and the paths in bodies and macros that begin with `crate`, `super`, `self` or the crate's name. Tests within a
//! module are not: they may use what they need.

mod document;
mod graph;
mod quoting;
mod source;
mod words;

use anyhow::{Context, Result, ensure};
use document::Rules;
use graph::Graph;
use source::Module;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// Crates of which no two modules of one folder may need each other.
const CRATES: [&str; 6] = ["sync-job", "xtask", "launcher-fn", "retry", "rows", "runs"];

/// Crates that run in production.
const PRODUCT: [&str; 5] = ["sync-job", "launcher-fn", "retry", "rows", "runs"];

/// A module's path below its crate: `targets`, `postgres`, `swap`.
type ModulePath = Vec<String>;

/// Checks the workspace below `root`. An error lists every violation.
pub fn check(root: &Path) -> Result<()> {
    let document = std::fs::read_to_string(root.join("ARCHITECTURE.md")).context("ARCHITECTURE.md cannot be read")?;
    let mut violations = Vec::new();
    for name in CRATES {
        let files = source::files(&root.join(name).join("src"))?;
        let modules = source::parse(&files)?;
        violations.extend(cycles(name, &modules));
        if PRODUCT.contains(&name) {
            violations.extend(words::violations(name, &files)?);
        }
        if name == "sync-job" {
            let modules = source::parse(&of_job(root)?)?;
            violations.extend(broken_rules(&modules, &Rules::parse(&document)?));
            violations.extend(quoting::by_hand(&modules));
        }
    }
    ensure!(violations.is_empty(), "the code breaks its architecture:\n  {}", violations.join("\n  "));
    Ok(())
}

/// The job's files, and as its module `rows` those of the crate that it calls so.
fn of_job(root: &Path) -> Result<Vec<(String, String)>> {
    let mut files = source::files(&root.join("sync-job/src"))?;
    for (name, text) in source::files(&root.join("rows/src"))? {
        let name = if name == "lib.rs" { "mod.rs".to_owned() } else { name };
        files.push((format!("rows/{name}"), text));
    }
    Ok(files)
}

/// Modules of one folder that need each other, directly or by way of others.
fn cycles(name: &str, modules: &[Module]) -> Vec<String> {
    let folders: BTreeSet<&[String]> =
        modules.iter().flat_map(|module| (0..module.path.len()).map(|depth| &module.path[..depth])).collect();
    let mut found = Vec::new();
    for folder in folders {
        let mut graph = Graph::default();
        for (module, used) in arrows(modules) {
            let inside = |path: &[String]| (path.len() > folder.len()).then(|| path[..=folder.len()].join("/"));
            if let (true, true, Some(from), Some(to)) =
                (module.path.starts_with(folder), used.starts_with(folder), inside(&module.path), inside(used))
            {
                graph.add(from, to);
            }
        }
        found.extend(graph.cycle().map(|cycle| format!("{name}: a circle: {}", cycle.join(" -> "))));
    }
    found
}

fn arrows(modules: &[Module]) -> impl Iterator<Item = (&Module, &ModulePath)> {
    modules.iter().flat_map(|module| module.uses.iter().map(move |used| (module, used)))
}

/// What the tables in ARCHITECTURE.md forbid.
fn broken_rules(modules: &[Module], rules: &Rules) -> Vec<String> {
    let mut found = Vec::new();
    let tops: BTreeSet<&str> = modules.iter().filter_map(|module| module.path.first()).map(String::as_str).collect();
    let listed: BTreeSet<&str> = rules.uses.keys().map(String::as_str).collect();
    found.extend(tops.difference(&listed).map(|module| format!("ARCHITECTURE.md lacks the module {module}")));
    found.extend(listed.difference(&tops).map(|module| format!("ARCHITECTURE.md lists {module}, which is no module")));
    found.extend(forbidden_arrows(modules, rules));
    for module in modules {
        found.extend(forbidden_knowledge(module, rules));
        found.extend(words_elsewhere(module, rules));
    }
    found
}

/// Arrows between top-level modules, and permissions that nothing needs: a table that allows more than there is says little.
fn forbidden_arrows(modules: &[Module], rules: &Rules) -> Vec<String> {
    let mut found = Vec::new();
    let mut needed: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (module, used) in arrows(modules) {
        let (Some(from), Some(to)) = (module.path.first(), used.first()) else { continue };
        if from == to {
            continue;
        }
        needed.entry(from).or_default().insert(to);
        if rules.uses.get(from).is_some_and(|allowed| !allowed.contains(to)) {
            found.push(format!("{} uses {}: {from} may not use {to}", module.file, used.join("::")));
        }
    }
    for (from, allowed) in &rules.uses {
        let needs = needed.get(from.as_str());
        for to in allowed.iter().filter(|to| !needs.is_some_and(|needs| needs.contains(to.as_str()))) {
            found.push(format!("ARCHITECTURE.md lets {from} use {to}, and it does not"));
        }
    }
    found
}

/// The column "never knows": words, and modules below the top.
fn forbidden_knowledge(module: &Module, rules: &Rules) -> Vec<String> {
    let concerns = rules.never.iter().filter(|(place, _)| is_within(&module.path, place));
    let forbidden = concerns.flat_map(|(place, unknown)| unknown.iter().map(move |unknown| (place, unknown)));
    forbidden
        .filter(|(_, unknown)| {
            module.words.iter().any(|word| document::matches(unknown, word))
                || module.uses.iter().any(|used| is_within(used, unknown))
        })
        .map(|(place, unknown)| format!("{} knows {unknown}, which {place} never does", module.file))
        .collect()
}

/// The table of words that have one place.
fn words_elsewhere(module: &Module, rules: &Rules) -> Vec<String> {
    let elsewhere = rules.only.iter().filter(|(_, places)| !places.iter().any(|place| is_within(&module.path, place)));
    elsewhere
        .filter(|(word, _)| module.words.iter().any(|found| document::matches(word, found)))
        .map(|(word, places)| format!("{} knows {word}, which is for {} alone", module.file, places.join(", ")))
        .collect()
}

/// Whether a module is the place `targets/postgres` or below it.
fn is_within(path: &[String], place: &str) -> bool {
    let place: Vec<&str> = place.split('/').collect();
    path.len() >= place.len() && path.iter().zip(&place).all(|(own, other)| own == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
| module | its one job | may use | never knows |
|---|---|---|---|
| `low` | holds | | `async`, `tokio` |
| `high`, `main` | acts | `low` | `high/left` |

| word | only in |
|---|---|
| `sqlx`, `aws_*` | `high/right` |
";

    fn violations(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<(String, String)> =
            files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let modules = source::parse(&files).unwrap();
        let mut all = cycles("crate", &modules);
        all.extend(broken_rules(&modules, &Rules::parse(DOCUMENT).unwrap()));
        all
    }

    /// A crate that keeps the rules, with these files instead of its own.
    fn with(planted: &[(&str, &str)]) -> Vec<String> {
        let own = [
            ("lib.rs", "pub mod low; pub mod high;"),
            ("main.rs", "use sync_job::low::Thing;"),
            ("low.rs", "pub struct Thing;"),
            ("high/mod.rs", "mod right; use crate::low::Thing;"),
            ("high/right.rs", "use super::Thing; use sqlx::Row; async fn f() { crate::low::f().await }"),
        ];
        let files: BTreeMap<&str, &str> = own.into_iter().chain(planted.iter().copied()).collect();
        violations(&files.into_iter().collect::<Vec<_>>())
    }

    #[track_caller]
    fn assert_found(planted: &[(&str, &str)], expected: &str) {
        let found = with(planted);
        assert!(found.iter().any(|violation| violation.contains(expected)), "{found:?} lacks {expected:?}");
    }

    #[test]
    fn code_that_keeps_the_rules_passes() {
        assert_eq!(with(&[]), Vec::<String>::new());
    }

    #[test]
    fn a_circle_of_modules_is_found() {
        assert_found(&[("low.rs", "use crate::high::Thing;")], "a circle: high -> low -> high");
        let beside = [("high/a.rs", "use super::right::f;"), ("high/right.rs", "fn f() { super::a::g() }")];
        assert_found(&beside, "a circle: high/a -> high/right -> high/a");
    }

    #[test]
    fn a_forbidden_arrow_is_found_however_it_is_written() {
        for text in [
            "use crate::high::Thing;",
            "use crate::{high::Thing};",
            "pub(crate) use crate::{low::{self}, high as h};",
            "use super::high;",
            "fn f() { crate::high::f() }",
            "fn f() -> super::high::Thing { g() }",
            "mod inner { fn f() { super::super::high::f() } }",
            "fn f() { println!(\"{}\", crate::high::f()) }",
            "fn f() { $crate::high::f!() }",
            "impl From<sync_job::high::Thing> for Thing {}",
        ] {
            assert_found(&[("low.rs", text)], "low may not use high");
        }
    }

    #[test]
    fn a_word_that_a_module_never_knows_is_found() {
        assert_found(&[("low.rs", "async fn f() {}")], "low.rs knows async, which low never does");
        assert_found(&[("low.rs", "fn f(error: tokio::task::JoinError) {}")], "low.rs knows tokio");
        assert_found(&[("high/left.rs", ""), ("high/right.rs", "use super::left::f;")], "knows high/left");
    }

    #[test]
    fn a_word_beyond_its_place_is_found() {
        assert_found(&[("low.rs", "use sqlx::Row;")], "low.rs knows sqlx, which is for high/right alone");
        assert_found(&[("high/mod.rs", "use crate::low; fn f() { aws_config::load() }")], "high/mod.rs knows aws_*");
    }

    #[test]
    fn comments_texts_and_tests_are_not_code() {
        let text = "// async crate::high\n/// [`crate::high`] /* */ tokio\nfn f() { g(\"use crate::high; sqlx\", r#\"tokio\"#, 'a') }\n\
                    #[cfg(test)]\nmod tests { use crate::high::Thing; async fn f() { tokio::spawn() } }\n\
                    #[cfg(test)]\nuse crate::high;\n#[cfg(test)]\nmod fixture;";
        assert_eq!(
            with(&[("low/mod.rs", text), ("low/fixture.rs", "use crate::high;"), ("low.rs", "")]),
            Vec::<String>::new()
        );
        assert_found(&[("low.rs", "#[cfg(test)] fn f() {} use crate::high;")], "low may not use high");
    }

    #[test]
    fn the_table_names_each_module_and_no_more_than_is_used() {
        assert_found(&[("new.rs", "")], "ARCHITECTURE.md lacks the module new");
        assert_found(&[("main.rs", "")], "ARCHITECTURE.md lets main use low, and it does not");
        let gone = violations(&[("low.rs", "")]);
        assert!(gone.contains(&"ARCHITECTURE.md lists high, which is no module".to_owned()), "{gone:?}");
    }

    #[test]
    fn the_workspace_keeps_its_rules() {
        check(crate::workspace::root()).unwrap();
    }

    /// Planted in the real code, so that no mistake of the reading makes it look right.
    #[test]
    fn what_is_planted_in_the_workspace_is_found() {
        let root = crate::workspace::root();
        let rules = Rules::parse(&std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap()).unwrap();
        let own = of_job(root).unwrap();
        for (file, planted, expected) in [
            ("rows/cell.rs", "use crate::cli::Cli;", "rows may not use cli"),
            ("plan/mod.rs", "fn f() { crate::targets::postgres::f() }", "plan may not use targets"),
            ("sources/sqlserver/select.rs", "use crate::targets::MARK;", "sources may not use targets"),
            ("targets/postgres/swap.rs", "use crate::targets::mysql::MySql;", "knows targets/mysql"),
            ("proof/verdict.rs", "async fn f() {}", "knows async"),
            ("report/mod.rs", "fn f() { aws_config::load_from_env() }", "knows aws_*"),
            ("targets/mod.rs", "use sqlx::Row;", "knows sqlx"),
        ] {
            let mut files = own.clone();
            let (_, text) = files.iter_mut().find(|(name, _)| name == file).unwrap();
            text.push_str(planted);
            let found = broken_rules(&source::parse(&files).unwrap(), &rules);
            assert!(found.iter().any(|violation| violation.contains(expected)), "{file}: {planted}: {found:?}");
        }
    }
}
