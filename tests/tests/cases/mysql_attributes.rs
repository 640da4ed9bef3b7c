//! What people gave a table on MySQL and MariaDB: it is still there after a run, on the new table or on the old one that stays in place.

use stopgap_tests::{
    job::Job,
    source::TestSource,
    target::{Engine, TestTarget},
};

const PRECHECK_REFUSED: i32 = 3;

const SOURCE: &str = "CREATE TABLE dbo.items (id int NOT NULL CONSTRAINT pk_items PRIMARY KEY, name nvarchar(40) NOT NULL, \
       notes nvarchar(max) NULL, size int NULL, first_day date NOT NULL, last_day date NOT NULL, changed datetime2(3) NULL); \
     CREATE INDEX ix_items ON dbo.items (size); \
     INSERT INTO dbo.items (id, name, notes, size, first_day, last_day) VALUES (1, N'one', N'a', 10, '2026-01-01', '2026-02-01'), \
       (2, N'two', N'b', 20, '2026-01-01', '2026-02-01')";

struct Fixture {
    source: TestSource,
    target: TestTarget,
    job: Job,
    runs: usize,
}

impl Fixture {
    /// A table that an earlier run made.
    async fn new(engine: Engine) -> Self {
        Self::on(TestTarget::on(engine).unwrap()).await
    }

    async fn on(target: TestTarget) -> Self {
        let source = TestSource::with(SOURCE).await.unwrap();
        let job = Job::new(&source, &target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]");
        job.run().unwrap().expect_code(0).unwrap();
        Self { source, target, job, runs: 0 }
    }

    /// How another run brings new rows.
    async fn run(&mut self) -> String {
        self.runs += 1;
        self.source.run(&format!("UPDATE dbo.items SET notes = N'run {}'", self.runs)).await.unwrap();
        let report = self.job.run().unwrap().expect_code(0).unwrap().json().unwrap();
        let rows = self.target.rows("SELECT DISTINCT notes FROM items").unwrap();
        assert_eq!(rows, [format!("run {}", self.runs)]);
        assert_eq!(self.target.leftovers().unwrap(), Vec::<String>::new());
        report["tables"][0]["swap"].as_str().unwrap().to_owned()
    }

    fn reason(&self) -> String {
        let plan = self.job.command("plan", &["--format", "json"]).unwrap().expect_code(0).unwrap().json().unwrap();
        plan["tables"][0]["swap"]["reason"].as_str().unwrap().to_owned()
    }

    fn definition(&self) -> String {
        self.target.value("SHOW CREATE TABLE items").unwrap()
    }
}

async fn what_is_preserved_is_on_the_new_table(engine: Engine) {
    let mut fixture = Fixture::new(engine).await;
    let mut attributes = vec![
        ("COMMENT = 'a table'", "COMMENT='a table'"),
        (
            "MODIFY name varchar(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci NOT NULL COMMENT 'a name'",
            "COMMENT 'a name'",
        ),
        ("COMMENT = 'a table'", "COLLATE utf8mb4_unicode_520_ci NOT NULL"),
        ("STATS_PERSISTENT = 1", "STATS_PERSISTENT=1"),
        ("STATS_AUTO_RECALC = 0", "STATS_AUTO_RECALC=0"),
        ("STATS_SAMPLE_PAGES = 7", "STATS_SAMPLE_PAGES=7"),
        ("MIN_ROWS = 2", "MIN_ROWS=2"),
        ("MAX_ROWS = 1000", "MAX_ROWS=1000"),
        ("AVG_ROW_LENGTH = 80", "AVG_ROW_LENGTH=80"),
        ("PACK_KEYS = 1", "PACK_KEYS=1"),
        ("CHECKSUM = 1", "CHECKSUM=1"),
        ("DELAY_KEY_WRITE = 1", "DELAY_KEY_WRITE=1"),
        ("ROW_FORMAT = COMPRESSED, KEY_BLOCK_SIZE = 4", "ROW_FORMAT=COMPRESSED"),
        ("COMMENT = 'a table'", "KEY_BLOCK_SIZE=4"),
    ];
    if engine == Engine::MariaDb {
        attributes.extend([("TRANSACTIONAL = 1", "TRANSACTIONAL=1")]);
    }
    for (set, _) in &attributes {
        fixture.target.run(&format!("ALTER TABLE items {set}")).unwrap_or_else(|error| panic!("{set}: {error:#}"));
    }
    for _ in 0..2 {
        assert_eq!(fixture.run().await, "rename", "{}", fixture.reason());
        let definition = fixture.definition();
        for (set, shown) in &attributes {
            assert!(definition.to_uppercase().contains(&shown.to_uppercase()), "{set}: {definition}");
        }
    }
}

