//! Tables of a group follow their changes together: readers of the target see one moment of the source, and foreign keys between the tables hold.

use serde_json::Value;
use stopgap_tests::{
    job::Job,
    source::TestSource,
    target::{Engine, TestTarget},
};

const TABLES_FAILED: i32 = 1;
const REFUSED: i32 = 3;

/// Parents, their children, and a table that refers to itself; one has a rowversion instead of Change Tracking.
const TABLES: &str = "\
CREATE TABLE dbo.customers (id int NOT NULL CONSTRAINT pk_customers PRIMARY KEY, name nvarchar(40) NOT NULL);\n\
CREATE TABLE dbo.orders (id int NOT NULL CONSTRAINT pk_orders PRIMARY KEY, \
 customer int NOT NULL CONSTRAINT fk_customer REFERENCES dbo.customers (id), amount int NOT NULL);\n\
CREATE TABLE dbo.staff (id int NOT NULL CONSTRAINT pk_staff PRIMARY KEY, \
 boss int NULL CONSTRAINT fk_boss REFERENCES dbo.staff (id), best int NULL CONSTRAINT fk_best REFERENCES dbo.customers (id), \
 version rowversion NOT NULL);\nGO\n\
ALTER TABLE dbo.customers ENABLE CHANGE_TRACKING;\nALTER TABLE dbo.orders ENABLE CHANGE_TRACKING;\nGO\n\
INSERT INTO dbo.customers VALUES (1, N'a'), (2, N'b'), (3, N'c');\n\
INSERT INTO dbo.orders VALUES (10, 1, 5), (11, 2, 6), (12, 3, 7);\n\
INSERT INTO dbo.staff (id, boss, best) VALUES (1, NULL, 3), (2, 1, NULL), (3, 2, 1)";

async fn source() -> TestSource {
    let source = TestSource::new().await.unwrap();
    let database = source.database.clone();
    source
        .run(&format!(
            "ALTER DATABASE [{database}] SET ALLOW_SNAPSHOT_ISOLATION ON;\nGO\n\
             ALTER DATABASE [{database}] SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON);\nGO\n{TABLES}"
        ))
        .await
        .unwrap();
    source
}

fn job(source: &TestSource, target: &TestTarget) -> Job {
    let sections = "[tables]\nforeign_keys = \"create\"\n\
                    [[table]]\nsource = \"dbo.customers\"\nmode = \"change-tracking\"\n\
                    [[table]]\nsource = \"dbo.orders\"\nmode = \"change-tracking\"\nprove = \"1/1\"\n\
                    [[table]]\nsource = \"dbo.staff\"\nmode = \"rowversion\"\n";
    Job::new(source, target).unwrap().source("consistency = \"snapshot\"").sections(sections)
}

fn report(job: &Job) -> Value {
    job.run().unwrap().expect_code(0).unwrap().json().unwrap()
}

fn of<'a>(report: &'a Value, table: &str) -> &'a Value {
    let tables = report["tables"].as_array().unwrap();
    tables.iter().find(|found| found["source"] == format!("dbo.{table}")).unwrap()
}

const QUERIES: [&str; 3] = [
    "SELECT CONCAT(id, ' ', name) FROM customers ORDER BY id",
    "SELECT CONCAT(id, ' ', customer, ' ', amount) FROM orders ORDER BY id",
    "SELECT CONCAT(id, ' ', COALESCE(boss, 0), ' ', COALESCE(best, 0)) FROM staff ORDER BY id",
];

async fn assert_alike(source: &TestSource, target: &TestTarget) {
    for query in QUERIES {
        let at_source = source.texts(&query.replace("FROM ", "FROM dbo.")).await.unwrap();
        let at_source: Vec<String> = at_source.into_iter().flatten().collect();
        assert_eq!(target.rows(query).unwrap(), at_source, "{query}");
    }
    let left = target.leftovers().unwrap();
    assert!(left.iter().all(|name| name.starts_with("stopgap_tables")), "{left:?}");
}

