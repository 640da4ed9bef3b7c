//! A run that died is continued by the next one, and only such a run: what the source is asked for again is counted there.

use serde_json::Value;
use stopgap_tests::{
    job::{Job, Running},
    source::TestSource,
    target::{Engine, TestTarget},
    tripwire::{Encoding, Tripwire},
};
use tokio::time::{Duration, Instant, sleep};

use super::interruption::fail_over;

const TABLES_FAILED: i32 = 1;
const LEASE_HELD: i32 = 6;
const CHUNKS: usize = 4;

/// Two tables with names that no other test's statements hold: the simulator is everybody's.
struct Fixture {
    source: TestSource,
    target: TestTarget,
    small: String,
    large: String,
}

impl Fixture {
    async fn new(engine: Engine) -> Self {
        Self::on(TestTarget::on(engine).unwrap()).await
    }

    async fn on(target: TestTarget) -> Self {
        let source = TestSource::new().await.unwrap();
        let number = source.database.rsplit('_').next().unwrap().to_owned();
        let (small, large) = (format!("small_{number}"), format!("large_{number}"));
        let digits = "(VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))";
        source
            .run(&format!(
                "ALTER DATABASE [{}] SET ALLOW_SNAPSHOT_ISOLATION ON;\nGO\n\
                 CREATE TABLE dbo.{small} (id int NOT NULL PRIMARY KEY, name nvarchar(20) NOT NULL);\n\
                 CREATE TABLE dbo.{large} (id int NOT NULL PRIMARY KEY, name nvarchar(20) NOT NULL);\nGO\n\
                 INSERT INTO dbo.{small} (id, name) VALUES (1, N'one'), (2, N'two');\n\
                 INSERT INTO dbo.{large} (id, name) SELECT a.d + 10 * b.d + 100 * c.d, CONCAT(N'row ', c.d, b.d, a.d) \
                 FROM {digits} AS a (d) CROSS JOIN {digits} AS b (d) CROSS JOIN (VALUES (0), (1)) AS c (d)",
                source.database
            ))
            .await
            .unwrap();
        Self { source, target, small, large }
    }

    /// Reads one chunk of the large table after the other.
    fn job(&self, consistency: &str) -> Job {
        Job::new(&self.source, &self.target)
            .unwrap()
            .job("readers = 3\ntables = 2")
            .source(&format!("consistency = \"{consistency}\""))
            .sections(&format!(
                "[[table]]\nsource = \"dbo.{}\"\n[[table]]\nsource = \"dbo.{}\"\nreaders = 1\nchunk_rows = 50",
                self.small, self.large
            ))
    }

    /// The end of each statement that reads rows of a table.
    fn read_of(table: &str) -> String {
        format!("[name] FROM [dbo].[{table}]")
    }

    /// Lets so many reads of a table pass, and keeps the next ones waiting for ever.
    async fn stall(&self, table: &str, after: usize) {
        let read = Self::read_of(table);
        self.source.run(&format!("EXEC simulator_disarm '{read}'")).await.unwrap();
        self.source.run(&format!("EXEC simulator_fault 'stall', '{read}', {after}, 1000, 0")).await.unwrap();
    }

    /// From now on the reads of both tables are counted.
    async fn count_reads(&self) {
        for table in [&self.small, &self.large] {
            let read = Self::read_of(table);
            self.source.run(&format!("EXEC simulator_disarm '{read}'")).await.unwrap();
            // It never becomes slow.
            self.source.run(&format!("EXEC simulator_fault 'slow', '{read}', 0, 1000000, 1000000")).await.unwrap();
        }
    }

    /// How often the small and the large table were read since.
    async fn reads(&self) -> (usize, usize) {
        let mut client = self.source.address.connect(&self.source.database).await.unwrap();
        let answer = client.simple_query("EXEC simulator_faults_fired").await.unwrap();
        let rows = answer.into_first_result().await.unwrap();
        let of = |table: &str| {
            let read = Self::read_of(table).to_lowercase();
            let row = rows.iter().find(|row| row.get::<&str, _>(1) == Some(read.as_str())).unwrap();
            row.get::<i32, _>(2).unwrap() as usize
        };
        (of(&self.small), of(&self.large))
    }

