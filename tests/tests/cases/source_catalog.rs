//! What the source's catalog does not show to a login is not taken for absent.

use stopgap_servers::simulator::{self, Simulator};
use stopgap_tests::{
    job::{Job, Outcome, SOURCE_PASSWORD},
    program,
    source::{Address, TestSource},
    target::{Engine, TestTarget},
};

const PRECHECK_REFUSED: i32 = 3;
const PASSWORD: &str = "Reader-1234";

/// A login of the source that holds what `grants` says, `$LOGIN` standing for its name.
async fn reader(source: &TestSource, grants: &str) -> String {
    let login = format!("reader_{}", source.database.replace(['.', '-'], "_"));
    let made = format!("CREATE LOGIN {login} WITH PASSWORD = '{PASSWORD}'; CREATE USER {login} FOR LOGIN {login}");
    source.run(&format!("{made}\nGO\n{}", grants.replace("$LOGIN", &login))).await.unwrap();
    login
}

fn job(source: &TestSource, target: &TestTarget, login: &str, tables: &str) -> Job {
    Job::new(source, target)
        .unwrap()
        .source(&format!("user = \"{login}\""))
        .env(SOURCE_PASSWORD, PASSWORD)
        .sections(&format!("[tables]\ninclude = [\"dbo.*\"]\n{tables}"))
}

/// What it said, without line breaks.
fn words(outcome: &Outcome) -> String {
    outcome.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Columns of alias types are copied where the login does not see the types, and the target's are never dropped for that.
async fn columns_of_types_that_are_not_shown_are_copied(engine: Engine) {
    let source = TestSource::with(
        "CREATE TYPE dbo.StatusCode FROM int NOT NULL;\nGO\nCREATE TYPE dbo.Phone FROM nvarchar(25) NULL;\nGO\n\
         CREATE TABLE dbo.orders (id int NOT NULL PRIMARY KEY, st dbo.StatusCode, amount money NULL, phone dbo.Phone);\n\
         CREATE INDEX ix_st ON dbo.orders (st);\nGO\n\
         INSERT INTO dbo.orders VALUES (1, 2, 10, N'+49 30 1'), (2, 3, 20, N'+49 30 2')",
    )
    .await
    .unwrap();
    let login = reader(&source, "GRANT SELECT ON dbo.orders TO $LOGIN").await;
    let target = TestTarget::on(engine).unwrap();
    let first = job(&source, &target, &login, "").run().unwrap().expect_code(0).unwrap();
    let rows = ["1|2|10.0000|+49 30 1", "2|3|20.0000|+49 30 2"];
    assert_eq!(target.rows("SELECT id, st, amount, phone FROM orders ORDER BY id").unwrap(), rows);
    let plan = job(&source, &target, &login, "").command("plan", &[]).unwrap().expect_code(0).unwrap();
    assert!(words(&plan).contains("does not see the alias types of st, phone"), "{}\n{}", plan.stdout, first.stdout);
    assert!(!words(&plan).contains("goes away"), "{}", plan.stdout);
    job(&source, &target, &login, "").run().unwrap().expect_code(0).unwrap();
    assert_eq!(target.rows("SELECT id, st, amount, phone FROM orders ORDER BY id").unwrap(), rows);
}

/// A CLR type has no base type: the table is refused with the statement that shows the type, and the old one stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_column_of_a_clr_type_that_is_not_shown_refuses_its_table() {
    if std::env::var_os("SYNC_TEST_MSSQL").is_some() {
        println!("a real server makes such a type from an assembly alone: nothing is tested here");
        return;
    }
    let source = TestSource::with(
        "CREATE TYPE dbo.Point EXTERNAL NAME [shapes].[Point];\nGO\n\
         CREATE TABLE dbo.places (id int NOT NULL PRIMARY KEY, p dbo.Point NULL);\nGO\nINSERT INTO dbo.places (id) VALUES (1)",
    )
    .await
    .unwrap();
    let login = reader(&source, "GRANT SELECT ON dbo.places TO $LOGIN").await;
    let target = TestTarget::on(Engine::Postgres).unwrap();
    target
        .run("CREATE TABLE places (id integer PRIMARY KEY, p bytea); INSERT INTO places VALUES (7, '\\x01')")
        .unwrap();
    let refused = job(&source, &target, &login, "").run().unwrap().expect_code(PRECHECK_REFUSED).unwrap();
    let said = words(&refused);
    assert!(said.contains("column p is of a user-defined type that the server does not show"), "{said}");
    assert!(said.contains("GRANT VIEW DEFINITION ON TYPE::"), "{said}");
    assert_eq!(target.rows("SELECT id, p FROM places").unwrap(), ["7|\\x01"]);
    // A comparison without the column would agree.
    job(&source, &target, &login, "").command("verify", &[]).unwrap().expect_code(PRECHECK_REFUSED).unwrap();
    source.run(&format!("GRANT VIEW DEFINITION ON TYPE::dbo.Point TO {login}")).await.unwrap();
    job(&source, &target, &login, "").run().unwrap().expect_code(0).unwrap();
    assert_eq!(target.rows("SELECT id, p FROM places").unwrap(), ["1|∅"]);
}

