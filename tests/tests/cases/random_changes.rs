//! A random workload while runs follow its changes and are killed. The oracle is a model of what the workload committed, outside of both
//! servers.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use stopgap_tests::{
    job::Job,
    source::TestSource,
    target::{Engine, TestTarget},
};
use tokio::sync::{RwLock, watch};

/// Repeats one workload; see the seed that a failed test prints.
const SEED: &str = "STOPGAP_RANDOM_SEED";
/// Seeds that have failed once.
const FAILED: [u64; 0] = [];
/// How long the workload of one seed goes on, in seconds.
const SECONDS: &str = "STOPGAP_RANDOM_SECONDS";
const WRITERS: i32 = 3;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    code: i64,
    note: Option<String>,
}

/// The rows of one writer's shop, by their second key column. Each writer has a shop of its own, so that none waits for another.
type Shop = BTreeMap<i64, Row>;

#[derive(Default)]
struct World {
    shops: [Mutex<Shop>; WRITERS as usize],
    /// Codes are unique over all shops.
    next_code: AtomicI64,
    /// Whoever changes the whole table waits for all writers.
    gate: RwLock<()>,
}

impl World {
    fn shop(&self, writer: i32) -> std::sync::MutexGuard<'_, Shop> {
        self.shops[writer as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for writer in 0..WRITERS {
            for (id, row) in self.shop(writer).iter() {
                lines.push(format!("{writer} {id} {} {}", row.code, row.note.as_deref().unwrap_or("-")));
            }
        }
        lines
    }
}

/// One statement, carried out in the model, too.
fn statement(rng: &mut StdRng, world: &World, writer: i32, shop: &mut Shop) -> String {
    let id = rng.random_range(0..40_i64);
    let code = world.next_code.fetch_add(1, Ordering::Relaxed);
    let note = rng.random_bool(0.8).then(|| format!("n{}", rng.random_range(0..1000)));
    let sql_note = note.as_ref().map_or_else(|| "NULL".to_owned(), |note| format!("N'{note}'"));
    let at = format!("WHERE shop = {writer} AND id = {id}");
    match (shop.contains_key(&id), rng.random_range(0..10)) {
        (false, _) => {
            shop.insert(id, Row { code, note });
            format!("INSERT INTO dbo.items (shop, id, code, note) VALUES ({writer}, {id}, {code}, {sql_note})")
        }
        (true, 0..=3) => {
            if let Some(row) = shop.get_mut(&id) {
                row.note = note;
            }
            format!("UPDATE dbo.items SET note = {sql_note} {at}")
        }
        (true, 4) => {
            let other = (0..100).find(|other| !shop.contains_key(other)).unwrap_or(1_000 + code);
            if let Some(row) = shop.remove(&id) {
                shop.insert(other, row);
            }
            format!("UPDATE dbo.items SET id = {other} {at}")
        }
        (true, 5) => {
            shop.insert(id, Row { code, note });
            format!(
                "DELETE FROM dbo.items {at}; INSERT INTO dbo.items (shop, id, code, note) VALUES ({writer}, {id}, {code}, {sql_note})"
            )
        }
        (true, _) => {
            shop.remove(&id);
            format!("DELETE FROM dbo.items {at}")
        }
    }
}

/// Transactions one after the other, each of a few statements and open for a while, until it is told to stop.
async fn write(
    source: Arc<TestSource>,
    world: Arc<World>,
    writer: i32,
    seed: u64,
    stop: watch::Receiver<bool>,
) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(seed ^ (writer as u64 + 1));
    let mut client = source.address.connect(&source.database).await?;
    while !*stop.borrow() {
        let _within = world.gate.read().await;
        let mut shop = world.shop(writer).clone();
        let commits = rng.random_bool(0.85);
        client.simple_query("BEGIN TRANSACTION").await?.into_results().await?;
        for _ in 0..rng.random_range(1..5) {
            let sql = statement(&mut rng, &world, writer, &mut shop);
            client.simple_query(sql.as_str()).await?.into_results().await.with_context(|| sql.clone())?;
            if rng.random_bool(0.3) {
                tokio::time::sleep(Duration::from_millis(rng.random_range(0..200))).await;
            }
        }
        let end = if commits { "COMMIT TRANSACTION" } else { "ROLLBACK TRANSACTION" };
        client.simple_query(end).await?.into_results().await?;
        if commits {
            *world.shop(writer) = shop;
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..30))).await;
    }
    Ok(())
}