    /// Where runs are remembered.
    fn state(&self, table: &str) -> String {
        self.target.engine.pick(format!("stopgap_state.{table}"), table.to_owned())
    }

    fn copied(&self) -> usize {
        // There is no such table before the first run.
        let rows = self.target.rows(&format!("SELECT target_table FROM {}", self.state("stopgap_copied")));
        rows.map_or(0, |rows| rows.len())
    }

    /// The chunks that are committed in a staging table that was left.
    fn chunks(&self) -> usize {
        let logs = self.target.leftovers().unwrap();
        let count = |log: &String| {
            self.target
                .value(&format!("SELECT COUNT(*) FROM {log} WHERE entry LIKE 'chunk %'"))
                .ok()?
                .parse::<usize>()
                .ok()
        };
        logs.iter().filter(|name| name.ends_with('c')).filter_map(count).sum()
    }

    fn assert_alike(&self) {
        let rows =
            self.target.rows(&format!("SELECT COUNT(*), COUNT(DISTINCT id), MIN(name), MAX(name) FROM {}", self.large));
        assert_eq!(rows.unwrap(), ["200|200|row 000|row 199"]);
        assert_eq!(self.target.rows(&format!("SELECT name FROM {} ORDER BY id", self.small)).unwrap(), ["one", "two"]);
        assert_eq!(self.target.leftovers().unwrap(), Vec::<String>::new());
    }

    /// A run that dies once the small table is before readers and so many chunks of the large one are committed.
    async fn die(&self, job: &Job, chunks: usize) {
        self.stall(&self.large, chunks).await;
        let running = job.spawn("run", &[]).unwrap();
        let is_there = || self.copied() == 1 && (chunks == 0 || self.chunks() == chunks);
        until(&running, is_there).await;
        kill(running);
    }
}

async fn until(running: &Running, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !is_so() {
        assert!(Instant::now() < deadline, "it never came to that: {}", running.said());
        sleep(Duration::from_millis(10)).await;
    }
}

fn kill(running: Running) {
    running.signal("KILL").unwrap();
    running.wait().unwrap();
}

/// The next run. The dead one's lease goes with its connections, which the server has to notice.
async fn run(job: &Job) -> Value {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let outcome = job.run().unwrap();
        if outcome.code() == Some(LEASE_HELD) && Instant::now() < deadline {
            sleep(Duration::from_millis(50)).await;
            continue;
        }
        return outcome.expect_code(0).unwrap().json().unwrap();
    }
}

fn of<'a>(report: &'a Value, table: &str) -> &'a Value {
    let tables = report["tables"].as_array().unwrap();
    tables.iter().find(|found| found["source"] == format!("dbo.{table}")).unwrap()
}

async fn tables_that_a_dead_run_swapped_in_are_not_read_again(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let job = fixture.job("snapshot");
    fixture.die(&job, 0).await;

    fixture.count_reads().await;
    let report = run(&job).await;
    fixture.assert_alike();
    assert_eq!(fixture.reads().await, (0, 1), "{report}");
    let taken = &of(&report, &fixture.small)["taken_over"];
    assert_eq!((&taken["chunks"], &taken["rows"]), (&Value::Null, &2.into()), "{report}");
    assert!(taken["bytes"].as_u64().unwrap() > 0, "{report}");
    assert_eq!(of(&report, &fixture.large)["taken_over"], Value::Null, "one transaction reads all of it");
    assert!(report["notes"].to_string().contains("this one continues it"), "{report}");

    // A run that has ended is not continued, however it ended.
    fixture.count_reads().await;
    let report = run(&job).await;
    assert_eq!(fixture.reads().await, (1, 1), "{report}");
    assert_eq!(of(&report, &fixture.small)["taken_over"], Value::Null);
    fixture.assert_alike();
}

