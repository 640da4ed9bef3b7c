//! The plan as people and programs get it, made without a database and compared with files in `golden/`.
//! After a change that is meant: `BLESS=1 cargo test -p sync-job --test plan`, then read the difference.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails here, with its reason")]

use std::collections::HashMap;
use std::path::Path;

use sync_job::config::JobConfig;
use sync_job::model::facts::{Abilities, Absence, Catalog, Fact, MissingFact, SourceFacts};
use sync_job::model::schema::{
    Identity, IndexColumn, IndexKind, IndexStructure, Listed, SourceColumn, SourceForeignKey, SourceIndex, SourceKind,
    SourceTable, TableName,
};
use sync_job::plan::self_test::{self, TestedColumn};
use sync_job::plan::{self, Dialect, FindingId, RunPlan, Severity, TablePlan, TargetColumn, TargetState, TargetTable};
use sync_job::rows::text::CodePage;
use sync_job::sources::Source as _;
use sync_job::sources::sqlserver::self_test::{Deviation, findings_of};
use sync_job::sources::sqlserver::types::{CodePageOrName, Length, SourceType};
use sync_job::sources::sqlserver::{SqlServer, column_type};
use sync_job::targets::mysql::MySqlDialect;
use sync_job::targets::postgres::PostgresDialect;

const CONNECTIONS: &str = r#"
[job]
name = "nightly-erp"
[source]
host = "erp.example.internal"
database = "erp"
user = "stopgap"
password_env = "SOURCE_PASSWORD"
consistency = "none"
[target]
engine = "postgres"
host = "aurora.example.internal"
database = "erp"
user = "stopgap"
password_env = "TARGET_PASSWORD"
"#;

fn config(tables: &str) -> JobConfig {
    JobConfig::parse(&format!("{CONNECTIONS}{tables}"), "job.toml").unwrap()
}

fn column(name: &str, declared: &str, source_type: SourceType, nullable: bool) -> SourceColumn {
    SourceColumn {
        id: 0,
        name: name.to_owned(),
        column_type: column_type(&source_type),
        declared: declared.to_owned(),
        nullable,
        collation: None,
        by_base_type: false,
        counts_up: false,
        identity: None,
        computed: false,
        counts_changes: matches!(source_type, SourceType::RowVersion),
        hidden: false,
        internal: false,
        masked: false,
        encrypted: false,
        has_default: false,
    }
}

fn index(name: &str, kind: IndexKind, columns: &[(&str, bool)]) -> SourceIndex {
    SourceIndex {
        name: name.to_owned(),
        kind,
        structure: IndexStructure::Clustered,
        columns: columns
            .iter()
            .map(|(name, descending)| IndexColumn { name: (*name).to_owned(), descending: *descending })
            .collect(),
        included: Vec::new(),
        filter: None,
        disabled: false,
    }
}

fn table(name: &str, columns: Vec<SourceColumn>, indexes: Vec<SourceIndex>) -> SourceTable {
    SourceTable {
        name: TableName::new("Sales", name),
        kind: SourceKind::Table,
        columns,
        indexes,
        foreign_keys: Vec::new(),
        listed: Listed::default(),
        lacking: Vec::new(),
        rows: Some(3_000_000),
        bytes: Some(400 << 20),
        temporal: None,
        row_level_security: false,
        outside_transactions: false,
        may_show_masks: None,
    }
}

fn orders() -> SourceTable {
    let mut id = column("OrderId", "int", SourceType::Int, false);
    id.counts_up = true;
    id.identity = Some(Identity { seed: 1, increment: 1 });
    let mut number = column(
        "Number",
        "varchar(20)",
        SourceType::VarChar {
            bytes: Length::Limited(20),
            code_page: CodePageOrName::Known(CodePage::new(1252).unwrap()),
        },
        false,
    );
    number.collation = Some("Latin1_General_CI_AS".to_owned());
    let mut note = column("Note", "nvarchar(max)", SourceType::NVarChar { units: Length::Max }, true);
    note.has_default = true;
    let mut open = index("IX_Open", IndexKind::Plain, &[("PlacedAt", false)]);
    open.structure = IndexStructure::Tree;
    open.filter = Some("([ShippedAt] IS NULL)".to_owned());
    let mut by_total = index("IX_Total", IndexKind::Plain, &[("Total", true)]);
    by_total.structure = IndexStructure::Tree;
    by_total.included = vec!["Number".to_owned()];
    let mut number_key = index("UQ_Number", IndexKind::UniqueConstraint, &[("Number", false)]);
    number_key.structure = IndexStructure::Tree;
    table(
        "Orders",
        vec![
            id,
            number,
            column("PlacedAt", "datetime2(7)", SourceType::DateTime2 { digits: 7 }, false),
            column("ShippedAt", "datetimeoffset(3)", SourceType::DateTimeOffset { digits: 3 }, true),
            column("Total", "money", SourceType::Money, false),
            column("Payload", "nvarchar(4000)", SourceType::NVarChar { units: Length::Limited(4000) }, true),
            note,
            column("Version", "rowversion", SourceType::RowVersion, false),
        ],
        vec![index("PK_Orders", IndexKind::PrimaryKey, &[("OrderId", false)]), number_key, by_total, open],
    )
}