/// Now and then something of which changes do not tell.
async fn upset(source: &TestSource, world: &World, rng: &mut StdRng) -> Result<()> {
    let _alone = world.gate.write().await;
    match rng.random_range(0..4) {
        0 => {
            source.run("TRUNCATE TABLE dbo.items").await?;
            (0..WRITERS).for_each(|writer| world.shop(writer).clear());
        }
        1 => {
            source
                .run("ALTER TABLE dbo.items DISABLE CHANGE_TRACKING;\nGO\nALTER TABLE dbo.items ENABLE CHANGE_TRACKING")
                .await?;
        }
        _ => {}
    }
    Ok(())
}

async fn a_workload(engine: Engine, mode: &str, seed: u64, lasts: Duration) -> Result<()> {
    let source = Arc::new(TestSource::new().await?);
    let target = TestTarget::on(engine)?;
    let database = &source.database;
    source
        .run(&format!(
            "ALTER DATABASE [{database}] SET ALLOW_SNAPSHOT_ISOLATION ON;\nGO\n\
             ALTER DATABASE [{database}] SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON);\nGO\n\
             CREATE TABLE dbo.items (shop int NOT NULL, id bigint NOT NULL, code bigint NOT NULL UNIQUE, note nvarchar(20) NULL, row_version rowversion NOT NULL, \
             CONSTRAINT pk_items PRIMARY KEY (shop, id));\nGO\nALTER TABLE dbo.items ENABLE CHANGE_TRACKING"
        ))
        .await?;
    let job = Job::new(&source, &target)?.source("consistency = \"snapshot\"").sections(&format!(
        "[[table]]\nsource = \"dbo.items\"\nmode = \"{mode}\"\nprove = \"1/3\"\nexclude_columns = [\"row_version\"]"
    ));
    let world = Arc::new(World::default());
    let (stop, stopped) = watch::channel(false);
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write(Arc::clone(&source), Arc::clone(&world), writer, seed, stopped.clone())))
        .collect();
    let mut rng = StdRng::seed_from_u64(seed);
    let began = Instant::now();
    let (mut runs, mut followed) = (0, 0);
    while began.elapsed() < lasts {
        let mut running = job.spawn("run", &["--format", "json"])?;
        if rng.random_bool(0.4) {
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..900))).await;
            if !running.has_ended()? {
                running.signal("KILL")?;
            }
            running.wait()?;
        } else {
            let report = running.wait()?.expect_code(0)?.json()?;
            runs += 1;
            followed += i32::from(report["tables"][0]["changes"]["why_full"].is_null());
        }
        if rng.random_bool(0.15) {
            upset(&source, &world, &mut rng).await?;
        }
    }
    stop.send(true)?;
    for writer in writers {
        writer.await??;
    }
    let last = job.run()?.expect_code(0)?.json()?;
    let model = world.lines();
    let query = "SELECT CONCAT(shop, ' ', id, ' ', code, ' ', COALESCE(note, '-')) FROM";
    let at_source: Vec<String> =
        source.texts(&format!("{query} dbo.items ORDER BY shop, id")).await?.into_iter().flatten().collect();
    ensure!(at_source == model, "the source is not what was committed:\n{at_source:?}\n{model:?}");
    let found = target.rows(&format!("{query} items ORDER BY shop, id"))?;
    ensure!(found == model, "the target is not what was committed, after {last}:\n{found:?}\n{model:?}");
    job.command("verify", &[])?.expect_code(0)?;
    eprintln!("{mode}, seed {seed}: {followed} of {runs} runs followed changes, {} rows at the end", model.len());
    Ok(())
}

async fn source_and_target_are_what_was_committed(engine: Engine) {
    let set = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let lasts = Duration::from_secs(set(SECONDS).unwrap_or(5));
    let mut seeds = set(SEED).map_or_else(|| FAILED.into_iter().chain([rand::random()]).collect(), |seed| vec![seed]);
    let began = Instant::now();
    while let Some(seed) = seeds.pop() {
        for mode in ["change-tracking", "rowversion", "compare"] {
            if let Err(error) = a_workload(engine, mode, seed, lasts).await {
                panic!("{mode}, {SEED}={seed}: {error:#}");
            }
        }
        if seeds.is_empty() && stopgap_tests::soak().is_some_and(|limit| began.elapsed() < limit) {
            seeds.push(rand::random());
        }
    }
}

on_each_engine!(source_and_target_are_what_was_committed);
