//! Readers of the target see the old rows or the new ones.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use stopgap_tests::{
    job::Job,
    source::TestSource,
    target::{Engine, TestTarget},
};

/// For each change; a soak has more.
const SWAPS: i32 = 25;
const SWAPS_OF_A_SOAK: i32 = 100;
const ROWS: i32 = 200;

async fn a_reader_never_sees_a_mixture_however_many_swaps(engine: Engine) {
    let source = TestSource::new().await.unwrap();
    let digits = "(VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))";
    let fill = format!(
        "CREATE TABLE dbo.ledger (id int NOT NULL PRIMARY KEY, generation int NOT NULL);\nGO\n\
         INSERT INTO dbo.ledger (id, generation) SELECT a.d + 10 * b.d + 100 * c.d, 0 \
         FROM {digits} AS a (d) CROSS JOIN {digits} AS b (d) CROSS JOIN (VALUES (0), (1)) AS c (d)"
    );
    source.run(&fill).await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let job = Job::new(&source, &target).unwrap().sections("[tables]\ninclude = [\"dbo.ledger\"]");
    job.run().unwrap().expect_code(0).unwrap();

    let over = Arc::new(AtomicBool::new(false));
    let mut connection = target.session().await.unwrap();
    let reader = tokio::spawn({
        let over = Arc::clone(&over);
        async move {
            let (mut looks, mut newest) = (0_u32, 0_i32);
            while !over.load(Ordering::Relaxed) {
                let sql = "SELECT CONCAT(count(*), ' ', min(generation), ' ', max(generation)) FROM ledger";
                let row = connection.texts(sql).await.unwrap().remove(0);
                let numbers: Vec<i32> = row.split(' ').map(|number| number.parse().unwrap()).collect();
                let [count, least, most] = numbers[..] else { panic!("{row}") };
                assert_eq!((count, least), (ROWS, most), "a mixture of generations {least} to {most}");
                assert!(most >= newest, "generation {most} after {newest}");
                newest = most;
                looks += 1;
            }
            (looks, newest)
        }
    });
    let swaps = if stopgap_tests::soak().is_some() { SWAPS_OF_A_SOAK } else { SWAPS };
    for generation in 1..=swaps {
        source.run(&format!("UPDATE dbo.ledger SET generation = {generation}")).await.unwrap();
        job.run().unwrap().expect_code(0).unwrap();
    }
    over.store(true, Ordering::Relaxed);
    let (looks, newest) = reader.await.unwrap();
    assert!(looks > swaps.unsigned_abs(), "the reader looked only {looks} times");
    assert!(newest >= swaps - 1, "the reader saw generation {newest} at last");
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

on_each_engine!(a_reader_never_sees_a_mixture_however_many_swaps);