fn lines() -> SourceTable {
    let mut lines = table(
        "OrderLines",
        vec![
            column("OrderId", "int", SourceType::Int, false),
            column("LineNo", "smallint", SourceType::SmallInt, false),
            column("Quantity", "decimal(12,3)", SourceType::Decimal { precision: 12, scale: 3 }, false),
        ],
        vec![index("PK_OrderLines", IndexKind::PrimaryKey, &[("OrderId", false), ("LineNo", false)])],
    );
    lines.foreign_keys = vec![SourceForeignKey {
        name: "FK_OrderLines_Orders".to_owned(),
        columns: vec!["OrderId".to_owned()],
        referenced: Some(TableName::new("Sales", "Orders")),
        referenced_columns: vec!["OrderId".to_owned()],
        on_delete: "CASCADE".to_owned(),
        on_update: "NO_ACTION".to_owned(),
        untrusted: false,
    }];
    lines
}

/// A table that cannot be copied as it is, in three ways.
fn vault() -> SourceTable {
    let mut iban = column("Iban", "nvarchar(34)", SourceType::NVarChar { units: Length::Limited(34) }, false);
    iban.encrypted = true;
    let mut phone = column("Phone", "nvarchar(20)", SourceType::NVarChar { units: Length::Limited(20) }, false);
    phone.masked = true;
    let mut vault = table("Vault", vec![column("Id", "int", SourceType::Int, false), iban, phone], Vec::new());
    vault.columns.push(column("Odd", "dbo.Odd", SourceType::Unknown("odd".to_owned()), true));
    vault
}

fn facts() -> SourceFacts {
    SourceFacts {
        abilities: Abilities::default(),
        version: "SQL Server 15.0".to_owned(),
        database: "erp".to_owned(),
        login: "stopgap".to_owned(),
        sees_definitions: Some(true),
    }
}

fn planned(config: &JobConfig, tables: Vec<SourceTable>, present: &TargetState) -> RunPlan {
    let catalog = Catalog { tables, ..Catalog::default() };
    let draft = plan::draft(config, &catalog, &facts(), &[], &PostgresDialect);
    plan::finish(
        config,
        draft,
        present,
        "erp.example.internal:1433/erp (SQL Server 2019)".to_owned(),
        "aurora.example.internal:5432/erp (PostgreSQL 16.4)".to_owned(),
        &PostgresDialect,
    )
}

fn present_table(name: &str, table: TargetTable) -> TargetState {
    TargetState { tables: HashMap::from([(TableName::new("sales", name), table)]), ..TargetState::default() }
}

/// Both forms of the plan against their golden files.
fn compare(name: &str, config: &JobConfig, plan: &RunPlan) {
    let source = SqlServer::new(config.source.clone(), config.limits.stall_timeout, config.limits.outage);
    let select = |table: &TablePlan| source.describe_read(table);
    golden(&format!("plan-{name}.txt"), &sync_job::report::plan::render(plan, &select));
    golden(&format!("plan-{name}.json"), &format!("{:#}\n", sync_job::report::plan::json(plan, &select)));
}

fn golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert!(found == expected, "{name} differs; found:\n{found}\nexpected:\n{expected}");
}

#[test]
fn two_tables_that_are_new() {
    let config = config(
        "[tables]\ninclude = [\"sales.*\"]\nnames = \"snake_case\"\nforeign_keys = \"create\"\noffset_column = true\n\
         [[table]]\nsource = \"Sales.Orders\"\nfilter = \"PlacedAt >= '2020-01-01'\"\n[table.target_types]\nPayload = \"jsonb\"\n",
    );
    let plan = planned(&config, vec![orders(), lines()], &TargetState::default());
    assert_eq!(plan.refusals().count(), 0);
    let orders = &plan.tables[0];
    let kept: Vec<&str> = orders
        .columns
        .iter()
        .filter(|column| orders.keeps_offset(column) && column.companion.is_none())
        .map(|column| column.target.as_str())
        .collect();
    assert_eq!(kept, ["shipped_at"], "its offset lies beside it and is no loss");
    compare("new", &config, &plan);
}

