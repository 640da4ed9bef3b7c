//! Readers of the target see the old rows or the new ones.

use sqlx::Row;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use stopgap_tests::{job::Job, source::TestSource, target::TestTarget};

const SWAPS: i32 = 100;
const ROWS: i64 = 200;

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_never_sees_a_mixture_during_a_hundred_swaps() {
    let source = TestSource::new().await.unwrap();
    let digits = "(VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))";
    let fill = format!(
        "CREATE TABLE dbo.ledger (id int NOT NULL PRIMARY KEY, generation int NOT NULL);\nGO\n\
         INSERT INTO dbo.ledger (id, generation) SELECT a.d + 10 * b.d + 100 * c.d, 0 \
         FROM {digits} AS a (d) CROSS JOIN {digits} AS b (d) CROSS JOIN (VALUES (0), (1)) AS c (d)"
    );
    source.run(&fill).await.unwrap();
    let target = TestTarget::new().unwrap();
    let job = Job::new(&source, &target).unwrap().sections("[tables]\ninclude = [\"dbo.ledger\"]");
    job.run().unwrap().expect_code(0).unwrap();

    let over = Arc::new(AtomicBool::new(false));
    let mut connection = target.connect().await.unwrap();
    let reader = tokio::spawn({
        let over = Arc::clone(&over);
        async move {
            let (mut looks, mut newest) = (0_u32, 0_i32);
            while !over.load(Ordering::Relaxed) {
                let sql = "SELECT count(*), min(generation), max(generation) FROM ledger";
                let row = sqlx::query(sql).fetch_one(&mut connection).await.unwrap();
                let (count, least, most): (i64, i32, i32) = (row.get(0), row.get(1), row.get(2));
                assert_eq!((count, least), (ROWS, most), "a mixture of generations {least} to {most}");
                assert!(most >= newest, "generation {most} after {newest}");
                newest = most;
                looks += 1;
            }
            (looks, newest)
        }
    });
    for generation in 1..=SWAPS {
        source.run(&format!("UPDATE dbo.ledger SET generation = {generation}")).await.unwrap();
        job.run().unwrap().expect_code(0).unwrap();
    }
    over.store(true, Ordering::Relaxed);
    let (looks, newest) = reader.await.unwrap();
    assert!(looks > SWAPS.unsigned_abs(), "the reader looked only {looks} times");
    assert!(newest >= SWAPS - 1, "the reader saw generation {newest} at last");
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}
