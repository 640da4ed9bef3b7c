//! The report as people and programs get it, compared with files in `golden/`.
//! After a change that is meant: `BLESS=1 cargo test -p sync-job --test report`, then read the difference.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails here, with its reason")]

use std::path::Path;

use chrono::{DateTime, TimeDelta};
use sync_job::model::error::{Error, Kind, Side};
use sync_job::model::stage::Stage;
use sync_job::plan::not_created::{NotCreated, What, Why};
use sync_job::plan::{Finding, FindingId, Severity, SwapMethod};
use sync_job::proof::witness::compare::Unwitnessed;
use sync_job::proof::witness::{Outcome, Silence, Summary};
use sync_job::report::exit::ExitStatus;
use sync_job::report::{
    ChangesReport, Command, ComparedReport, Difference, DifferencesReport, DifferingKey, Failure, LossLine, RunReport,
    Stages, Standing, TableOutcome, TableReport, TakenOver, WitnessReport, WitnessState, render,
};
use sync_job::rows::encode::{CellError, Loss};
use sync_job::rows::message::Message;

fn run(seconds: f64, tables: Vec<TableReport>) -> RunReport {
    let started = DateTime::from_timestamp(1_795_215_416, 0).unwrap();
    RunReport {
        job: "nightly-erp".to_owned(),
        run_id: "20261120T225656Z-1a2b".to_owned(),
        command: Command::Run,
        started,
        ended: started + TimeDelta::milliseconds((seconds * 1000.0) as i64),
        source: "erp.example.internal:1433/erp (Microsoft SQL Server 2019 (RTM-CU22) 15.0.4322.2 (X64))".to_owned(),
        target: "aurora.example.internal:5432/erp (PostgreSQL 16.4)".to_owned(),
        tables,
        notes: Vec::new(),
        refusals: Vec::new(),
        failure: None,
        show_values: false,
    }
}

fn table(source: &str, target: &str, rows: u64) -> TableReport {
    TableReport {
        source: source.to_owned(),
        target: target.to_owned(),
        outcome: TableOutcome::Copied,
        rows,
        bytes: rows * 121,
        stages: Stages {
            read: rows as f64 / 120_000.0,
            load: rows as f64 / 96_000.0,
            verify: 0.41,
            witness: 0.2,
            index: 1.3,
            swap: 0.02,
            total: 12.7,
        },
        verdict: "verified".to_owned(),
        witness: Some(witnessed(None, Vec::new())),
        swap: Some(SwapMethod::Rename),
        digest: Some(format!("{rows}:00000000000000000000000000c0ffee")),
        retries: 0,
        warnings: Vec::new(),
        losses: Vec::new(),
        not_created: Vec::new(),
        changes: None,
        taken_over: None,
        differences: None,
        failure: None,
    }
}

fn witnessed(ranges: Option<(usize, usize)>, unwitnessed: Vec<Unwitnessed>) -> WitnessReport {
    let columns = 16 - unwitnessed.len();
    let rows = if ranges.is_some() { 133_014 } else { 4_123_456 };
    let summary = Summary { columns, of_columns: 16, rows, ranges, unwitnessed };
    WitnessReport { state: WitnessState::Agrees, summary: Some(summary), why: None, why_code: None }
}

fn failed(mut table: TableReport, stage: Stage, error: &Error) -> TableReport {
    table.outcome = if error.kind == Kind::Cancelled { TableOutcome::Interrupted } else { TableOutcome::Failed };
    table.stages = Stages { read: table.stages.read, load: table.stages.load, ..Stages::default() };
    (table.swap, table.digest) = (None, None);
    table.verdict = String::new();
    table.witness = None;
    table.failure = Some(Failure::at(Standing::Old, stage, error));
    table
}

fn all_well() -> RunReport {
    let mut orders = table("sales.Orders", "sales.orders", 4_123_456);
    orders.retries = 2;
    orders.losses = vec![LossLine { column: "placed_at".to_owned(), loss: Loss::FractionCut, rows: 1_200 }];
    let why = "1,200 values were changed as planned: U+0000 removed".to_owned();
    orders.witness = Some(witnessed(Some((2, 62)), vec![Unwitnessed { column: "note".to_owned(), why }]));
    let mut long = table(
        "dbo.CustomerRelationshipManagementContactHistory",
        "public.customerrelationshipmanagementcontacthistory",
        250_000_000,
    );
    let predicate = "([ClosedAt] IS NULL AND [Region] IN ('north', 'south', 'east', 'west'))";
    long.not_created = vec![NotCreated::new(What::Index, "IX_Open", Why::Filtered(predicate.to_owned()))];
    long.warnings =
        vec!["a security policy filters this table: only the rows that this login sees are copied".to_owned()];
    long.witness = Some(WitnessReport::of(&Outcome::Silent(Silence::NotItsTurn)));
    let mut live = table("dbo.Live", "public.live", 77_000);
    let moved = WitnessReport { state: WitnessState::Moved, ..witnessed(None, Vec::new()) };
    live.witness = Some(moved);
    run(2_610.0, vec![orders, table("dbo.Empty", "public.empty", 0), long, live])
}