async fn parents_and_children_come_and_go_together(engine: Engine) {
    let source = source().await;
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target);
    let first = report(&job);
    for table in ["customers", "orders", "staff"] {
        assert_eq!(of(&first, table)["changes"]["why_full"], "no_state", "{first}");
    }
    assert_alike(&source, &target).await;
    // The keys are there: no order without its customer.
    target.run("INSERT INTO orders VALUES (99, 99, 1)").unwrap_err();

    // A parent with its child is new, another one is gone with it; rows that refer to their table come and go with those they refer to; a child goes to another
    // parent as its own goes.
    source
        .run(
            "INSERT INTO dbo.customers VALUES (4, N'd');\nINSERT INTO dbo.orders VALUES (14, 4, 8);\n\
             UPDATE dbo.orders SET customer = 4 WHERE id = 11;\nDELETE FROM dbo.customers WHERE id = 2;\n\
             DELETE FROM dbo.orders WHERE id = 10;\nUPDATE dbo.staff SET best = 4 WHERE id = 3;\nDELETE FROM dbo.customers WHERE id = 1;\n\
             INSERT INTO dbo.staff (id, boss, best) VALUES (5, NULL, 4), (4, 5, NULL);\n\
             UPDATE dbo.staff SET boss = 4 WHERE id = 3;\nDELETE FROM dbo.staff WHERE id = 2",
        )
        .await
        .unwrap();
    let second = report(&job);
    for (table, inserted, present, deleted) in [("customers", 1, 0, 2), ("orders", 1, 1, 1), ("staff", 2, 1, 1)] {
        let changes = &of(&second, table)["changes"];
        let found = ["inserted", "present", "deleted"].map(|name| changes[name].as_i64().unwrap());
        assert_eq!((found, &changes["why_full"]), ([inserted, present, deleted], &Value::Null), "{table}: {second}");
    }
    let versions = ["customers", "orders"].map(|table| &of(&second, table)["changes"]["to_version"]);
    assert_eq!(versions[0], versions[1], "they are not of one moment: {second}");
    assert_alike(&source, &target).await;
    job.command("verify", &[]).unwrap().expect_code(0).unwrap();
}

/// What one of them cannot follow, none of them does: else they would be of two moments.
async fn a_group_is_copied_whole_together(engine: Engine) {
    let source = source().await;
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target);
    report(&job);
    source
        .run(
            "INSERT INTO dbo.customers VALUES (7, N'g');\nINSERT INTO dbo.orders VALUES (17, 7, 8);\n\
             ALTER TABLE dbo.orders DISABLE CHANGE_TRACKING;\nALTER TABLE dbo.orders ENABLE CHANGE_TRACKING;\n",
        )
        .await
        .unwrap();
    let second = report(&job);
    assert_eq!(of(&second, "orders")["changes"]["why_full"], "other_history", "{second}");
    for table in ["customers", "staff"] {
        assert_eq!(of(&second, table)["changes"]["why_full"], "group", "{second}");
    }
    assert_alike(&source, &target).await;
    source.run("UPDATE dbo.customers SET name = N'z' WHERE id = 7").await.unwrap();
    let third = report(&job);
    assert_eq!(of(&third, "customers")["changes"]["present"], 1, "{third}");
    assert_alike(&source, &target).await;
}

/// Nothing of a group is changed if one of its tables cannot be.
async fn a_group_fails_as_one(engine: Engine) {
    let source = source().await;
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target);
    report(&job);
    let before: Vec<Vec<String>> = QUERIES.iter().map(|query| target.rows(query).unwrap()).collect();
    // Somebody changes the target behind the job's back: a row under a key that is new at the source.
    target.run("INSERT INTO orders VALUES (15, 3, 1)").unwrap();
    source
        .run("INSERT INTO dbo.customers VALUES (4, N'd');\nDELETE FROM dbo.orders WHERE id = 12;\nINSERT INTO dbo.orders VALUES (16, 4, 1)")
        .await
        .unwrap();
    // All orders are compared, whatever changed.
    target.run("UPDATE orders SET amount = 77 WHERE id IN (10, 11, 12)").unwrap();
    let failed = job.run().unwrap().expect_code(TABLES_FAILED).unwrap().json().unwrap();
    for table in ["customers", "orders", "staff"] {
        assert_eq!(of(&failed, table)["failure"]["kind"], "mismatch", "{failed}");
    }
    assert_eq!(target.rows(QUERIES[0]).unwrap(), before[0], "customers moved on without their orders");
    report(&job);
    assert_alike(&source, &target).await;
}

/// A group of which one table is copied whole in each run would be of two moments.
async fn a_mixed_group_is_refused(engine: Engine) {
    let source = source().await;
    let target = TestTarget::on(engine).unwrap();
    let sections = "[tables]\ninclude = [\"dbo.customers\", \"dbo.orders\"]\nforeign_keys = \"create\"\n\
                    [[table]]\nsource = \"dbo.orders\"\nmode = \"change-tracking\"\n";
    let job = Job::new(&source, &target).unwrap().source("consistency = \"snapshot\"").sections(sections);
    let refused = job.run().unwrap().expect_code(REFUSED).unwrap();
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert!(said.contains("dbo.customers, which is of the same swap group"), "{said}");
}

on_each_engine!(
    parents_and_children_come_and_go_together,
    a_group_is_copied_whole_together,
    a_group_fails_as_one,
    a_mixed_group_is_refused,
);
