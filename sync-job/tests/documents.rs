//! What the documents show is what the program takes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails here, with its reason")]

use clap::Parser as _;
use sync_job::cli::Cli;
use sync_job::config::JobConfig;
use sync_job::report::exit::ExitStatus;

const README: &str = include_str!("../../README.md");

/// The fenced blocks of a language.
fn blocks(document: &str, language: &str) -> Vec<String> {
    document
        .split("```")
        .skip(1)
        .step_by(2)
        .filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n').map(str::to_owned))
        .collect()
}

#[test]
fn the_job_file_in_the_readme_is_good() {
    let files = blocks(README, "toml");
    assert_eq!(files.len(), 1);
    JobConfig::parse(&files[0], "README.md").unwrap();
}

#[test]
fn the_commands_in_the_readme_are_understood() {
    let mut seen = 0;
    for line in blocks(README, "sh").iter().flat_map(|block| block.lines()).filter(|line| line.starts_with("sync-job "))
    {
        let words = line.split('#').next().unwrap_or_default().split_whitespace();
        Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
        seen += 1;
    }
    assert!(seen >= 5);
}

#[test]
fn the_readme_lists_the_exit_statuses() {
    for status in ExitStatus::ALL {
        let line = format!("| {} | {} |", status.code(), status.describe());
        assert!(README.contains(&line), "README.md lacks: {line}");
    }
}

/// Commands of the shell, each on one line, without what is said about them.
fn commands(blocks: &[String]) -> Vec<String> {
    let joined = blocks.join("\n").replace("\\\n", " ");
    let plain = joined.lines().map(|line| line.split(" #").next().unwrap_or_default());
    plain.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|line| !line.is_empty()).collect()
}

/// The list in the README is that of the document, shorter.
#[test]
fn the_readme_deploys_as_the_document_does() {
    let (_, section) = README.split_once("\n## On AWS\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let deploy = include_str!("../../docs/deploy.md").lines().map(str::trim_start).collect::<Vec<_>>().join("\n");
    let known = commands(&[blocks(&deploy, "sh"), blocks(&deploy, "")].concat());
    let list = commands(&blocks(section, "sh")[..1]);
    assert!(list.len() > 8, "{list:?}");
    for command in list.iter().filter(|command| !command.starts_with("$EDITOR")) {
        assert!(known.contains(command), "docs/deploy.md has no `{command}`");
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for (name, text) in [
        ("README.md", README),
        ("CONTRIBUTING.md", include_str!("../../CONTRIBUTING.md")),
        ("docs/job-file.md", include_str!("../../docs/job-file.md")),
        ("docs/limits.md", include_str!("../../docs/limits.md")),
        ("docs/verification.md", include_str!("../../docs/verification.md")),
        ("ARCHITECTURE.md", include_str!("../../ARCHITECTURE.md")),
        ("docs/aws.md", include_str!("../../docs/aws.md")),
        ("docs/deploy.md", include_str!("../../docs/deploy.md")),
        ("docs/runbook.md", include_str!("../../docs/runbook.md")),
        ("ami/README.md", include_str!("../../ami/README.md")),
    ] {
        let folder = root.join(name).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            assert!(link.contains("://") || folder.join(path).exists(), "{name} links to {link}, which is not there");
        }
    }
}

/// Title of a section of docs/json.md, and the codes of the enum that it lists.
fn codes() -> Vec<(&'static str, Vec<&'static str>)> {
    use sync_job::model::{error, stage};
    use sync_job::plan::not_created::{What, Why};
    use sync_job::plan::type_map::PlannedLoss;
    use sync_job::plan::why_full::WhyFull;
    use sync_job::plan::{DependentKind, Drift, FindingId, Severity, SwapMethod, SwapReason};
    use sync_job::proof::witness::Silence;
    use sync_job::report::{Command, Difference, TableOutcome, WitnessState};
    use sync_job::rows::encode::Loss;
    let all =
        [("Exit status", ExitStatus::ALL.map(ExitStatus::name).to_vec()), ("Loss", Loss::ALL.map(Loss::code).to_vec())];
    let of_enums = [
        ("Command", Command::CODES),
        ("Table outcome", TableOutcome::CODES),
        ("Side", error::Side::CODES),
        ("Stage", stage::Stage::CODES),
        ("Difference", Difference::CODES),
        ("Why whole", WhyFull::CODES),
        ("Failure", error::Kind::CODES),
        ("Severity", Severity::CODES),
        ("Finding", FindingId::CODES),
        ("Swap method", SwapMethod::CODES),
        ("Swap reason", SwapReason::CODES),
        ("Dependent", DependentKind::CODES),
        ("Not created", What::CODES),
        ("Why not created", Why::CODES),
        ("Planned loss", PlannedLoss::CODES),
        ("Drift", Drift::CODES),
        ("Witness", WitnessState::CODES),
        ("Why not witnessed", Silence::CODES),
    ];
    all.into_iter().chain(of_enums.map(|(title, codes)| (title, codes.to_vec()))).collect()
}

/// The codes that each section of a document lists.
fn listed(document: &str) -> Vec<(String, Vec<String>)> {
    let sections = document.split("\n## ").skip(1).map(|section| section.split_once('\n').unwrap());
    let code = |line: &str| Some(line.strip_prefix("| `")?.split_once("` | ")?.0.to_owned());
    sections.map(|(title, text)| (title.to_owned(), text.lines().filter_map(code).collect())).collect()
}

#[test]
fn every_code_has_its_line_and_every_line_its_code() {
    let sorted = |mut all: Vec<(String, Vec<String>)>| {
        for (_, codes) in &mut all {
            codes.sort_unstable();
        }
        all.sort();
        all
    };
    let known =
        codes().into_iter().map(|(title, codes)| (title.to_owned(), codes.into_iter().map(str::to_owned).collect()));
    let (known, found) = (sorted(known.collect()), sorted(listed(include_str!("../../docs/json.md"))));
    for (known, found) in known.iter().zip(&found) {
        assert_eq!(known, found, "the enum, and docs/json.md");
    }
    assert_eq!(known.len(), found.len());
}

/// What the test above goes by.
#[test]
fn a_line_that_is_missing_or_too_many_is_seen() {
    let document = include_str!("../../docs/json.md");
    let lacking = document.replacen("| `tls` |", "| tls |", 1);
    assert_ne!(listed(&lacking), listed(document));
    let more = document.replacen("| `tls` |", "| `tsl` | no code |\n| `tls` |", 1);
    assert_ne!(listed(&more), listed(document));
}
