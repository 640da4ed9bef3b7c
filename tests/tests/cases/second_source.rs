//! A source that is no SQL Server goes the whole way: rows from memory, read in numbered batches instead of ranges of a key, with a
//! type that SQL Server lacks. Plan, load, verification and swap know nothing of either.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use stopgap_servers::ScratchDir;
use stopgap_tests::target::{Engine, TestTarget};
use sync_job::config::{JobConfig, Pattern};
use sync_job::model::error::{Error, Kind, Result, Side};
use sync_job::model::facts::{Abilities, Catalog, SourceFacts};
use sync_job::model::logical::LogicalType;
use sync_job::model::read::ReadPlan;
use sync_job::model::schema::{
    ColumnType, IndexColumn, IndexKind, IndexStructure, Listed, SourceColumn, SourceIndex, SourceKind, SourceTable,
    TableName,
};
use sync_job::plan::references::Reference;
use sync_job::plan::self_test::SelfTest;
use sync_job::plan::{Finding, KeyColumn, RunPlan, TablePlan};
use sync_job::proof::witness::{Aggregate, Answer, Plan, Question, Scope};
use sync_job::report::exit::ExitStatus;
use sync_job::report::progress::Silent;
use sync_job::report::{RunReport, TableOutcome};
use sync_job::rows::cell::Cell;
use sync_job::rows::chunk::KeyValue;
use sync_job::rows::encode::RowEncoder as _;
use sync_job::rows::text::CodePage;
use sync_job::run::job::Job;
use sync_job::sources::{Reader, RowSink, Source};
use sync_job::targets::Target;
use sync_job::targets::mysql::MySql;
use sync_job::targets::postgres::Postgres;
use tokio_util::sync::CancellationToken;

