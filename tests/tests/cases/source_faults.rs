//! Faults before the first row: while connecting, while logging in, while the catalog is read, while bounds are looked for.

use std::time::Duration;
use stopgap_servers::{
    ScratchDir,
    simulator::{self, Simulator},
};
use stopgap_tests::{
    certificates::{self, Authority, Flavour},
    job::{Job, Outcome, SOURCE_PASSWORD},
    program,
    source::{Address, TestSource},
    target::{Engine, TestTarget},
};
use tokio::time::sleep;

const COULD_NOT_CONNECT: i32 = 4;
/// At least as long as five waits of which the first is 200 ms and each is twice the one before.
const FIVE_RETRIES: Duration = Duration::from_millis(6_500);

/// A source of this test alone: faults of connections strike whoever comes next.
struct OwnSource {
    source: TestSource,
    // Ends after the source's database was dropped.
    _simulator: Simulator,
}

async fn own_source(tls: Option<(&Authority, Flavour)>, directory: &std::path::Path) -> OwnSource {
    let tls = tls.map(|(authority, flavour)| {
        let (certificate, key) = authority.server(flavour).unwrap();
        (
            certificates::write(directory, "source.pem", &certificate).unwrap(),
            certificates::write(directory, "source.key", &key).unwrap(),
        )
    });
    let options = simulator::Options { tls, ..simulator::Options::default() };
    let simulator = Simulator::start(&program("STOPGAP_SIMULATOR", "mssql-simulator").unwrap(), &options).unwrap();
    let address = Address {
        host: simulator.host().to_owned(),
        port: simulator.port(),
        user: simulator::USER.to_owned(),
        password: simulator::PASSWORD.to_owned(),
    };
    let source = TestSource::at(address).await.unwrap();
    let sql = "CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY); INSERT INTO dbo.items (id) VALUES (1), (2), (3)";
    source.run(sql).await.unwrap();
    OwnSource { source, _simulator: simulator }
}

fn old_rows(engine: Engine) -> TestTarget {
    let target = TestTarget::on(engine).unwrap();
    target.run("CREATE TABLE items (id integer PRIMARY KEY); INSERT INTO items VALUES (-1)").unwrap();
    target
}

fn job(source: &TestSource, target: &TestTarget, retries: u32) -> Job {
    let job = Job::new(source, target).unwrap().job(&format!("retries = {retries}"));
    job.source("connect_timeout = \"1s\"").sections("[tables]\ninclude = [\"dbo.*\"]")
}