/// A database's name is taken apart at its points by functions that ask for permissions.
#[tokio::test(flavor = "multi_thread")]
async fn masks_are_noticed_whatever_the_databases_name() {
    let source = TestSource::named("Contoso.Sales").await.unwrap();
    source
        .run(
            "CREATE TABLE dbo.people (id int NOT NULL PRIMARY KEY, \
               mail varchar(40) MASKED WITH (FUNCTION = 'default()') NOT NULL, \
               phone varchar(40) MASKED WITH (FUNCTION = 'default()') NOT NULL);\nGO\n\
             INSERT INTO dbo.people VALUES (1, 'ada@example.com', '123')",
        )
        .await
        .unwrap();
    let login = reader(&source, "GRANT SELECT ON dbo.people TO $LOGIN").await;
    let target = TestTarget::on(Engine::Postgres).unwrap();
    let refused = job(&source, &target, &login, "").run().unwrap().expect_code(PRECHECK_REFUSED).unwrap();
    assert!(words(&refused).contains("column mail is masked"), "{}", refused.stdout);
    assert!(words(&refused).contains("lacks VIEW DEFINITION"), "{}", refused.stdout);
    // Of one column, then of the table: since SQL Server 2022.
    source.run(&format!("GRANT UNMASK ON dbo.people (mail) TO {login}")).await.unwrap();
    let refused = job(&source, &target, &login, "").run().unwrap().expect_code(PRECHECK_REFUSED).unwrap();
    assert!(words(&refused).contains("column phone is masked"), "{}", refused.stdout);
    assert!(!words(&refused).contains("column mail is masked"), "{}", refused.stdout);
    source.run(&format!("GRANT UNMASK ON dbo.people TO {login}")).await.unwrap();
    job(&source, &target, &login, "").run().unwrap().expect_code(0).unwrap();
    assert_eq!(target.rows("SELECT mail, phone FROM people").unwrap(), ["ada@example.com|123"]);
}