/// The job file had the wrong database: what was copied from there is nobody's.
async fn a_dead_run_of_another_database_is_not_continued(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    fixture.die(&fixture.job("snapshot"), 0).await;
    let other = TestSource::new().await.unwrap();
    let (small, large) = (&fixture.small, &fixture.large);
    other
        .run(&format!(
            "ALTER DATABASE [{}] SET ALLOW_SNAPSHOT_ISOLATION ON;\nGO\n\
             CREATE TABLE dbo.{small} (id int NOT NULL PRIMARY KEY, name nvarchar(20) NOT NULL);\n\
             CREATE TABLE dbo.{large} (id int NOT NULL PRIMARY KEY, name nvarchar(20) NOT NULL);\nGO\n\
             INSERT INTO dbo.{small} (id, name) VALUES (1, N'right'), (2, N'too')",
            other.database
        ))
        .await
        .unwrap();
    let job = fixture.job("snapshot").source(&format!("database = \"{}\"", other.database));
    fixture.source.run(&format!("EXEC simulator_disarm '{}'", Fixture::read_of(large))).await.unwrap();
    let report = run(&job).await;
    assert_eq!(of(&report, small)["taken_over"], Value::Null, "{report}");
    assert!(report["notes"].to_string().contains("so every table is copied"), "{report}");
    assert_eq!(fixture.target.rows(&format!("SELECT name FROM {small} ORDER BY id")).unwrap(), ["right", "too"]);
}

/// Its other tables are as old as it is.
async fn a_run_with_a_failed_table_has_ended(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let fault = format!("EXEC simulator_fault 'error 50000', '{}', 0, 1000, 0", Fixture::read_of(&fixture.large));
    fixture.source.run(&fault).await.unwrap();
    let job = fixture.job("snapshot");
    job.run().unwrap().expect_code(TABLES_FAILED).unwrap();
    fixture.count_reads().await;
    let report = run(&job).await;
    assert_eq!(fixture.reads().await, (1, 1), "{report}");
    fixture.assert_alike();
}

/// What the dead run had done is believed only where all is as it was.
async fn what_changed_since_is_copied_again(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let (small, job) = (fixture.small.clone(), fixture.job("snapshot"));
    let garbled = format!("UPDATE {} SET details = '{{}}'", fixture.state("stopgap_copied"));
    let lost = format!("DROP TABLE {}", fixture.state("stopgap_copied"));
    let written = format!("UPDATE {small} SET name = 'two!' WHERE id = 2");
    for (change, job) in [
        ("", job.twin().unwrap().job("resume_within = \"1ms\"")),
        ("", job.twin().unwrap().job("resume_within = \"off\"")),
        (garbled.as_str(), job.twin().unwrap()),
        (lost.as_str(), job.twin().unwrap()),
        (written.as_str(), job.twin().unwrap()),
        ("", job.twin().unwrap().sections("[tables]\nindexes = \"none\"")),
    ] {
        let what = format!("{change} {}", job.text());
        let ready = fixture.job("snapshot");
        fixture.die(&ready, 0).await;
        fixture.count_reads().await;
        if !change.is_empty() {
            fixture.target.run(change).unwrap();
        }
        let report = run(&job).await;
        assert_eq!(fixture.reads().await, (1, 1), "{what}: {report}");
        fixture.assert_alike();
        if change == written || job.text().contains("indexes") {
            let warnings = of(&report, &small)["warnings"].to_string();
            assert!(warnings.contains("copied again"), "{what}: {report}");
        }
        if change == garbled {
            assert!(report["notes"].to_string().contains("did not write"), "{report}");
        }
    }
    // Who chooses a table asks for a new copy of it.
    fixture.die(&job, 0).await;
    fixture.count_reads().await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while job.command("run", &["--table", &format!("dbo.{small}")]).unwrap().code() == Some(LEASE_HELD) {
        assert!(Instant::now() < deadline, "the lease stayed");
    }
    assert_eq!(fixture.reads().await, (1, 0));
}

