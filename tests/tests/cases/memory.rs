//! Memory stays bounded whatever the values' sizes.

use std::time::Duration;
use stopgap_tests::{
    job::Job,
    source::TestSource,
    target::{Engine, TestTarget},
};

const CEILING: u64 = 256 << 20;
/// UTF-16 units of one value, 8 MB on the wire.
const LENGTH: u64 = 4_000_000;
const ROWS: u64 = 40;

async fn values_of_megabytes_pass_whole_and_under_the_ceiling(engine: Engine) {
    let source = TestSource::new().await.unwrap();
    let digits = "(VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))";
    let fill = format!(
        "CREATE TABLE dbo.documents (id int NOT NULL PRIMARY KEY, body nvarchar(max) NULL, raw varbinary(max) NULL);\nGO\n\
         INSERT INTO dbo.documents (id, body, raw) \
         SELECT a.d + 10 * b.d, REPLICATE(CAST(N'ü' AS nvarchar(max)), {LENGTH}), \
         CAST(REPLICATE(CAST('b' AS varchar(max)), {LENGTH}) AS varbinary(max)) \
         FROM {digits} AS a (d) CROSS JOIN (VALUES (0), (1), (2), (3)) AS b (d)"
    );
    source.run(&fill).await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let job = Job::new(&source, &target)
        .unwrap()
        .job("memory = \"64MiB\"")
        // Several readers at once, each with values larger than its buffers.
        .sections("[tables]\ninclude = [\"dbo.documents\"]\nchunk_rows = 5");
    let mut running = job.spawn("run", &[]).unwrap();
    let mut peak = 0;
    while !running.has_ended().unwrap() {
        peak = peak.max(running.peak_memory().unwrap_or(0));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.wait().unwrap().expect_code(0).unwrap();
    let sizes = "SELECT count(*), min(char_length(body)), max(char_length(body)), min(octet_length(raw)), max(octet_length(raw)) FROM documents";
    assert_eq!(target.rows(sizes).unwrap(), [format!("{ROWS}|{LENGTH}|{LENGTH}|{LENGTH}|{LENGTH}")]);
    assert!(peak > 0, "the job's memory was never seen");
    println!("peak: {} MiB", peak >> 20);
    assert!(peak < CEILING, "the job used {} MiB", peak >> 20);
}

on_each_engine!(values_of_megabytes_pass_whole_and_under_the_ceiling);