/// Neither a view nor a computed column is listed as masked, and both show masks.
#[tokio::test(flavor = "multi_thread")]
async fn masks_are_noticed_behind_views_and_computed_columns() {
    let source = TestSource::with(
        "CREATE TABLE dbo.people (id int NOT NULL PRIMARY KEY, \
           mail varchar(40) MASKED WITH (FUNCTION = 'default()') NOT NULL, short AS (SUBSTRING(mail, 1, 3)));\nGO\n\
         INSERT INTO dbo.people (id, mail) VALUES (1, 'ada@example.com');\nGO\n\
         CREATE VIEW dbo.mails AS SELECT id, UPPER(mail) AS mail FROM dbo.people",
    )
    .await
    .unwrap();
    let login = reader(&source, "GRANT SELECT ON dbo.people TO $LOGIN; GRANT SELECT ON dbo.mails TO $LOGIN").await;
    let target = TestTarget::on(Engine::Postgres).unwrap();
    let without = "views = true\n[[table]]\nsource = \"dbo.people\"\nexclude_columns = [\"mail\"]";
    let refused = job(&source, &target, &login, without).run().unwrap().expect_code(PRECHECK_REFUSED).unwrap();
    for part in ["column short is computed in a table with masked columns", "masked-view", "this view may show masks"] {
        assert!(words(&refused).contains(part), "{part}: {}", refused.stdout);
    }
    let allowed = "views = true\nmasked = \"allow\"";
    let report = job(&source, &target, &login, allowed).run().unwrap().expect_code(0).unwrap();
    assert!(words(&report).contains("masked values are copied"), "{}", report.stdout);
    assert_eq!(target.rows("SELECT p.mail, short, m.mail FROM people p, mails m").unwrap(), ["xxxx|xxx|xxxx"]);
    source.run(&format!("GRANT UNMASK TO {login}")).await.unwrap();
    job(&source, &target, &login, "views = true").run().unwrap().expect_code(0).unwrap();
    let rows = target.rows("SELECT p.mail, short, m.mail FROM people p, mails m").unwrap();
    assert_eq!(rows, ["ada@example.com|ada|ADA@EXAMPLE.COM"]);
}

/// A login that may read the view alone does not see what is masked behind it, and is told so.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_whose_masks_are_not_shown_is_named() {
    let source = TestSource::with(
        "CREATE TABLE dbo.people (id int NOT NULL PRIMARY KEY, \
           mail varchar(40) MASKED WITH (FUNCTION = 'default()') NOT NULL);\nGO\n\
         INSERT INTO dbo.people (id, mail) VALUES (1, 'ada@example.com');\nGO\n\
         CREATE VIEW dbo.mails AS SELECT id, mail FROM dbo.people",
    )
    .await
    .unwrap();
    let login = reader(&source, "GRANT SELECT ON dbo.mails TO $LOGIN").await;
    let target = TestTarget::on(Engine::Postgres).unwrap();
    let job = job(&source, &target, &login, "views = true");
    let plan = job.command("check", &[]).unwrap().expect_code(0).unwrap();
    let said = "masks behind a view (dbo.mails), would not be noticed";
    assert!(words(&plan).contains(said), "{}", plan.stdout);
}

/// Before SQL Server 2022 UNMASK is of the database alone, and the others are not known.
#[tokio::test(flavor = "multi_thread")]
async fn masks_are_noticed_on_servers_that_unmask_whole_databases() {
    if std::env::var_os("SYNC_TEST_MSSQL").is_some() {
        println!("a real server is of one version: nothing is tested here");
        return;
    }
    let source = TestSource::with(
        "CREATE TABLE dbo.people (id int NOT NULL PRIMARY KEY, mail varchar(40) MASKED WITH (FUNCTION = 'default()') NULL);\nGO\n\
         INSERT INTO dbo.people VALUES (1, 'ada@example.com');\nGO\nEXEC simulator_quirk 'unmask of database only', 'on'",
    )
    .await
    .unwrap();
    let login = reader(&source, "GRANT SELECT ON dbo.people TO $LOGIN").await;
    let target = TestTarget::on(Engine::Postgres).unwrap();
    let refused = job(&source, &target, &login, "").run().unwrap().expect_code(PRECHECK_REFUSED).unwrap();
    assert!(words(&refused).contains("column mail is masked"), "{}", refused.stdout);
    source.run(&format!("GRANT UNMASK TO {login}")).await.unwrap();
    job(&source, &target, &login, "").run().unwrap().expect_code(0).unwrap();
    assert_eq!(target.rows("SELECT mail FROM people").unwrap(), ["ada@example.com"]);
}