async fn chunks_that_a_dead_run_committed_are_not_read_again(engine: Engine) {
    for done in 1..CHUNKS {
        let fixture = Fixture::new(engine).await;
        let job = fixture.job("none");
        fixture.die(&job, done).await;
        fixture.count_reads().await;
        let report = run(&job).await;
        assert_eq!(fixture.reads().await, (0, CHUNKS - done), "{report}");
        fixture.assert_alike();
        let large = of(&report, &fixture.large);
        assert_eq!(large["taken_over"]["chunks"], serde_json::json!([done, CHUNKS]), "{report}");
        assert_eq!((&large["taken_over"]["rows"], &large["rows"]), (&(50 * done).into(), &200.into()), "{report}");
        assert_eq!(of(&report, &fixture.small)["taken_over"]["rows"], 2, "{report}");
    }
}

/// Rows that somebody changed in a staging table, or that a restart took from it, are not taken for those that were read.
async fn a_staging_table_that_is_not_what_its_log_says_is_filled_anew(engine: Engine) {
    for change in [
        "DELETE FROM $STAGING WHERE id = $ID",
        "UPDATE $STAGING SET name = 'seven' WHERE id = $ID",
        "DELETE FROM $STAGINGc WHERE entry = '$CHUNK'",
    ] {
        let fixture = Fixture::new(engine).await;
        let job = fixture.job("none");
        fixture.die(&job, 2).await;
        let left = fixture.target.leftovers().unwrap();
        let log = left.iter().find(|name| name.ends_with('c')).unwrap();
        let staging = log.trim_end_matches('c');
        // Readers do not take the chunks in their order.
        let id = fixture.target.value(&format!("SELECT MIN(id) FROM {staging}")).unwrap();
        let chunk = fixture.target.value(&format!("SELECT MIN(entry) FROM {log} WHERE entry LIKE 'chunk %'")).unwrap();
        let change = change.replace("$STAGING", staging).replace("$ID", &id).replace("$CHUNK", &chunk);
        fixture.target.run(&change).unwrap();
        fixture.count_reads().await;
        let report = run(&job).await;
        assert_eq!(fixture.reads().await, (0, CHUNKS), "{change}: {report}");
        let large = of(&report, &fixture.large);
        assert_eq!(large["taken_over"], Value::Null, "{change}: {report}");
        assert!(large["warnings"].to_string().contains("nothing was taken over"), "{change}: {report}");
        fixture.assert_alike();
    }
}

/// The source's own sums belong to the moment at which the dead run began to read.
async fn a_source_that_changed_since_is_said_to_have_moved(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let job = fixture.job("none");
    fixture.die(&job, 2).await;
    fixture.count_reads().await;
    let change = format!("UPDATE dbo.{} SET name = N'row 00x' WHERE id = 7", fixture.large);
    fixture.source.run(&change).await.unwrap();
    let report = run(&job).await;
    assert_eq!(fixture.reads().await, (0, CHUNKS - 2), "{report}");
    assert_eq!(of(&report, &fixture.large)["witness"]["state"], "moved", "{report}");
    fixture.assert_alike();
}

/// The next run is continued as well, and what the first one had done still counts.
async fn a_run_that_continued_another_is_continued(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let job = fixture.job("none");
    fixture.die(&job, 1).await;
    fixture.stall(&fixture.large, 1).await;
    let running = started(&job).await;
    until(&running, || fixture.chunks() == 2).await;
    kill(running);
    fixture.count_reads().await;
    let report = run(&job).await;
    assert_eq!(fixture.reads().await, (0, CHUNKS - 2), "{report}");
    fixture.assert_alike();
}

/// A run that got the lease.
async fn started(job: &Job) -> Running {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let mut running = job.spawn("run", &["-v"]).unwrap();
        while !running.said().contains("continuing a run that died") && !running.has_ended().unwrap() {
            sleep(Duration::from_millis(10)).await;
        }
        if !running.has_ended().unwrap() {
            return running;
        }
        assert!(Instant::now() < deadline, "it never began: {}", running.said());
    }
}