fn some_failed() -> RunReport {
    let nul = Error::new(
        Side::Source,
        Kind::Data,
        Message::from("dbo.Notes, column Note, the row OrderId = ").value(SECRET).words(" (row 3 of its chunk)"),
    )
    .with_source(CellError::Nul);
    let lock = Error::new(
        Side::Target,
        Kind::LockTimeout,
        "sales.orders could not be locked within 60s (pid 4242, psql, is reading it)",
    );
    run(
        192.4,
        vec![
            failed(table("dbo.Notes", "public.notes", 120_000), Stage::Load, &nul),
            failed(table("sales.Orders", "sales.orders", 1_000_000), Stage::Swap, &lock),
            table("sales.OrderLines", "sales.orderlines", 3_000_000),
        ],
    )
}

/// A run that went on where one had died.
fn continued() -> RunReport {
    let mut before = table("sales.Customers", "sales.customers", 52_000);
    before.taken_over = Some(TakenOver { chunks: None, rows: 52_000, bytes: 52_000 * 121 });
    before.stages = Stages { verify: 0.41, total: 0.41, ..Stages::default() };
    (before.witness, before.swap) = (None, None);
    let mut half = table("sales.Orders", "sales.orders", 4_123_456);
    half.taken_over = Some(TakenOver { chunks: Some([30, 40]), rows: 3_092_592, bytes: 374_203_632 });
    let mut report = run(61.0, vec![before, half]);
    report.notes.push(
        "the run 20261119T020000Z-00ff died; this one continues it, with 1 table and 1 staging table that it left"
            .to_owned(),
    );
    report
}

fn interrupted() -> RunReport {
    run(
        31.0,
        vec![
            table("dbo.A", "public.a", 10),
            failed(table("dbo.B", "public.b", 700_000), Stage::Load, &Error::cancelled()),
        ],
    )
}

fn refused() -> RunReport {
    let mut report = run(0.7, Vec::new());
    let finding = |id: FindingId, table: Option<&str>, message: &str, remedy: &str| Finding {
        id,
        severity: Severity::Refusal,
        table: table.map(str::to_owned),
        message: message.to_owned(),
        remedy: remedy.to_owned(),
    };
    report.refusals = vec![
        finding(
            FindingId::SnapshotNotAllowed,
            None,
            "consistency = \"snapshot\", but the database erp does not allow snapshot isolation",
            "ALTER DATABASE [erp] SET ALLOW_SNAPSHOT_ISOLATION ON; or set consistency = \"none\" for a quiet window, or \
             \"database-snapshot\".",
        ),
        finding(
            FindingId::EncryptedColumn,
            Some("sales.Vault"),
            "column Iban is encrypted (Always Encrypted); only ciphertext could be read",
            "List it in exclude_columns.",
        ),
    ];
    let error = Error::new(Side::Job, Kind::PrecheckFailed, "2 prechecks refuse the run");
    report.failure = Some(Failure::new(Stage::Precheck, &error));
    report
}

fn could_not_connect() -> RunReport {
    let mut report = run(15.0, Vec::new());
    let error = Error::new(Side::Source, Kind::Connection, "erp.example.internal:1433 cannot be reached")
        .with_source(std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer within 15s"));
    report.failure = Some(Failure::new(Stage::Plan, &error));
    report
}

fn lease_held() -> RunReport {
    let mut report = run(0.5, Vec::new());
    let error = Error::new(
        Side::Job,
        Kind::LeaseHeld,
        "another run of the job nightly-erp is under way on this target (pid 4711)",
    );
    report.failure = Some(Failure::new(Stage::Lease, &error));
    report
}

/// `verify` of a table that differs, and of one that was compared in a run.
fn differs() -> RunReport {
    let error = Error::new(
        Side::Target,
        Kind::Mismatch,
        "sales.orders: 1,000 rows on both sides, but at least one value differs",
    );
    let mut orders = failed(table("sales.Orders", "sales.orders", 1_000), Stage::Compare, &error);
    orders.failure = Some(Failure::at(Standing::Compared, Stage::Compare, &error));
    let key = |what, newer_at_source| {
        let key = Message::from("shop = ").value("7").words(", id = ").value(SECRET);
        DifferingKey { what, key, newer_at_source }
    };
    orders.differences = Some(DifferencesReport {
        differing: 1,
        missing: 20,
        extra: 1,
        newer_at_source: Some(19),
        keys: vec![key(Difference::Differs, false), key(Difference::Extra, false), key(Difference::Missing, true)],
        repaired: false,
    });
    let mut lines = table("sales.OrderLines", "sales.orderlines", 3_000_000);
    lines.swap = None;
    let compared = ComparedReport { rows: 3_000_000, bytes_read: 402_653_184, bytes_sent: 3_145_728 };
    lines.changes = Some(ChangesReport::compared(compared, [12, 30_000, 1]));
    let mut report = run(35.5, vec![orders, lines]);
    report.command = Command::Verify;
    report
}

fn verified() -> RunReport {
    let mut same = table("dbo.A", "public.a", 1_000);
    same.outcome = TableOutcome::Agrees;
    same.swap = None;
    let mut report = run(3.2, vec![same]);
    report.command = Command::Verify;
    report
}

fn cases() -> Vec<(&'static str, RunReport, ExitStatus)> {
    vec![
        ("all-well", all_well(), ExitStatus::Ok),
        ("some-failed", some_failed(), ExitStatus::TablesFailed),
        ("continued", continued(), ExitStatus::Ok),
        ("interrupted", interrupted(), ExitStatus::Interrupted),
        ("refused", refused(), ExitStatus::PrecheckRefused),
        ("could-not-connect", could_not_connect(), ExitStatus::CouldNotConnect),
        ("lease-held", lease_held(), ExitStatus::LeaseHeld),
        ("verified", verified(), ExitStatus::Ok),
        ("differs", differs(), ExitStatus::TablesFailed),
    ]
}

/// Compares with the golden file, or writes it if `BLESS` is set.
fn golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert!(found == expected, "{name} differs; found:\n{found}\nexpected:\n{expected}");
}

