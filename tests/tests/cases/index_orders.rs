//! Descending keys: the plan says in which order an index is made, and it is made so.

use std::collections::BTreeSet;

use stopgap_tests::{
    job::Job,
    source::TestSource,
    target::{Engine, TestTarget},
};

/// Name of the index and column of each part that descends.
fn made(target: &TestTarget) -> BTreeSet<String> {
    let query = target.engine.pick(
        "SELECT c.relname || ' ' || a.attname FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indexrelid \
         CROSS JOIN LATERAL unnest(x.indkey::int2[], x.indoption::int2[]) AS k (number, option) \
         JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = k.number \
         WHERE x.indrelid = 'items'::regclass AND k.option & 1 = 1",
        "SELECT CONCAT(IF(index_name = 'PRIMARY', 'pk_items', index_name), ' ', column_name) FROM information_schema.statistics \
         WHERE table_schema = DATABASE() AND table_name = 'items' AND collation = 'D'",
    );
    target.rows(query).unwrap().into_iter().collect()
}

async fn an_index_has_the_order_that_the_plan_says(engine: Engine) {
    let source = TestSource::with(
        "CREATE TABLE dbo.items (k1 int NOT NULL, k2 int NOT NULL, n int NOT NULL, m int NOT NULL, \
           CONSTRAINT pk_items PRIMARY KEY (k1, k2 DESC), CONSTRAINT uq_items UNIQUE (n DESC)); \
         CREATE UNIQUE INDEX ux_items ON dbo.items (m DESC); CREATE INDEX ix_items ON dbo.items (n, m DESC); \
         INSERT INTO dbo.items (k1, k2, n, m) VALUES (1, 1, 1, 1), (1, 2, 2, 2)",
    )
    .await
    .unwrap();
    let target = TestTarget::on(engine).unwrap();
    let job = Job::new(&source, &target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]");
    let planned = || {
        let plan = job.command("plan", &["--format", "json"]).unwrap().expect_code(0).unwrap().json().unwrap();
        let table = plan["tables"][0].clone();
        let mut parts = BTreeSet::new();
        for index in table["indexes"].as_array().unwrap() {
            for column in index["descending"].as_array().unwrap() {
                parts.insert(format!("{} {}", index["name"].as_str().unwrap(), column.as_str().unwrap()));
            }
        }
        (parts, table)
    };
    let keys = ["descending order of k2 in key pk_items: it", "descending order of n in key uq_items: it"];
    for _ in 0..2 {
        let (parts, table) = planned();
        job.run().unwrap().expect_code(0).unwrap();
        assert_eq!(made(&target), parts);
        let lost = table["not_created"].to_string();
        for key in keys {
            assert_eq!(lost.contains(key), engine == Engine::Postgres, "{lost}");
        }
        let text = job.command("plan", &[]).unwrap().stdout;
        assert_eq!(text.contains("k2 desc"), engine != Engine::Postgres, "{text}");
    }
    // Of a table that is kept the plan shows what is there.
    target.run("DROP INDEX ux_items ON items".replace(" ON items", engine.pick("", " ON items")).as_str()).unwrap();
    target.run("CREATE UNIQUE INDEX ux_items ON items (m)").unwrap();
    target.run("CREATE VIEW seen AS SELECT k1 FROM items").unwrap();
    target.run(engine.pick("SELECT 1", "ALTER TABLE items ALTER n SET DEFAULT 1")).unwrap();
    let (parts, table) = planned();
    assert_eq!(table["swap"]["method"], "replace", "{table}");
    assert!(!parts.contains("ux_items m"), "{parts:?}");
    assert_eq!(made(&target), parts);
}

on_each_engine!(an_index_has_the_order_that_the_plan_says);
