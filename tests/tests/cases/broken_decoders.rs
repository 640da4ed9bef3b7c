//! Decoders that are wrong on purpose, each in the real job: the digest agrees with every one of them, the witness with none.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use stopgap_servers::simulator::{self, Simulator};
use stopgap_tests::{
    job::{Job, Outcome},
    program,
    source::{Address, TestSource},
    target::{Engine, TestTarget},
};

const TABLES_FAILED: i32 = 1;

/// A table that bears a fault's name: the columns beside `id`, and rows of which the fault spoils at least one.
struct Fault {
    name: &'static str,
    columns: &'static str,
    rows: &'static str,
}

const FAULTS: [Fault; 15] = [
    // A double is exact up to 2^53 ten-thousandths.
    Fault {
        name: "money_as_double",
        columns: "value money NULL",
        rows: "(1, 1.25), (2, 900719925474.0993), (3, -0.0001)",
    },
    Fault { name: "sign_lost", columns: "value decimal(9,2) NULL", rows: "(1, 5.25), (2, -7.10), (3, NULL)" },
    Fault { name: "last_digit_lost", columns: "value decimal(20,4) NOT NULL", rows: "(1, 12345678.9012), (2, 3.1415)" },
    Fault { name: "double_as_real", columns: "value float NULL", rows: "(1, 0.5), (2, 0.1)" },
    Fault { name: "cut_to_32_bits", columns: "value bigint NOT NULL", rows: "(1, 7), (2, 5000000000)" },
    Fault { name: "dropped", columns: "value int NULL", rows: "(1, 0), (2, 8)" },
    Fault {
        name: "of_another_column",
        columns: "before int NOT NULL, value int NOT NULL",
        rows: "(1, 1, 2), (2, 5, 5)",
    },
    Fault {
        name: "code_page_swapped",
        columns: "value varchar(20) COLLATE Cyrillic_General_CI_AS NULL",
        rows: "(1, N'plain'), (2, N'Привет')",
    },
    Fault { name: "bytes_swapped", columns: "value nvarchar(20) NULL", rows: "(1, N'AB'), (2, N'')" },
    Fault {
        name: "text_cut",
        columns: "value nvarchar(400) NOT NULL",
        rows: "(1, N'short'), (2, REPLICATE(N'x', 300))",
    },
    Fault { name: "a_day_off", columns: "value date NULL", rows: "(1, '2024-02-29'), (2, '1899-12-31')" },
    Fault {
        name: "tick_rounded",
        columns: "value datetime2(7) NOT NULL",
        rows: "(1, '2024-02-29T12:00:00'), (2, '2024-02-29T23:59:58.1234567')",
    },
    Fault {
        name: "id_in_wire_order",
        columns: "value uniqueidentifier NULL",
        rows: "(1, '6F9619FF-8B86-D011-B42D-00C04FC964FF'), (2, NULL)",
    },
    Fault { name: "last_byte_lost", columns: "value varbinary(9) NOT NULL", rows: "(1, 0x), (2, 0x00FF)" },
    Fault {
        name: "offset_ignored",
        columns: "value datetimeoffset(3) NOT NULL",
        rows: "(1, '2024-02-29T12:00:00+00:00'), (2, '2024-02-29T12:00:00+02:00')",
    },
];

/// A table that no fault is named after.
const INTACT: &str = "intact";

fn script() -> String {
    let mut script = format!(
        "CREATE TABLE dbo.{INTACT} (id int NOT NULL PRIMARY KEY, value money NULL);
         INSERT INTO dbo.{INTACT} VALUES (1, 900719925474.0993);"
    );
    for Fault { name, columns, rows } in &FAULTS {
        write!(
            script,
            "\nGO\nCREATE TABLE dbo.{name} (id int NOT NULL PRIMARY KEY, {columns}); INSERT INTO dbo.{name} VALUES {rows};"
        )
        .unwrap();
    }
    script
}