/// A value of a row.
const SECRET: &str = "4711-secret";

#[test]
fn values_of_rows_are_in_reports_that_ask_for_them_and_in_no_other() {
    let mut report = some_failed();
    let json = |report: &RunReport| report.json().unwrap().to_string();
    let shown = |text: &str| text.contains(SECRET);
    assert!(!shown(&render(&report)) && !shown(&json(&report)) && !shown(&format!("{report:?}")));
    assert!(render(&report).contains("show_values = true"), "where the values are is not said");
    assert!(shown(&render(&report.with_values())) && !render(&report.with_values()).contains("[hidden]"));
    report.show_values = true;
    assert!(shown(&json(&report)) && !shown(&render(&report)));
    let failed = Error::new(Side::Job, Kind::CommitUnknown, "all failed").with_source(Error::new(
        Side::Source,
        Kind::Data,
        Message::from("the row ").value(SECRET),
    ));
    report.failure = Some(Failure::new(Stage::Load, &failed));
    assert!(
        shown(&json(&report)) && !shown(&render(&report)) && !shown(&failed.chain()) && !shown(&failed.to_string())
    );
}

/// Whatever fails wherever: what is said of an old table is so only where there is one.
#[test]
fn an_old_table_is_kept_only_where_there_is_one() {
    for &kind in Kind::ALL {
        for &stage in Stage::ALL {
            let error = Error::new(Side::Target, kind, "m");
            for standing in [Standing::Run, Standing::Compared, Standing::New] {
                let remedy = Failure::at(standing, stage, &error).remedy;
                assert!(!remedy.contains("old table"), "{standing:?}, {stage:?}, {kind:?}: {remedy}");
                assert!(remedy.ends_with('.') && !remedy.starts_with(' '), "{remedy}");
            }
            let old = Failure::at(Standing::Old, stage, &error).remedy;
            let is_said = matches!(
                kind,
                Kind::Mismatch
                    | Kind::ShrinkGuard
                    | Kind::GroupFailed
                    | Kind::NotComparable
                    | Kind::Conflict
                    | Kind::Statement
            );
            assert_eq!(old.contains("The old table was kept"), is_said, "{stage:?}, {kind:?}: {old}");
        }
    }
    let advised = Error::new(Side::Target, Kind::Statement, "m").advise("Do this.");
    assert_eq!(Failure::at(Standing::New, Stage::Load, &advised).remedy, "No table was made. Do this.");
    assert_eq!(Failure::new(Stage::Plan, &advised).remedy, "Do this.");
}

#[test]
fn the_report_for_people() {
    for (name, report, _) in cases() {
        golden(&format!("report-{name}.txt"), &render(&report));
    }
}

#[test]
fn the_report_for_programs() {
    for (name, report, _) in cases() {
        let text = serde_json::to_string_pretty(&report.json().unwrap()).unwrap();
        golden(&format!("report-{name}.json"), &format!("{text}\n"));
    }
}

#[test]
fn each_ending_has_its_exit_status() {
    for (name, report, expected) in cases() {
        assert_eq!(report.exit_status(), expected, "{name}");
    }
}

#[test]
fn the_report_fits_a_mail_of_80_columns() {
    for (name, report, _) in cases() {
        for line in render(&report).lines() {
            assert!(line.chars().count() <= 80, "{name}: {line}");
            assert_eq!(line, line.trim_end(), "{name}");
        }
    }
}

#[test]
fn what_failed_is_said_with_its_remedy() {
    for (name, report, _) in cases() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
        let text = words(&render(&report));
        for failure in report.failure.iter().chain(report.tables.iter().filter_map(|table| table.failure.as_ref())) {
            assert!(text.contains(&words(&failure.message.to_string())), "{name} lacks {}", failure.message);
            assert!(text.contains(&words(&failure.remedy)), "{name} lacks {}", failure.remedy);
        }
        for finding in &report.refusals {
            assert!(text.contains(&words(&finding.message)), "{name} lacks {}", finding.message);
            assert!(text.contains(&words(&finding.remedy)), "{name} lacks {}", finding.remedy);
        }
    }
}