/// A meter, what it has counted, and a note.
type Row = (i64, Option<u64>, Option<&'static str>);
type Batches = Vec<Vec<Row>>;

const BATCHES: usize = 5;
const ROWS_A_BATCH: i64 = 200;

/// Counters up to the end of what 64 bits hold, far beyond a bigint.
fn counted(meter: i64) -> Option<u64> {
    match meter % 4 {
        0 => None,
        1 => Some(u64::MAX - meter.unsigned_abs()),
        2 => Some((1 << 63) + meter.unsigned_abs()),
        _ => Some(meter.unsigned_abs()),
    }
}

/// In no order of the meters, so that no batch is a range of them.
fn batches() -> Batches {
    let row = |meter| (meter, counted(meter), [None, Some(""), Some("Grün 🦀\tend")][meter as usize % 3]);
    let batch = |number: usize| (0..ROWS_A_BATCH).map(|row| row * BATCHES as i64 + number as i64).map(row).collect();
    (0..BATCHES).map(batch).collect()
}

/// What the source has, and what became of it.
struct Store {
    now: Mutex<Batches>,
    views: Mutex<HashMap<String, Batches>>,
    opened: AtomicU32,
    /// The connection breaks once, in the middle of a batch.
    breaks: AtomicBool,
}

impl Store {
    fn rows(&self, view: Option<&str>) -> Result<Batches> {
        match view {
            None => Ok(self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()),
            Some(name) => {
                let views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
                views
                    .get(name)
                    .cloned()
                    .ok_or_else(|| Error::new(Side::Source, Kind::Statement, "there is no such view"))
            }
        }
    }
}

struct Memory(Arc<Store>);

/// The unit of reading: its number.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Batch(usize);

/// How a column is read: by its place in a row.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Place(usize);

struct MemoryReader {
    store: Arc<Store>,
    batches: Batches,
}

fn column(name: &str, place: usize, holds: LogicalType, nullable: bool) -> SourceColumn {
    SourceColumn {
        id: place as i64,
        name: name.to_owned(),
        column_type: ColumnType {
            holds: Ok(holds),
            read: ReadPlan::new(Place(place)),
            losses: Vec::new(),
            ranges: false,
            companion: None,
        },
        declared: format!("{holds:?}"),
        nullable,
        collation: None,
        by_base_type: false,
        counts_up: false,
        identity: None,
        computed: false,
        counts_changes: false,
        hidden: false,
        internal: false,
        masked: false,
        encrypted: false,
        has_default: false,
    }
}

impl Source for Memory {
    type Facts = SourceFacts;
    type Unit = Batch;
    type Reader = MemoryReader;

    const VIEW: &'static str = "copy in memory";

    async fn facts(&self) -> Result<SourceFacts> {
        Ok(SourceFacts {
            version: "memory".to_owned(),
            abilities: Abilities { utf8: true, long_hash: true },
            database: "meters".to_owned(),
            login: "nobody".to_owned(),
            sees_definitions: Some(true),
        })
    }

    async fn catalog(&self) -> Result<Catalog> {
        let key = SourceIndex {
            name: "pk_meters".to_owned(),
            kind: IndexKind::PrimaryKey,
            structure: IndexStructure::Clustered,
            columns: vec![IndexColumn { name: "meter".to_owned(), descending: false }],
            included: Vec::new(),
            filter: None,
            disabled: false,
        };
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let table = SourceTable {
            name: TableName::new("dbo", "meters"),
            kind: SourceKind::Table,
            // In another order than in a row.
            columns: vec![
                column("note", 2, LogicalType::Text { limit: 40 }, true),
                column("meter", 0, LogicalType::Int8, false),
                column("counted", 1, LogicalType::UInt8, true),
            ],
            indexes: vec![key],
            foreign_keys: Vec::new(),
            listed: Listed {
                columns: names(&["note", "meter", "counted"]),
                indexes: names(&["pk_meters"]),
                foreign_keys: Vec::new(),
            },
            lacking: Vec::new(),
            rows: Some(BATCHES as u64 * ROWS_A_BATCH as u64),
            bytes: None,
            temporal: None,
            row_level_security: false,
            outside_transactions: false,
            may_show_masks: None,
        };
        Ok(Catalog { tables: vec![table], ..Catalog::default() })
    }

    async fn reader(&self, view: Option<&str>) -> Result<MemoryReader> {
        Ok(MemoryReader { store: self.0.clone(), batches: self.0.rows(view)? })
    }

    async fn open_view(&self, name: &str, _: &SourceFacts) -> Result<()> {
        let rows = self.0.rows(None)?;
        self.0.opened.fetch_add(1, Ordering::Relaxed);
        self.0.views.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), rows);
        // From here on the source changes.
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    async fn close_view(&self, name: &str) -> Result<()> {
        self.0.views.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        Ok(())
    }

    async fn views(&self, prefix: &str) -> Result<Vec<String>> {
        let views = self.0.views.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(views.keys().filter(|name| name.starts_with(prefix)).cloned().collect())
    }

    fn precheck(&self, _: &RunPlan, _: &SourceFacts, _: &[TableName]) -> Vec<Finding> {
        Vec::new()
    }

    async fn check_settings(&self, _: &[TablePlan], _: &SourceFacts) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }

    async fn self_test(&self, _: &[TablePlan], _: &SourceFacts) -> Result<SelfTest> {
        Ok(SelfTest::default())
    }

    async fn check_references(&self, _: &[Reference]) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }

    fn describe_read(&self, table: &TablePlan) -> String {
        format!("{}, batch by batch", table.source)
    }

    fn whole(&self, _: &TablePlan) -> Option<Batch> {
        None
    }
}

/// A row's value in a column of the plan.
fn cell(row: &Row, read: &ReadPlan) -> Cell<'static> {
    match read.get::<Place>() {
        Some(Place(0)) => Cell::Int(row.0),
        Some(Place(1)) => row.1.map_or(Cell::Null, |value| Cell::Decimal { value: value.into(), scale: 0 }),
        Some(Place(2)) => row.2.map_or(Cell::Null, |text| Cell::Encoded(text.as_bytes(), CodePage::UTF_8)),
        other => panic!("no plan of this source: {other:?}"),
    }
}

impl Reader for MemoryReader {
    type Unit = Batch;

    async fn begin(&mut self) -> Result<()> {
        Ok(())
    }

    async fn commit(&mut self) -> Result<()> {
        Ok(())
    }

    async fn units(&mut self, _: &TablePlan) -> Result<Vec<Batch>> {
        Ok((0..self.batches.len()).map(Batch).collect())
    }

    async fn read<S: RowSink>(&mut self, table: &TablePlan, unit: &Batch, sink: &mut S) -> Result<()> {
        for (number, row) in self.batches[unit.0].iter().enumerate() {
            if number == 100 && unit.0 == 3 && self.store.breaks.swap(false, Ordering::Relaxed) {
                return Err(Error::new(Side::Source, Kind::Connection, "the memory is gone for a moment"));
            }
            let encoder = sink.encoder();
            encoder.begin_row();
            for (index, column) in table.columns.iter().enumerate() {
                let wrong = |error| Error::new(Side::Source, Kind::Data, "a value does not fit").with_source(error);
                encoder.cell(index, cell(row, &column.read)).map_err(wrong)?;
            }
            encoder.end_row();
            if sink.is_full() {
                sink.flush().await?;
            }
        }
        Ok(())
    }