/// It holds no lease any more, and wakes up when another run has taken over: nothing of it is committed.
async fn a_run_that_was_taken_over_commits_nothing(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let job = fixture.job("none").job("stall_timeout = \"2s\"\nreaders = 3\ntables = 2");
    fixture.stall(&fixture.large, 2).await;
    let first = job.spawn("run", &[]).unwrap();
    until(&first, || fixture.copied() == 1 && fixture.chunks() == 2).await;
    first.signal("STOP").unwrap();
    fail_over(&fixture.target).await;
    fixture.count_reads().await;
    let report = run(&job.twin().unwrap()).await;
    assert_eq!(fixture.reads().await, (0, CHUNKS - 2), "{report}");
    fixture.assert_alike();
    first.signal("CONT").unwrap();
    let outcome = first.wait().unwrap().expect_code(TABLES_FAILED).unwrap();
    assert!(outcome.stdout.contains(&format!("{} failed", fixture.large)), "{}", outcome.stdout);
    fixture.assert_alike();
    // It has not ended the run that took over, and that one has ended: nothing is continued.
    fixture.count_reads().await;
    run(&job).await;
    assert_eq!(fixture.reads().await, (1, CHUNKS));
}

/// What is not written to PostgreSQL's log of changes is emptied by a crash; all else outlives it.
#[tokio::test(flavor = "multi_thread")]
async fn unlogged_staging_tables_are_not_taken_over_after_a_restart() {
    for (publication, wanted) in
        [("", (0, CHUNKS - 2)), ("CREATE PUBLICATION pub FOR TABLES IN SCHEMA public", (0, CHUNKS))]
    {
        let mut fixture = Fixture::on(TestTarget::with_own_server(None, &[]).unwrap()).await;
        if !publication.is_empty() {
            fixture.target.run(publication).unwrap();
        }
        fixture.die(&fixture.job("none"), 2).await;
        fixture.target.crash().unwrap();
        fixture.target.start_again().unwrap();
        fixture.count_reads().await;
        let report = run(&fixture.job("none")).await;
        assert_eq!(fixture.reads().await, wanted, "{publication}: {report}");
        fixture.assert_alike();
    }
}

/// A view of the source outlives the run that made it; tables of one moment are continued from that alone.
async fn tables_of_one_moment_are_continued_from_their_database_snapshot(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let job = fixture.job("database-snapshot");
    let snapshots = "SELECT name FROM sys.databases WHERE source_database_id = DB_ID()";
    for is_lost in [false, true] {
        fixture.die(&job, 2).await;
        let left = fixture.source.texts(snapshots).await.unwrap();
        let left = left[0].clone().unwrap();
        fixture
            .source
            .run(&format!("INSERT INTO dbo.{} (id, name) VALUES ({}, N'later')", fixture.small, 3 + i32::from(is_lost)))
            .await
            .unwrap();
        if is_lost {
            fixture.source.run(&format!("DROP DATABASE [{left}]")).await.unwrap();
        }
        fixture.count_reads().await;
        let report = run(&job).await;
        let wanted = if is_lost { (1, CHUNKS) } else { (0, CHUNKS - 2) };
        assert_eq!(fixture.reads().await, wanted, "{report}");
        let names = fixture.target.rows(&format!("SELECT name FROM {} ORDER BY id", fixture.small)).unwrap();
        assert_eq!(names.join(" "), if is_lost { "one two later later" } else { "one two" });
        assert_eq!(fixture.source.texts(snapshots).await.unwrap(), Vec::<Option<String>>::new());
        assert_eq!(fixture.target.leftovers().unwrap(), Vec::<String>::new());
    }
}