/// Each is set, named as the reason, still there after the run, and gone only by its own statement.
async fn what_cannot_be_preserved_keeps_the_table(engine: Engine) {
    let mut fixture = Fixture::new(engine).await;
    let again = "DROP KEY ix_items, ADD KEY ix_items (size)";
    let plain = "MODIFY size int NULL";
    let mut additions = vec![
        ("MODIFY size int NULL INVISIBLE", "the invisible column size", plain),
        ("ALTER size SET DEFAULT 5", "the default of column size", plain),
        ("ALTER name SET DEFAULT ''", "the default of column name", "ALTER name DROP DEFAULT"),
        ("ROW_FORMAT = COMPACT", "ROW_FORMAT=COMPACT", "ROW_FORMAT = DYNAMIC"),
        ("DROP KEY ix_items, ADD KEY ix_items (size) COMMENT 'mine'", "the comment of index ix_items", again),
        (
            "ADD KEY short (name(3))",
            "the index short over the beginning of column name, index short, which this job did not make",
            "DROP KEY short",
        ),
        ("PARTITION BY HASH (id) PARTITIONS 2", "its partitions", "REMOVE PARTITIONING"),
        ("ADD CONSTRAINT positive CHECK (size > 0)", "check constraint positive", "DROP CONSTRAINT positive"),
    ];
    let changed = "MODIFY changed datetime(3) NULL";
    if engine == Engine::MySql {
        additions.extend([
            ("ALTER INDEX ix_items INVISIBLE", "INVISIBLE of index ix_items", "ALTER INDEX ix_items VISIBLE"),
            ("MODIFY size int COLUMN_FORMAT FIXED", "COLUMN_FORMAT FIXED of column size", plain),
            ("MODIFY size int NOT SECONDARY", "NOT SECONDARY of column size", plain),
            ("MODIFY size int SECONDARY_ENGINE_ATTRIBUTE '{}'", "SECONDARY_ENGINE_ATTRIBUTE of column size", plain),
            ("AUTOEXTEND_SIZE = 4M", "AUTOEXTEND_SIZE=4194304", "AUTOEXTEND_SIZE = 0"),
            ("TABLESPACE innodb_system", "TABLESPACE innodb_system", "TABLESPACE innodb_file_per_table"),
            (
                "MODIFY changed datetime(3) NULL ON UPDATE CURRENT_TIMESTAMP(3)",
                "ON UPDATE CURRENT_TIMESTAMP of column changed",
                changed,
            ),
        ]);
    } else {
        additions.extend([
            ("ADD SYSTEM VERSIONING", "WITH SYSTEM VERSIONING", "DROP SYSTEM VERSIONING"),
            (
                "ADD PERIOD FOR valid (first_day, last_day)",
                "check constraint valid, the period valid",
                "DROP PERIOD FOR valid",
            ),
            ("MODIFY notes longtext COMPRESSED", "COMPRESSED of column notes", "MODIFY notes longtext"),
            ("ALTER INDEX ix_items IGNORED", "IGNORED of index ix_items", "ALTER INDEX ix_items NOT IGNORED"),
            ("MODIFY size int CHECK (size > 0)", "the check of column size", plain),
            (
                "MODIFY changed datetime(3) NULL ON UPDATE CURRENT_TIMESTAMP(3)",
                "ON UPDATE current_timestamp of column changed",
                changed,
            ),
        ]);
    }
    for (set, reason, remove) in additions {
        fixture.target.run(&format!("ALTER TABLE items {set}")).unwrap_or_else(|error| panic!("{set}: {error:#}"));
        let definition = without_counters(&fixture.definition());
        assert_eq!(fixture.reason(), format!("because of {reason}"), "{set}: {definition}");
        assert_eq!(fixture.run().await, "replace", "{set}");
        assert_eq!(without_counters(&fixture.definition()), definition, "{set}");
        fixture.target.run(&format!("ALTER TABLE items {remove}")).unwrap_or_else(|error| panic!("{set}: {error:#}"));
        // What the statements above made in the job's place goes with a rename.
        if remove.contains("TABLESPACE innodb_file_per_table") {
            fixture.target.run("DROP TABLE items").unwrap();
            assert_eq!(fixture.run().await, "create");
        }
        assert_eq!(fixture.run().await, "rename", "after {remove}: {}", fixture.reason());
    }
}