/// What the server fails to say is no more absent than what it may not say: the report warns of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_fact_that_the_server_fails_to_tell_is_not_taken_for_absent() {
    if std::env::var_os("SYNC_TEST_MSSQL").is_some() {
        println!("a real server cannot be told to fail: nothing is tested here");
        return;
    }
    // The statements that it fails are everybody's: it has a server of its own.
    let path = program("STOPGAP_SIMULATOR", "mssql-simulator").unwrap();
    let simulator = Simulator::start(&path, &simulator::Options::default()).unwrap();
    let address = Address {
        host: simulator.host().to_owned(),
        port: simulator.port(),
        user: simulator::USER.to_owned(),
        password: simulator::PASSWORD.to_owned(),
    };
    let source = TestSource::at(address).await.unwrap();
    source.run("CREATE TABLE dbo.people (id int NOT NULL PRIMARY KEY)").await.unwrap();
    let target = TestTarget::on(Engine::Postgres).unwrap();
    for (view, what) in [
        ("masked_columns", "masked columns"),
        ("encryption_type", "encrypted columns"),
        ("security_policies", "row-level security"),
    ] {
        source.run(&format!("EXEC simulator_fault 'error 8115', '{view}', 0, 1, 0")).await.unwrap();
        let job = Job::new(&source, &target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]");
        let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
        let notes = report["notes"].to_string();
        assert!(notes.contains(&format!("not known: {what}")), "{view}: {report}");
    }
}

/// A foreign key to a table that the login does not see is listed as not created.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_key_to_a_table_that_is_not_shown_is_said() {
    let source = TestSource::with(
        "CREATE TABLE dbo.secrets (id int NOT NULL PRIMARY KEY);\n\
         CREATE TABLE dbo.notes (id int NOT NULL PRIMARY KEY, secret int NULL CONSTRAINT fk_secret FOREIGN KEY REFERENCES dbo.secrets (id))",
    )
    .await
    .unwrap();
    let login = reader(&source, "GRANT SELECT ON dbo.notes TO $LOGIN").await;
    let target = TestTarget::on(Engine::Postgres).unwrap();
    let keys = "foreign_keys = \"create\"";
    let plan = job(&source, &target, &login, keys).command("plan", &[]).unwrap().expect_code(0).unwrap();
    let said = words(&plan);
    assert!(said.contains("foreign key fk_secret: it refers to a table that this login does not see"), "{said}");
}

/// What the catalog lists without joins and does not describe otherwise refuses the table, by name.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_listed_and_not_described_refuses_its_table() {
    if std::env::var_os("SYNC_TEST_MSSQL").is_some() {
        println!("a real server describes what it lists: nothing is tested here");
        return;
    }
    let script = "CREATE TABLE dbo.orders (id int NOT NULL CONSTRAINT pk_orders PRIMARY KEY, note nvarchar(20) NULL);\n\
                  CREATE TABLE dbo.lines (id int NOT NULL CONSTRAINT pk_lines PRIMARY KEY, \
                    [order] int NULL CONSTRAINT fk_order FOREIGN KEY REFERENCES dbo.orders (id))";
    let cases = [
        ("sys.columns", "column id, column note, columns of index pk_orders"),
        ("sys.indexes", "index pk_orders"),
        ("sys.index_columns", "columns of index pk_orders"),
        ("sys.foreign_keys", "foreign key fk_order"),
        ("sys.foreign_key_columns", "columns of foreign key fk_order"),
    ];
    for (view, expected) in cases {
        let source = TestSource::with(&format!("{script}\nGO\nEXEC simulator_quirk 'joined {view} is empty', 'on'"))
            .await
            .unwrap();
        let target = TestTarget::on(Engine::Postgres).unwrap();
        let job = Job::new(&source, &target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]");
        let refused = job.run().unwrap().expect_code(PRECHECK_REFUSED).unwrap();
        assert!(words(&refused).contains(expected), "{view}: {}", refused.stdout);
    }
}