    async fn count_up_to(&mut self, _: &TablePlan, most: u64) -> Result<u64> {
        Ok((self.batches.iter().map(Vec::len).sum::<usize>() as u64).min(most))
    }

    async fn extremes(&mut self, _: &TablePlan, _: &KeyColumn) -> Result<Option<(KeyValue, KeyValue)>> {
        Ok(None)
    }

    async fn witness(&mut self, table: &TablePlan, plan: &Plan, scope: &Scope) -> Result<Vec<Answer>> {
        assert_eq!(*scope, Scope::Whole, "the table is small");
        let rows: Vec<&Row> = self.batches.iter().flatten().collect();
        Ok(plan.questions.iter().map(|question| answer(table, &rows, question)).collect())
    }
}

/// Sums by Rust alone.
fn answer(table: &TablePlan, rows: &[&Row], question: &Question) -> Answer {
    let Some(index) = question.column else { return Some(rows.len().to_string()) };
    let values: Vec<Cell<'_>> =
        rows.iter().map(|row| cell(row, &table.columns[index].read)).filter(|cell| *cell != Cell::Null).collect();
    let numbers = values.iter().map(|cell| match cell {
        Cell::Int(value) => i128::from(*value),
        Cell::Decimal { value, .. } => *value,
        Cell::Encoded(text, _) if question.aggregate == Aggregate::Content => {
            let hash = Sha256::digest(text);
            u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]).into()
        }
        Cell::Encoded(text, _) => String::from_utf8_lossy(text).chars().count() as i128,
        other => panic!("no value of this source: {other:?}"),
    });
    Some(
        match question.aggregate {
            Aggregate::NotNull => values.len() as i128,
            Aggregate::Min => numbers.min()?,
            Aggregate::Max => numbers.max()?,
            Aggregate::Sum | Aggregate::Length | Aggregate::Content => numbers.sum(),
            other => panic!("nobody asks for {other:?} of these types"),
        }
        .to_string(),
    )
}

fn store(batches: Batches) -> Arc<Store> {
    Arc::new(Store {
        now: Mutex::new(batches),
        views: Mutex::default(),
        opened: AtomicU32::new(0),
        breaks: AtomicBool::new(false),
    })
}

/// A job from this memory to the test's target.
struct Fixture<'a> {
    store: Arc<Store>,
    target: &'a TestTarget,
    directory: ScratchDir,
}

impl Fixture<'_> {
    fn config(&self, consistency: &str) -> JobConfig {
        let password = self.directory.path().join("password");
        std::fs::write(&password, self.target.password()).unwrap();
        let file = toml::Value::String(password.display().to_string());
        let side = format!("password_file = {file}\ntls = \"disable\"\n");
        let text = format!(
            "[job]\nname = \"memory\"\nreaders = 3\n[source]\nhost = \"memory\"\ndatabase = \"meters\"\nuser = \"nobody\"\n\
             consistency = \"{consistency}\"\n{side}[target]\nengine = \"{}\"\nhost = \"{}\"\nport = {}\n\
             database = \"{}\"\nuser = \"{}\"\n{side}[tables]\ninclude = [\"dbo.*\"]\n",
            self.target.engine.key(),
            self.target.host(),
            self.target.port(),
            self.target.database,
            self.target.user(),
        );
        JobConfig::parse(&text, "memory.toml").unwrap()
    }

    fn job<T: Target>(&self, config: JobConfig, target: T) -> Job<Memory, T> {
        let (source, target) = (Arc::new(Memory(self.store.clone())), Arc::new(target));
        Job {
            config,
            source,
            target,
            run_id: sync_job::run::id::new_run_id(),
            only: Vec::<Pattern>::new(),
            evicted: CancellationToken::new(),
        }
    }

    async fn run(&self, consistency: &str) -> RunReport {
        let config = self.config(consistency);
        let (run, stop) = (sync_job::run::id::new_run_id(), CancellationToken::new());
        let (target, name) = (config.target.clone(), config.name.clone());
        match self.target.engine {
            Engine::Postgres => {
                let job = self.job(config, Postgres::new(target, &name, &run));
                Box::pin(job.run(Arc::new(Silent), stop)).await
            }
            _ => Box::pin(self.job(config, MySql::new(target, &name, &run)).run(Arc::new(Silent), stop)).await,
        }
    }

    async fn verify(&self) -> RunReport {
        let config = self.config("none");
        let (run, stop) = (sync_job::run::id::new_run_id(), CancellationToken::new());
        let (target, name) = (config.target.clone(), config.name.clone());
        match self.target.engine {
            Engine::Postgres => {
                let job = self.job(config, Postgres::new(target, &name, &run));
                Box::pin(job.verify(20, false, Arc::new(Silent), stop)).await
            }
            _ => {
                Box::pin(self.job(config, MySql::new(target, &name, &run)).verify(20, false, Arc::new(Silent), stop))
                    .await
            }
        }
    }

    fn copied(&self) -> Vec<String> {
        self.target.rows("SELECT meter, counted, note IS NULL, length(note) FROM meters ORDER BY meter").unwrap()
    }
}