#[test]
fn a_table_whose_columns_changed() {
    let config = config("[tables]\ninclude = [\"sales.*\"]\n");
    let old = |name: &str, column_type: &str| TargetColumn {
        name: name.to_owned(),
        column_type: column_type.to_owned(),
        nullable: false,
        counts_up: false,
    };
    let present = TargetTable {
        columns: vec![old("orderid", "integer"), old("lineno", "integer"), old("discount", "numeric(5,2)")],
        ..TargetTable::default()
    };
    let plan = planned(&config, vec![lines()], &present_table("orderlines", present));
    assert_eq!(plan.refusals().count(), 0);
    compare("drift", &config, &plan);
}

/// A constraint's index ascends on PostgreSQL, and MariaDB made no other kind before 10.8.
#[test]
fn an_index_is_planned_in_the_order_that_it_will_have() {
    let columns = vec![column("A", "int", SourceType::Int, false), column("B", "int", SourceType::Int, false)];
    let order = [("A", false), ("B", true)];
    let indexes = [
        ("PK", IndexKind::PrimaryKey),
        ("UQ", IndexKind::UniqueConstraint),
        ("UX", IndexKind::Unique),
        ("IX", IndexKind::Plain),
    ];
    let indexes = indexes.into_iter().map(|(name, kind)| index(name, kind, &order)).collect();
    let catalog = Catalog { tables: vec![table("Pairs", columns, indexes)], ..Catalog::default() };
    let config = config("[tables]\ninclude = [\"sales.*\"]\n");
    let dialects: [(&dyn Dialect, [bool; 4]); 3] = [
        (&PostgresDialect, [false, false, true, true]),
        (&MySqlDialect { descends: true }, [true; 4]),
        (&MySqlDialect { descends: false }, [false; 4]),
    ];
    for (dialect, descends) in dialects {
        let draft = plan::draft(&config, &catalog, &facts(), &[], dialect);
        let plan = plan::finish(&config, draft, &TargetState::default(), String::new(), String::new(), dialect);
        let found: Vec<bool> = plan.tables[0].indexes.iter().map(|index| index.columns[1].1).collect();
        assert_eq!(found, descends);
        let lost = plan.tables[0].not_created.iter().filter(|missing| missing.name == "b");
        assert_eq!(lost.count(), descends.iter().filter(|descends| !**descends).count());
    }
}

#[test]
fn every_refusal_is_said_at_once() {
    let config = config("[tables]\ninclude = [\"sales.*\", \"hr.*\"]\n[[table]]\nsource = \"sales.Invoices\"\n");
    let plan = planned(&config, vec![vault()], &TargetState::default());
    let mut found: Vec<&str> = plan.refusals().map(|finding| finding.id.code()).collect();
    found.sort_unstable();
    assert_eq!(found, ["empty-pattern", "encrypted-column", "masked-column", "missing-table", "unmapped-type"]);
    assert!(
        plan.all_findings()
            .filter(|finding| finding.severity == Severity::Refusal)
            .all(|finding| { !finding.message.is_empty() && !finding.remedy.is_empty() })
    );
    compare("refused", &config, &plan);
}

#[test]
fn names_that_meet_on_the_target_are_refused() {
    let config = config("[tables]\ninclude = [\"sales.*\"]\n[target.schemas]\n");
    let mut other = lines();
    other.name = TableName::new("Sales", "ORDERLINES");
    let plan = planned(&config, vec![lines(), other], &TargetState::default());
    assert!(plan.refusals().any(|finding| finding.message.contains("sales.orderlines")));
}

#[test]
fn columns_that_the_target_has_already_are_refused_by_name() {
    let mut extent = lines();
    extent.columns[2].name = "XMin".to_owned();
    let refused = |tables: &str| {
        let config = config(&format!("[tables]\ninclude = [\"sales.*\"]\n{tables}"));
        let plan = planned(&config, vec![extent.clone()], &TargetState::default());
        plan.refusals().map(|finding| finding.message.clone()).collect::<Vec<_>>()
    };
    assert_eq!(refused(""), ["the column name \"xmin\": PostgreSQL gives every table a column of this name"]);
    assert_eq!(refused("names = \"preserve\""), Vec::<String>::new());
    let renamed = "[[table]]\nsource = \"sales.OrderLines\"\n[table.rename]\nXMin = \"west\"";
    assert_eq!(refused(renamed), Vec::<String>::new());
}