/// What a row of the catalog lacks is an error that names it, or is not known: never "" or "no".
#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_the_catalog_lacks_is_not_made_up() {
    if std::env::var_os("SYNC_TEST_MSSQL").is_some() {
        println!("a real server's catalog lacks none of these: nothing is tested here");
        return;
    }
    let script = "CREATE TABLE dbo.orders (id int IDENTITY(-1, -1) NOT NULL CONSTRAINT pk_orders PRIMARY KEY, note nvarchar(20) NULL);\n\
                  CREATE UNIQUE INDEX ux_note ON dbo.orders (note) WHERE note IS NOT NULL";
    let target = TestTarget::on(Engine::Postgres).unwrap();
    let run = async |column: &str, keys: &str| {
        let source =
            TestSource::with(&format!("{script}\nGO\nEXEC simulator_quirk '{column} is null', 'on'")).await.unwrap();
        let sections = format!("[tables]\ninclude = [\"dbo.*\"]\n{keys}");
        let outcome = Job::new(&source, &target).unwrap().sections(&sections).command("plan", &[]).unwrap();
        (
            outcome.code(),
            format!("{}{}", outcome.stdout, outcome.stderr).split_whitespace().collect::<Vec<_>>().join(" "),
        )
    };
    let mandatory = [
        (
            "sys.columns.is_nullable",
            "the columns could not be read from the source's catalog: the column is_nullable is NULL",
        ),
        (
            "sys.indexes.is_unique",
            "the indexes could not be read from the source's catalog: the column is_unique is NULL",
        ),
        ("sys.objects.name", "the tables could not be read from the source's catalog: the column table_name is NULL"),
    ];
    for (column, expected) in mandatory {
        let (code, said) = run(column, "").await;
        assert!(code != Some(0) && said.contains(expected), "{column}: {code:?}: {said}");
    }
    let (code, said) = run("sys.identity_columns.increment_value", "").await;
    assert!(code == Some(PRECHECK_REFUSED) && said.contains("seed and increment could not be read"), "{said}");
    let (code, said) = run("sys.identity_columns.increment_value", "identity = \"plain\"").await;
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = run("sys.indexes.filter_definition", "").await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("index ux_note: it is filtered: its condition is not shown to this login"), "{said}");
    let (code, said) = run("sys.schemas.name", "").await;
    assert!(code == Some(0) && said.contains("dbo.orders → public.orders"), "{said}");
}

/// Why nothing is found depends on what the login would see.
#[tokio::test(flavor = "multi_thread")]
async fn that_nothing_is_found_is_explained_by_what_is_known() {
    let source = TestSource::new().await.unwrap();
    let target = TestTarget::on(Engine::Postgres).unwrap();
    let as_owner = |tables: &str| {
        let job = Job::new(&source, &target).unwrap().sections(&format!("[tables]\n{tables}"));
        words(&job.command("plan", &[]).unwrap().expect_code(PRECHECK_REFUSED).unwrap())
    };
    let database = &source.database;
    let said = as_owner("include = [\"dbo.*\"]");
    assert!(said.contains(&format!("matches nothing: the database {database} has no table and no view")), "{said}");
    assert!(!said.contains("rant SELECT"), "{said}");
    source
        .run("CREATE TABLE dbo.orders (id int NOT NULL PRIMARY KEY);\nGO\nCREATE VIEW dbo.all_orders AS SELECT id FROM dbo.orders")
        .await
        .unwrap();
    let said = as_owner("include = [\"sales.*\"]");
    assert!(said.contains("matches none of the tables and views") && said.contains("(2, in the schema dbo)"), "{said}");
    assert!(!said.contains("rant SELECT"), "{said}");
    let said = as_owner("include = [\"dbo.*\"]\nexclude = [\"dbo.*\"]");
    assert!(said.contains("tables.exclude matches all 2"), "{said}");
    let said = as_owner("include = [\"dbo.all_*\"]");
    assert!(said.contains("of what matches 1 are views, and views are not copied"), "{said}");
    let login = reader(&source, "").await;
    let refused =
        job(&source, &target, &login, "").command("plan", &[]).unwrap().expect_code(PRECHECK_REFUSED).unwrap();
    let said = words(&refused);
    assert!(
        said.contains(&format!("the login {login} sees no table and no view in the database {database}")),
        "{said}"
    );
    assert!(said.contains(&format!("Grant SELECT on the tables to {login}")), "{said}");
}

on_each_engine!(columns_of_types_that_are_not_shown_are_copied);