/// As the target shows it.
fn expected(engine: Engine) -> Vec<String> {
    let mut rows: Vec<Row> = batches().into_iter().flatten().collect();
    rows.sort_by_key(|row| row.0);
    let is_null = |note: Option<&str>| if note.is_none() { engine.pick("t", "1") } else { engine.pick("f", "0") };
    let length = |text: &str| engine.pick(text.chars().count(), text.len());
    let line = |(meter, counted, note): Row| {
        let counted = counted.map_or("∅".to_owned(), |value| value.to_string());
        let length = note.map_or("∅".to_owned(), |text| length(text).to_string());
        format!("{meter}|{counted}|{}|{length}", is_null(note))
    };
    rows.into_iter().map(line).collect()
}

fn only_table(report: &RunReport) -> &sync_job::report::TableReport {
    assert!(report.failure.is_none(), "{:?}", report.failure);
    &report.tables[0]
}

async fn rows_from_memory_are_loaded_proven_and_swapped_in(engine: Engine) {
    let target = TestTarget::on(engine).unwrap();
    let fixture = Fixture { store: store(batches()), target: &target, directory: ScratchDir::new("memory").unwrap() };
    fixture.store.breaks.store(true, Ordering::Relaxed);
    let report = fixture.run("none").await;
    let table = only_table(&report);
    assert_eq!(report.exit_status(), ExitStatus::Ok, "{:?}", table.failure);
    assert_eq!((table.outcome, table.rows, table.retries), (TableOutcome::Copied, 1_000, 1));
    assert_eq!(table.verdict, "verified");
    let witness = table.witness.as_ref().unwrap();
    assert_eq!(
        witness.summary.as_ref().map(|summary| (summary.columns, summary.rows)),
        Some((3, 1_000)),
        "{witness:?}"
    );
    assert_eq!(fixture.copied(), expected(engine));
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());

    // Read from a view while the source changes, and renamed over what the first run copied.
    target.run("DELETE FROM meters WHERE meter < 500").unwrap();
    let report = fixture.run("database-snapshot").await;
    let table = only_table(&report);
    assert_eq!((table.outcome, table.rows), (TableOutcome::Copied, 1_000), "{:?}", table.failure);
    assert_eq!(fixture.copied(), expected(engine));
    assert_eq!(fixture.store.opened.load(Ordering::Relaxed), 1);
    assert!(fixture.store.views.lock().unwrap().is_empty(), "the view stays open");
}

async fn a_value_that_differs_by_one_is_found(engine: Engine) {
    let target = TestTarget::on(engine).unwrap();
    let fixture = Fixture { store: store(batches()), target: &target, directory: ScratchDir::new("memory").unwrap() };
    assert_eq!(fixture.run("none").await.exit_status(), ExitStatus::Ok);
    assert_eq!(fixture.verify().await.exit_status(), ExitStatus::Ok);
    target.run("UPDATE meters SET counted = counted - 1 WHERE meter = 1").unwrap();
    let report = fixture.verify().await;
    let table = only_table(&report);
    assert_eq!(table.outcome, TableOutcome::Failed);
    assert_eq!(report.exit_status(), ExitStatus::TablesFailed);
}

/// Batches that are read over several connections are not of one moment.
async fn a_source_that_cuts_a_transaction_is_stopped(engine: Engine) {
    let target = TestTarget::on(engine).unwrap();
    let fixture = Fixture { store: store(batches()), target: &target, directory: ScratchDir::new("memory").unwrap() };
    let report = fixture.run("snapshot").await;
    let failure = only_table(&report).failure.as_ref().unwrap();
    assert!(failure.message.to_string().contains("cuts a table"), "{failure:?}");
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

on_each_engine! {
    a_source_that_cuts_a_transaction_is_stopped,
    rows_from_memory_are_loaded_proven_and_swapped_in,
    a_value_that_differs_by_one_is_found,
}