/// All rows of all tables.
fn copies(target: &TestTarget) -> BTreeMap<&'static str, Vec<String>> {
    FAULTS
        .iter()
        .map(|fault| fault.name)
        .chain([INTACT])
        .map(|name| (name, target.rows(&format!("SELECT * FROM {name} ORDER BY id")).unwrap()))
        .collect()
}

fn job(source: &TestSource, target: &TestTarget, more: &str) -> Job {
    Job::new(source, target).unwrap().sections(&format!("[tables]\ninclude = [\"dbo.*\"]\n{more}"))
}

/// Every table that bears a fault's name failed at the witness, which names the column; the others did not.
fn assert_found(outcome: &Outcome) {
    let report = outcome.json().unwrap();
    let tables = report["tables"].as_array().unwrap();
    assert_eq!(tables.len(), FAULTS.len() + 1);
    for table in tables {
        let failure = &table["failure"];
        if table["source"] == format!("dbo.{INTACT}") {
            assert!(failure.is_null(), "{table}");
            continue;
        }
        let message = failure["message"].as_str().unwrap_or_default();
        assert!(failure["stage"] == "witness" && message.contains("column value"), "{table}");
    }
}

on_each_engine!(the_witness_finds_what_the_digest_cannot, an_older_server_finds_it_as_well);

async fn the_witness_finds_what_the_digest_cannot(engine: Engine) {
    let source = TestSource::with(&script()).await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    job(&source, &target, "").run().unwrap().expect_code(0).unwrap();
    let right = copies(&target);

    let watched = job(&source, &target, "").broken();
    assert_found(&watched.run().unwrap().expect_code(TABLES_FAILED).unwrap());
    assert_eq!(copies(&target), right, "a table that failed was not kept");
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());

    let alone = job(&source, &target, "witness = \"off\"").broken();
    for (command, verb) in [("run", "rows in"), ("verify", "rows verified in")] {
        let outcome = alone.command(command, &[]).unwrap().expect_code(0).unwrap();
        let tables = format!(": {} tables", FAULTS.len() + 1);
        let headline = outcome.stdout.lines().next().unwrap_or_default();
        let ok = headline.starts_with("[OK]") && headline.contains(&tables) && headline.contains(verb);
        assert!(ok, "{}", outcome.stdout);
    }
    let wrong = copies(&target);
    for fault in &FAULTS {
        assert_ne!(wrong[fault.name], right[fault.name], "{} spoils nothing", fault.name);
    }
    assert_eq!(wrong[INTACT], right[INTACT]);
    // `verify` reads as wrongly as the run did, and asks the source as well.
    assert_found(&watched.command("verify", &["--format", "json"]).unwrap().expect_code(TABLES_FAILED).unwrap());
}

/// Without UTF-8 collations there are no hashes of text: its code points tell.
async fn an_older_server_finds_it_as_well(engine: Engine) {
    let options = simulator::Options { server_version: Some("2014"), ..simulator::Options::default() };
    let simulator = Simulator::start(&program("STOPGAP_SIMULATOR", "mssql-simulator").unwrap(), &options).unwrap();
    let address = Address {
        host: simulator.host().to_owned(),
        port: simulator.port(),
        user: simulator::USER.to_owned(),
        password: simulator::PASSWORD.to_owned(),
    };
    let source = TestSource::at(address).await.unwrap();
    source.run(&script()).await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    assert_found(&job(&source, &target, "").broken().run().unwrap().expect_code(TABLES_FAILED).unwrap());
    job(&source, &target, "").run().unwrap().expect_code(0).unwrap();
}

/// The faults are in the program that is built for them, and in no other.
#[test]
fn the_deployed_job_has_no_broken_decoder() {
    let marks = |variable: &str, name: &str| {
        let program = std::fs::read(program(variable, name).unwrap()).unwrap();
        program.windows(23).any(|bytes| bytes == b"STOPGAP_BROKEN_DECODERS")
    };
    assert!(marks("STOPGAP_BROKEN_JOB", "sync-job-broken"));
    assert!(!marks("STOPGAP_SYNC_JOB", "sync-job"));
}