fn without_counters(definition: &str) -> String {
    definition.split(' ').filter(|word| !word.starts_with("AUTO_INCREMENT=")).collect::<Vec<_>>().join(" ")
}

/// Somebody's column is not the job's to drop, seen or not; what it holds is there after the run.
async fn an_invisible_column_that_somebody_added_is_not_dropped(engine: Engine) {
    for drift in ["apply", "fail"] {
        let fixture = Fixture::new(engine).await;
        fixture.target.run("ALTER TABLE items ADD secret varchar(20) INVISIBLE").unwrap();
        fixture.target.run("UPDATE items SET secret = CONCAT('of ', name)").unwrap();
        let job = fixture.job.twin().unwrap().target(&format!("on_drift = \"{drift}\""));
        let refused = job.run().unwrap().expect_code(PRECHECK_REFUSED).unwrap();
        let refusal = &refused.json().unwrap()["refusals"][0];
        assert!(refusal["message"].as_str().unwrap().contains("column secret varchar(20) goes away"), "{refusal}");
        assert_eq!(fixture.target.rows("SELECT secret FROM items ORDER BY id").unwrap(), ["of one", "of two"]);
        fixture.target.run("ALTER TABLE items DROP COLUMN secret").unwrap();
        job.run().unwrap().expect_code(0).unwrap();
    }
}

/// MariaDB keeps what rows were; so does a run that brings others.
async fn a_system_versioned_table_keeps_its_history(engine: Engine) {
    if engine != Engine::MariaDb {
        // MySQL has none.
        return;
    }
    let mut fixture = Fixture::new(engine).await;
    fixture.target.run("ALTER TABLE items ADD SYSTEM VERSIONING").unwrap();
    for _ in 0..2 {
        assert_eq!(fixture.run().await, "replace");
    }
    let history = "SELECT notes FROM items FOR SYSTEM_TIME ALL WHERE id = 1 ORDER BY row_start";
    assert_eq!(fixture.target.rows(history).unwrap(), ["a", "run 1", "run 2"]);
    fixture.job.command("verify", &[]).unwrap().expect_code(0).unwrap();
}

async fn a_histogram_that_somebody_made_stays(engine: Engine) {
    if engine != Engine::MySql {
        // MariaDB's are what its ANALYZE found, in tables of its own.
        return;
    }
    let mut fixture = Fixture::new(engine).await;
    fixture.target.run("ANALYZE TABLE items UPDATE HISTOGRAM ON size WITH 4 BUCKETS").unwrap();
    assert_eq!(fixture.reason(), "because of the histogram of column size");
    assert_eq!(fixture.run().await, "replace");
    let histograms = "SELECT column_name FROM information_schema.column_statistics WHERE schema_name = DATABASE()";
    assert_eq!(fixture.target.rows(histograms).unwrap(), ["size"]);
    fixture.target.run("ANALYZE TABLE items DROP HISTOGRAM ON size").unwrap();
    assert_eq!(fixture.run().await, "rename");
}

on_each_mysql!(
    what_is_preserved_is_on_the_new_table,
    what_cannot_be_preserved_keeps_the_table,
    an_invisible_column_that_somebody_added_is_not_dropped,
    a_system_versioned_table_keeps_its_history,
    a_histogram_that_somebody_made_stays,
);