fn assert_untouched(target: &TestTarget, outcome: &Outcome, words: &str) {
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(said.to_lowercase().contains(words), "{words:?} is not in: {said}");
    assert!(!said.contains(simulator::PASSWORD), "the password was printed");
    assert_eq!(target.rows("SELECT id FROM items").unwrap(), ["-1"]);
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

/// Each fault as scripted, and what must be said where it does not pass.
const FAULTS: [(&str, &str, &str); 11] = [
    ("refuse", "", "could not connect"),
    ("hang", "", "no answer"),
    ("kill login", "stopgap/", "could not connect"),
    ("login error 40613", "stopgap/", "not currently available"),
    ("login error 18401", "stopgap/", "script upgrade mode"),
    ("drop", "sys.columns", "catalog"),
    ("error 1205", "sys.columns", "deadlock victim"),
    ("error 40501", "sys.objects", "busy"),
    // Facts that a run can do without, where the server cannot tell them at all.
    ("error 1205", "sys.masked_columns", "deadlock victim"),
    ("drop", "sys.security_policies", "did not answer"),
    ("error 40501", "sys.database_files", "busy"),
];

async fn what_passes_before_the_first_row_is_waited_for(engine: Engine) {
    let scratch = ScratchDir::new("faults").unwrap();
    let own = own_source(None, scratch.path()).await;
    let target = old_rows(engine);
    for (action, matching, _) in FAULTS {
        target.run("TRUNCATE items").unwrap();
        own.source.run(&format!("EXEC simulator_fault '{action}', '{matching}', 0, 1, 0")).await.unwrap();
        let outcome = job(&own.source, &target, 3).run().unwrap().expect_code(0);
        let outcome = outcome.unwrap_or_else(|error| panic!("{action} {matching}: {error:#}"));
        assert!(outcome.stderr.contains("trying again"), "{action} {matching}: nothing was tried again");
        assert_eq!(target.rows("SELECT id FROM items ORDER BY id").unwrap(), ["1", "2", "3"], "{action} {matching}");
        assert_eq!(target.leftovers().unwrap(), Vec::<String>::new(), "{action} {matching}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_pass_before_the_first_row_is_said_once() {
    let scratch = ScratchDir::new("faults").unwrap();
    let own = own_source(None, scratch.path()).await;
    let target = old_rows(Engine::Postgres);
    for (action, matching, words) in FAULTS {
        // As often as the job tries: the next fault finds the server well.
        own.source.run(&format!("EXEC simulator_fault '{action}', '{matching}', 0, 2, 0")).await.unwrap();
        let job = job(&own.source, &target, 1).job("outage = \"1ms\"");
        let outcome = job.run().unwrap().expect_code(COULD_NOT_CONNECT);
        let outcome = outcome.unwrap_or_else(|error| panic!("{action} {matching}: {error:#}"));
        assert_untouched(&target, &outcome, words);
    }
}

/// A serverless database of Azure that is paused answers 40613 for up to a minute while it wakes up. Five retries, as long apart as other
/// failures are tried again, would be over before.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_wakes_up_slowly_is_waited_for() {
    let scratch = ScratchDir::new("faults").unwrap();
    let own = own_source(None, scratch.path()).await;
    let target = old_rows(Engine::Postgres);
    own.source.run("EXEC simulator_fault 'login error 40613', 'stopgap/', 0, 9999, 0").await.unwrap();
    let impatient = job(&own.source, &target, 5).job("outage = \"2s\"").run().unwrap();
    assert_untouched(&target, &impatient.expect_code(COULD_NOT_CONNECT).unwrap(), "not currently available");

    let patient = job(&own.source, &target, 5).job("outage = \"1m\"");
    let running = patient.spawn("run", &[]).unwrap();
    sleep(FIVE_RETRIES).await;
    own.source.run("EXEC simulator_disarm 'stopgap/'").await.unwrap();
    let outcome = running.wait().unwrap().expect_code(0).unwrap();
    assert!(outcome.stderr.contains("not currently available"), "{}", outcome.stderr);
    assert_eq!(target.rows("SELECT id FROM items ORDER BY id").unwrap(), ["1", "2", "3"]);
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

/// Error numbers that no list of login errors has. 911 is what Babelfish says of a database that is not there.
#[tokio::test(flavor = "multi_thread")]
async fn any_error_at_login_is_an_error_of_the_connection() {
    let scratch = ScratchDir::new("faults").unwrap();
    let own = own_source(None, scratch.path()).await;
    let target = old_rows(Engine::Postgres);
    for number in [911, 208, 229, 245, 9002, 33_004, 50_000] {
        own.source.run(&format!("EXEC simulator_fault 'login error {number}', 'stopgap/', 0, 9, 0")).await.unwrap();
        let outcome = job(&own.source, &target, 0).run().unwrap().expect_code(COULD_NOT_CONNECT);
        let outcome = outcome.unwrap_or_else(|error| panic!("{number}: {error:#}"));
        assert_untouched(&target, &outcome, "could not connect");
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(said.contains(&format!("Msg {number}")) && !said.contains("old table"), "{number}: {said}");
        own.source.run("EXEC simulator_disarm 'stopgap/'").await.unwrap();
    }
}

/// Read-only routing names the server as its administrators do, with its instance.
#[tokio::test(flavor = "multi_thread")]
async fn a_redirection_to_an_instance_is_followed() {
    let scratch = ScratchDir::new("faults").unwrap();
    let (own, other) = (own_source(None, scratch.path()).await, own_source(None, scratch.path()).await);
    for server in ["127.0.0.1", r"127.0.0.1\SALES"] {
        let target = old_rows(Engine::Postgres);
        let port = other.source.address.port;
        own.source
            .run(&format!("EXEC simulator_fault 'redirect {server},{port}', 'stopgap/', 0, 99, 0"))
            .await
            .unwrap();
        let job = job(&own.source, &target, 0).source(&format!("database = \"{}\"", other.source.database));
        job.run().unwrap().expect_code(0).unwrap_or_else(|error| panic!("{server}: {error:#}"));
        assert_eq!(target.rows("SELECT id FROM items ORDER BY id").unwrap(), ["1", "2", "3"], "{server}");
        own.source.run("EXEC simulator_disarm 'stopgap/'").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_or_user_is_not_tried_again() {
    let scratch = ScratchDir::new("faults").unwrap();
    let own = own_source(None, scratch.path()).await;
    let target = old_rows(Engine::Postgres);
    let wrong = job(&own.source, &target, 3).env(SOURCE_PASSWORD, "not-it").run().unwrap();
    let wrong = wrong.expect_code(COULD_NOT_CONNECT).unwrap();
    assert_untouched(&target, &wrong, "18456");
    assert!(!wrong.stderr.contains("trying again") && !wrong.stdout.contains("not-it"));
    let nobody = job(&own.source, &target, 3).source("user = \"nobody\"").run().unwrap();
    assert_untouched(&target, &nobody.expect_code(COULD_NOT_CONNECT).unwrap(), "nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_be_trusted_is_refused() {
    let authority = Authority::new("Stopgap tests").unwrap();
    let stranger = Authority::new("A stranger").unwrap();
    for (flavour, signed_by) in [
        (Flavour::Good, &authority),
        (Flavour::Good, &stranger),
        (Flavour::Expired, &authority),
        (Flavour::WrongHost, &authority),
    ] {
        let scratch = ScratchDir::new("faults").unwrap();
        let own = own_source(Some((signed_by, flavour)), scratch.path()).await;
        let target = old_rows(Engine::Postgres);
        let trusted = certificates::write(scratch.path(), "trusted.pem", &authority.pem()).unwrap();
        let keys = format!("tls = \"verify-full\"\nca_file = \"{}\"", trusted.display());
        let outcome = job(&own.source, &target, 3).source(&keys).run().unwrap();
        if flavour == Flavour::Good && signed_by.pem() == authority.pem() {
            outcome.expect_code(0).unwrap();
            continue;
        }
        let outcome = outcome.expect_code(COULD_NOT_CONNECT).unwrap();
        assert!(!outcome.stderr.contains("trying again"), "a certificate does not get better by waiting");
        assert_untouched(&target, &outcome, "certificate");
    }
}

on_each_engine!(what_passes_before_the_first_row_is_waited_for);