/// A login that may remember nothing copies as ever.
async fn a_login_that_may_not_remember_is_told_so_and_copies(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let state = if engine == Engine::Postgres { "state = \"nobodys\"" } else { "state = \"nobodys_database\"" };
    let login =
        stopgap_tests::logins::Login::with_rights(&fixture.target, |grant| !grant.contains("ON DATABASE")).unwrap();
    let job = login.of(fixture.job("none").target(state));
    let plan = job.command("plan", &[]).unwrap().expect_code(0).unwrap();
    assert!(plan.stdout.contains("not-resumable") && plan.stdout.contains("GRANT"), "{}", plan.stdout);
    let report = run(&job).await;
    assert_eq!(of(&report, &fixture.large)["outcome"], "copied", "{report}");
    fixture.assert_alike();
    login.drop_from(&fixture.target).unwrap();
}

/// The job is killed around each statement that the log of commits is about: whatever was committed then, the next run reads the rest and
/// nothing else.
async fn a_job_killed_at_any_statement_of_the_log(engine: Engine) {
    for entry in ["plan", "chunk 0", "chunk 2", "swap", "copied"] {
        for is_before in [true, false] {
            // MariaDB and MySQL put tables before readers by a RENAME, which no row of the log belongs to.
            if entry == "swap" && engine != Engine::Postgres {
                continue;
            }
            let what = format!("{engine:?}, {entry}, before: {is_before}");
            let fixture = Fixture::new(engine).await;
            let sections = format!("[[table]]\nsource = \"dbo.{}\"\nreaders = 1\nchunk_rows = 50", fixture.large);
            let job = Job::new(&fixture.source, &fixture.target).unwrap().job("readers = 2").sections(&sections);
            let tripwire = Tripwire::start(fixture.target.port()).await.unwrap();
            let text = match entry {
                "copied" => format!("INSERT INTO {}", quoted(&fixture)),
                entry => engine.pick(format!("(E'{entry}"), format!("('{entry}")),
            };
            if is_before {
                tripwire.arm_before(&text, Encoding::Utf8);
            } else {
                tripwire.arm(&text, Encoding::Utf8);
            }
            let doomed = job.twin().unwrap().through(tripwire.port);
            let running = doomed.spawn("run", &[]).unwrap();
            if let Err(error) = tripwire.tripped().await {
                panic!("{what}: {error}; {}", running.said());
            }
            kill(running);
            drop(tripwire);
            // The server finishes what it was given.
            sleep(Duration::from_millis(300)).await;
            let (done, is_copied) = (fixture.chunks(), fixture.copied() == 1);
            fixture.count_reads().await;
            let report = run(&job).await;
            let (_, read) = fixture.reads().await;
            let is_swapped = fixture.target.leftovers().unwrap().is_empty();
            assert!(is_swapped, "{what}");
            let rows = fixture
                .target
                .rows(&format!("SELECT COUNT(*), COUNT(DISTINCT id), MIN(name), MAX(name) FROM {}", fixture.large));
            assert_eq!(rows.unwrap(), ["200|200|row 000|row 199"], "{what}");
            // Once every table is copied the run had done all that it had to: the next one is due. Without a plan, or a staging table,
            // there is nothing to go on from.
            let wanted = if is_copied || done == 0 { CHUNKS } else { CHUNKS - done };
            assert_eq!(read, wanted, "{what}: {report}");
        }
    }
}

/// The table of copied tables, as statements have it.
fn quoted(fixture: &Fixture) -> String {
    let database = &fixture.target.database;
    fixture
        .target
        .engine
        .pick("\"stopgap_state\".\"stopgap_copied\"".to_owned(), format!("`{database}`.`stopgap_copied`"))
}

on_each_engine!(
    a_dead_run_of_another_database_is_not_continued,
    a_job_killed_at_any_statement_of_the_log,
    a_login_that_may_not_remember_is_told_so_and_copies,
    a_run_that_continued_another_is_continued,
    a_run_that_was_taken_over_commits_nothing,
    a_run_with_a_failed_table_has_ended,
    a_source_that_changed_since_is_said_to_have_moved,
    a_staging_table_that_is_not_what_its_log_says_is_filled_anew,
    chunks_that_a_dead_run_committed_are_not_read_again,
    tables_of_one_moment_are_continued_from_their_database_snapshot,
    tables_that_a_dead_run_swapped_in_are_not_read_again,
    what_changed_since_is_copied_again,
);