#[test]
fn keys_that_lose_a_digit_are_warned_of() {
    let mut events = lines();
    events.columns[1].column_type = column_type(&SourceType::DateTime2 { digits: 7 });
    let warned = |tables: &str, digits: u8| {
        let config = config(&format!("[tables]\ninclude = [\"sales.*\"]\n{tables}"));
        let mut events = events.clone();
        events.columns[1].column_type = column_type(&SourceType::DateTime2 { digits });
        let plan = planned(&config, vec![events], &TargetState::default());
        plan.all_findings()
            .filter(|finding| finding.id == FindingId::KeyCut)
            .map(|finding| finding.message.clone())
            .next()
    };
    assert!(
        warned("", 7).unwrap().starts_with("pk_orderlines is unique with seven fraction digits in lineno, of which")
    );
    assert_eq!(warned("", 6), None);
    assert_eq!(warned("indexes = \"none\"", 7), None);
    assert_eq!(warned("[[table]]\nsource = \"sales.OrderLines\"\n[table.target_types]\nLineNo = \"text\"", 7), None);
}

#[test]
fn what_could_not_be_read_is_said_to_be_unknown() {
    let missing = |what, cause| MissingFact { what, why: "denied".to_owned(), cause };
    let catalog = Catalog {
        tables: vec![lines()],
        missing: vec![
            missing(Fact::MaskedColumns, Absence::Unseen),
            missing(Fact::MaskedColumns, Absence::Unknown),
            missing(Fact::TableSizes, Absence::Unseen),
        ],
        ..Catalog::default()
    };
    let draft = plan::draft(&config("[tables]\ninclude = [\"Sales.*\"]"), &catalog, &facts(), &[], &PostgresDialect);
    let found: Vec<Severity> = draft
        .findings
        .iter()
        .filter(|finding| finding.id == FindingId::MissingFact)
        .map(|finding| finding.severity)
        .collect();
    // Whether columns are masked decides what is copied.
    assert_eq!(found, [Severity::Warning, Severity::Note, Severity::Note]);
}

#[test]
fn what_the_self_test_found_changes_how_columns_are_read_or_refuses_the_run() {
    let config =
        config("[tables]\ninclude = [\"sales.*\"]\n[[table]]\nsource = \"sales.Orders\"\nchunk_key = [\"Number\"]\n");
    let catalog = Catalog { tables: vec![orders()], ..Catalog::default() };
    let mut draft = plan::draft(&config, &catalog, &facts(), &[], &PostgresDialect);
    let tested = |names: &[&str]| -> Vec<TestedColumn> {
        let columns = draft.tables[0].columns.iter().filter(|column| names.contains(&column.source.as_str()));
        columns
            .map(|column| TestedColumn {
                table: TableName::new("Sales", "Orders"),
                column: column.source.clone(),
                read: column.read.clone(),
            })
            .collect()
    };
    let deviation = |kind: &str, columns: &[&str], right_through_driver| Deviation {
        kind: kind.to_owned(),
        asked: "SELECT 1".to_owned(),
        expected: "0x61".to_owned(),
        got: "0x62".to_owned(),
        columns: tested(columns),
        right_through_driver,
    };
    let deviations = vec![
        deviation("varchar", &["Number"], true),
        deviation("nvarchar(max)", &["Note"], true),
        deviation("money", &["Total"], false),
    ];
    self_test::apply(&mut draft, findings_of(&deviations, &[]));
    let orders = &draft.tables[0];
    let source = SqlServer::new(config.source.clone(), config.limits.stall_timeout, config.limits.outage);
    let sql = source.describe_read(orders);
    for part in
        ["CAST([Number] AS nvarchar(max))", "CAST([Note] AS nvarchar(max))", "CAST([Payload] AS varbinary(max))"]
    {
        assert!(sql.contains(part), "{part} is missing in {sql}");
    }
    // The chunk key's bounds are read as the column is.
    assert_eq!(orders.chunk_key[0].read, orders.columns[1].read);
    let found: Vec<(&str, Severity, &str)> =
        draft.findings.iter().map(|finding| (finding.id.code(), finding.severity, finding.message.as_str())).collect();
    let [(driver, Severity::Warning, why), (refused, Severity::Refusal, money)] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!((*driver, *refused), ("text-through-driver", "self-test"));
    assert!(why.contains("varchar, nvarchar(max)") && why.ends_with("Sales.Orders (Number, Note)"), "{why}");
    assert!(money.contains("for money (asked SELECT 1, expected 0x61, got 0x62)"), "{money}");
    // A remedy must not turn wrong bytes into an OK.
    assert!(draft.findings.iter().all(|finding| !finding.remedy.contains("undecodable")));
}
