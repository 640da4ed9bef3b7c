//! Tables that a rename would tear from what depends on them: which are kept, and what is true of them then.

use stopgap_tests::{
    job::{Job, TARGET_PASSWORD},
    source::TestSource,
    target::{Engine, TestTarget},
};

const TABLES_FAILED: i32 = 1;
const PRECHECK_REFUSED: i32 = 3;

/// The child's name comes before the parent's and the grandchild's after it, so that no order of names is right by chance.
const FAMILY: &str = "CREATE TABLE dbo.parents (id int NOT NULL CONSTRAINT pk_parents PRIMARY KEY, name nvarchar(20) NOT NULL); \
     CREATE TABLE dbo.children (id int NOT NULL CONSTRAINT pk_children PRIMARY KEY, parent int NOT NULL \
       CONSTRAINT fk_parent REFERENCES dbo.parents (id)); \
     CREATE TABLE dbo.toys (id int NOT NULL CONSTRAINT pk_toys PRIMARY KEY, child int NOT NULL \
       CONSTRAINT fk_child REFERENCES dbo.children (id)); \
     INSERT INTO dbo.parents (id, name) VALUES (1, N'one'), (2, N'two'); \
     INSERT INTO dbo.children (id, parent) VALUES (10, 1), (20, 2); \
     INSERT INTO dbo.toys (id, child) VALUES (100, 10), (200, 20);";
/// Somebody leaves, somebody comes, somebody moves to another parent whose own one leaves.
const GENERATIONS: [&str; 3] = [
    "DELETE FROM dbo.toys WHERE id = 200; DELETE FROM dbo.children WHERE id = 20; DELETE FROM dbo.parents WHERE id = 2",
    "INSERT INTO dbo.parents (id, name) VALUES (3, N'three'); INSERT INTO dbo.children (id, parent) VALUES (30, 3); \
     INSERT INTO dbo.toys (id, child) VALUES (300, 30)",
    "UPDATE dbo.children SET parent = 3 WHERE id = 10; DELETE FROM dbo.parents WHERE id = 1; \
     UPDATE dbo.parents SET name = N'new'",
];
const PEOPLE: &str = "SELECT (SELECT string_agg(id || name, ',' ORDER BY id) FROM parents), \
     (SELECT string_agg(id || '-' || parent, ',' ORDER BY id) FROM children), \
     (SELECT string_agg(id || '-' || child, ',' ORDER BY id) FROM toys)";
const EXPECTED: [&str; 3] = ["1one|10-1|100-10", "1one,3three|10-1,30-3|100-10,300-30", "3new|10-3,30-3|100-10,300-30"];
const KEYS: &str =
    "SELECT conname, confrelid::regclass FROM pg_constraint WHERE contype = 'f' AND convalidated ORDER BY 1";

fn job(source: &TestSource, target: &TestTarget, tables: &str) -> Job {
    Job::new(source, target).unwrap().sections(&format!("[tables]\ninclude = [\"dbo.*\"]\n{tables}"))
}

fn methods(report: &serde_json::Value) -> Vec<&str> {
    report["tables"].as_array().unwrap().iter().map(|table| table["swap"].as_str().unwrap_or("none")).collect()
}

fn not_created(plan: &serde_json::Value, table: usize) -> Vec<&str> {
    let lines = plan["tables"][table]["not_created"].as_array().unwrap();
    lines.iter().map(|line| line.as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_with_a_view_anywhere_is_updated_in_place_as_a_whole() {
    for view in ["parents", "children", "toys"] {
        let source = TestSource::with(FAMILY).await.unwrap();
        let target = TestTarget::new().unwrap();
        let job = job(&source, &target, "foreign_keys = \"create\"");
        job.run().unwrap().expect_code(0).unwrap();
        target.run(&format!("CREATE VIEW seen AS SELECT id FROM {view}")).unwrap();
        for (change, expected) in GENERATIONS.into_iter().zip(EXPECTED) {
            source.run(change).await.unwrap();
            let outcome = job.run().unwrap().expect_code(0).unwrap();
            assert_eq!(methods(&outcome.json().unwrap()), ["replace"; 3], "a view on {view}");
            assert_eq!(target.rows(PEOPLE).unwrap(), [expected], "a view on {view}");
            assert_eq!(target.rows(KEYS).unwrap(), ["fk_child|children", "fk_parent|parents"], "a view on {view}");
            assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
        }
        source.run("ALTER TABLE dbo.toys ADD colour varchar(10) NULL").await.unwrap();
        let refused = job.run().unwrap().expect_code(PRECHECK_REFUSED).unwrap();
        assert!(refused.stdout.contains("drift-kept-table"), "{}", refused.stdout);
        target.run("DROP VIEW seen").unwrap();
        let outcome = job.run().unwrap().expect_code(0).unwrap();
        assert_eq!(methods(&outcome.json().unwrap()), ["rename"; 3]);
        assert_eq!(target.rows(KEYS).unwrap(), ["fk_child|children", "fk_parent|parents"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_under_an_old_snapshot_is_updated_in_place_and_a_new_child_gets_its_key() {
    let source = TestSource::with(FAMILY).await.unwrap();
    let target = TestTarget::new().unwrap();
    target.run("CREATE TABLE other (x int); INSERT INTO other VALUES (1)").unwrap();
    let job = job(&source, &target, "foreign_keys = \"create\"").target("swap_wait = \"1s\"");
    job.run().unwrap().expect_code(0).unwrap();
    target.run("DROP TABLE toys").unwrap();
    source.run(GENERATIONS[1]).await.unwrap();
    let mut reader = target.session().await.unwrap();
    reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    reader.texts("SELECT CONCAT(x) FROM other").await.unwrap();
    let outcome = job.run().unwrap().expect_code(0).unwrap();
    assert_eq!(reader.texts("SELECT string_agg(name, ',') FROM parents").await.unwrap(), ["one,two"]);
    reader.run("ROLLBACK").await.unwrap();
    assert_eq!(methods(&outcome.json().unwrap()), ["replace", "replace", "create"]);
    assert_eq!(target.rows(KEYS).unwrap(), ["fk_child|children", "fk_parent|parents"]);
    assert_eq!(target.value("SELECT count(*) FROM toys").unwrap(), "3");
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

/// On MySQL a parent is kept from its second copy on, and its new rows are still elsewhere when the child gets its key.
async fn a_new_child_of_new_parents_comes_with_its_key(engine: Engine) {
    let source = TestSource::with(FAMILY).await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target, "foreign_keys = \"create\"");
    job.run().unwrap().expect_code(0).unwrap();
    target.run("DROP TABLE toys").unwrap();
    for change in &GENERATIONS[1..] {
        source.run(change).await.unwrap();
        job.run().unwrap().expect_code(0).unwrap();
        let toys =
            "SELECT COUNT(*) FROM toys AS t JOIN children AS c ON c.id = t.child JOIN parents AS p ON p.id = c.parent";
        assert_eq!(
            target.value(toys).unwrap(),
            source.texts("SELECT CAST(COUNT(*) AS varchar(9)) FROM dbo.toys").await.unwrap()[0].clone().unwrap()
        );
        assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
    }
    assert!(target.run("INSERT INTO toys VALUES (999, 999)").is_err(), "the key is there");
}

/// Setting where a sequence goes on takes a right of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_another_role_counts_on_or_says_what_it_lacks() {
    let source = TestSource::with(
        "CREATE TABLE dbo.items (id int IDENTITY(1, 1) NOT NULL PRIMARY KEY, n int NULL); \
         INSERT INTO dbo.items (n) VALUES (1), (2), (3)",
    )
    .await
    .unwrap();
    let target = TestTarget::new().unwrap();
    let role = format!("writer_of_{}", target.database);
    target
        .run(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'writer'; GRANT CREATE, USAGE ON SCHEMA public TO {role}; \
             CREATE TABLE items (id integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, n integer); \
             GRANT SELECT, INSERT, UPDATE, DELETE ON items TO {role}"
        ))
        .unwrap();
    let job = || job(&source, &target, "").target(&format!("user = \"{role}\"")).env(TARGET_PASSWORD, "writer");
    let refused = job().run().unwrap().expect_code(PRECHECK_REFUSED).unwrap();
    let said = refused.json().unwrap().to_string();
    assert!(said.contains("GRANT USAGE, UPDATE ON SEQUENCE"), "{said}");
    target.run(&format!("GRANT USAGE, UPDATE ON SEQUENCE items_id_seq TO {role}")).unwrap();
    job().run().unwrap().expect_code(0).unwrap();
    target.run("INSERT INTO items (n) VALUES (4)").unwrap();
    assert_eq!(target.value("SELECT max(id) FROM items").unwrap(), "4");
    target.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).unwrap();
}

/// Somebody's trigger may write where policies are heeded.
#[tokio::test(flavor = "multi_thread")]
async fn triggers_of_a_table_updated_in_place_heed_policies_of_others() {
    let source = TestSource::with(
        "CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY, n int NULL); INSERT INTO dbo.items (id, n) VALUES (1, 1), (2, 2)",
    )
    .await.unwrap();
    let target = TestTarget::new().unwrap();
    let role = format!("trigger_of_{}", target.database);
    target
        .run(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'trigger'; GRANT CREATE, USAGE ON SCHEMA public TO {role}; \
             CREATE TABLE items (id integer PRIMARY KEY, n integer); \
             GRANT SELECT, INSERT, UPDATE, DELETE ON items TO {role}; \
             CREATE TABLE audit (id integer); GRANT INSERT ON audit TO {role}; ALTER TABLE audit ENABLE ROW LEVEL SECURITY; \
             CREATE POLICY own ON audit FOR INSERT WITH CHECK (true); \
             CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS \
               $$ BEGIN INSERT INTO public.audit VALUES (NEW.id); RETURN NEW; END $$; \
             CREATE TRIGGER noted AFTER INSERT ON items FOR EACH ROW EXECUTE FUNCTION note()"
        ))
        .unwrap();
    let job = job(&source, &target, "").target(&format!("user = \"{role}\"")).env(TARGET_PASSWORD, "trigger");
    job.run().unwrap().expect_code(0).unwrap();
    assert_eq!(target.value("SELECT count(*) FROM audit").unwrap(), "2");
    target.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).unwrap();
}

/// The job makes none and swaps none, and compares it all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_partitioned_table_can_be_compared() {
    let source = TestSource::with(
        "CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY, n int NULL); INSERT INTO dbo.items (id, n) VALUES (1, 1), (150, 2)",
    )
    .await.unwrap();
    let target = TestTarget::new().unwrap();
    target
        .run(
            "CREATE TABLE items (id integer PRIMARY KEY, n integer) PARTITION BY RANGE (id); \
             CREATE TABLE items_1 PARTITION OF items FOR VALUES FROM (0) TO (100); \
             CREATE TABLE items_2 PARTITION OF items FOR VALUES FROM (100) TO (200); INSERT INTO items VALUES (1, 1), (150, 2)",
        )
        .unwrap();
    let compare = || job(&source, &target, "").command("verify", &[]).unwrap();
    compare().expect_code(0).unwrap();
    target.run("UPDATE items SET n = 3 WHERE id = 150").unwrap();
    compare().expect_code(TABLES_FAILED).unwrap();
}

/// A row whose manager changes while the old one leaves.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_refer_to_one_another_change_in_one_go() {
    let source = TestSource::with(
        "CREATE TABLE dbo.staff (id int NOT NULL CONSTRAINT pk_staff PRIMARY KEY, boss int NULL); \
         INSERT INTO dbo.staff (id, boss) VALUES (2, 3), (3, NULL)",
    )
    .await
    .unwrap();
    let target = TestTarget::new().unwrap();
    target
        .run(
            "CREATE TABLE staff (id integer PRIMARY KEY, boss integer REFERENCES staff (id)); CREATE VIEW seen AS SELECT id FROM staff; \
             INSERT INTO staff VALUES (1, NULL), (2, 1), (3, NULL)",
        )
        .unwrap();
    job(&source, &target, "").run().unwrap().expect_code(0).unwrap();
    assert_eq!(target.rows("SELECT id, boss FROM staff ORDER BY id").unwrap(), ["2|3", "3|∅"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_hides_rows_is_refused() {
    let source = TestSource::with(
        "CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY, tenant int NOT NULL); \
         INSERT INTO dbo.items (id, tenant) VALUES (1, 1), (2, 2)",
    )
    .await
    .unwrap();
    let target = TestTarget::new().unwrap();
    let role = format!("tenant_of_{}", target.database);
    target
        .run(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'tenant'; GRANT CREATE, USAGE ON SCHEMA public TO {role}; \
             CREATE TABLE items (id integer PRIMARY KEY, tenant integer NOT NULL); INSERT INTO items VALUES (8, 1), (9, 2); \
             GRANT SELECT, INSERT, UPDATE, DELETE ON items TO {role}; \
             ALTER TABLE items ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON items USING (tenant = 1) WITH CHECK (true)"
        ))
        .unwrap();
    let job = || job(&source, &target, "").target(&format!("user = \"{role}\"")).env(TARGET_PASSWORD, "tenant");
    let refused = job().run().unwrap().expect_code(PRECHECK_REFUSED).unwrap();
    assert!(refused.stdout.contains("row-level security hides rows of public.items"), "{}", refused.stdout);
    assert_eq!(target.rows("SELECT id FROM items ORDER BY id").unwrap(), ["8", "9"]);
    target.run(&format!("ALTER ROLE {role} BYPASSRLS")).unwrap();
    job().run().unwrap().expect_code(0).unwrap();
    assert_eq!(target.rows("SELECT id FROM items ORDER BY id").unwrap(), ["1", "2"]);
    target.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_converted_columns_the_others_are_proven() {
    let source = TestSource::with(
        "CREATE TABLE dbo.notes (id int NOT NULL PRIMARY KEY, name nvarchar(20) NOT NULL, body nvarchar(max) NULL); \
         INSERT INTO dbo.notes (id, name, body) VALUES (1, N'one', N'{}')",
    )
    .await
    .unwrap();
    let target = TestTarget::new().unwrap();
    target
        .run(
            "CREATE TABLE notes (id integer PRIMARY KEY, name varchar(20) NOT NULL, body jsonb); INSERT INTO notes VALUES (9, 'old', NULL); \
             CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := upper(NEW.name); RETURN NEW; END $$; \
             CREATE TRIGGER shout BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION shout()",
        )
        .unwrap();
    let job = job(&source, &target, "[[table]]\nsource = \"dbo.notes\"\n[table.target_types]\nbody = \"jsonb\"");
    let report = job.run().unwrap().expect_code(TABLES_FAILED).unwrap().json().unwrap();
    let message = report["tables"][0]["failure"]["message"].as_str().unwrap();
    assert!(message.contains("does not hold what was read"), "{message}");
    assert_eq!(target.rows("SELECT id, name FROM notes").unwrap(), ["9|old"]);
    target.run("ALTER TABLE notes DISABLE TRIGGER shout").unwrap();
    job.run().unwrap().expect_code(0).unwrap();
    assert_eq!(target.rows("SELECT id, name, body FROM notes").unwrap(), ["1|one|{}"]);
}

/// What people added stays; what an earlier run made goes when the source drops it, and does not keep the table for ever.
#[tokio::test(flavor = "multi_thread")]
async fn indexes_and_keys_that_somebody_added_keep_the_table() {
    let source = TestSource::with(
        "CREATE TABLE dbo.kinds (id int NOT NULL CONSTRAINT pk_kinds PRIMARY KEY); \
         CREATE TABLE dbo.items (id int NOT NULL CONSTRAINT pk_items PRIMARY KEY, size int NULL, kind int NOT NULL \
           CONSTRAINT fk_kind REFERENCES dbo.kinds (id)); \
         CREATE INDEX ix_size ON dbo.items (size); \
         INSERT INTO dbo.kinds (id) VALUES (7); INSERT INTO dbo.items (id, size, kind) VALUES (1, 10, 7)",
    )
    .await
    .unwrap();
    let target = TestTarget::new().unwrap();
    target.run("CREATE TABLE colours (id integer PRIMARY KEY); INSERT INTO colours VALUES (7)").unwrap();
    let job = job(&source, &target, "foreign_keys = \"create\"");
    for method in ["create", "rename", "rename"] {
        let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
        assert_eq!(methods(&report), [method; 2]);
    }
    for (add, words, remove) in [
        ("CREATE INDEX added ON items (kind, size)", "index added", "DROP INDEX added"),
        ("CREATE INDEX added ON items (size) WHERE size > 3", "index added", "DROP INDEX added"),
        ("CREATE INDEX added ON items USING hash (size)", "index added", "DROP INDEX added"),
        (
            "ALTER TABLE items ADD CONSTRAINT added UNIQUE (size)",
            "index added",
            "ALTER TABLE items DROP CONSTRAINT added",
        ),
        (
            "ALTER TABLE items ADD CONSTRAINT added FOREIGN KEY (kind) REFERENCES colours (id)",
            "foreign key added to public.colours",
            "ALTER TABLE items DROP CONSTRAINT added",
        ),
    ] {
        target.run(add).unwrap();
        let plan = job.command("plan", &[]).unwrap().expect_code(0).unwrap();
        assert!(
            plan.stdout.replace("\n         ", " ").contains(&format!("because of {words}")),
            "{add}: {}",
            plan.stdout
        );
        let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
        assert_eq!(methods(&report), ["replace"; 2], "{add}");
        target.run(remove).unwrap_or_else(|error| panic!("{add}: it vanished: {error:#}"));
        assert_eq!(
            methods(&job.run().unwrap().expect_code(0).unwrap().json().unwrap()),
            ["rename"; 2],
            "after {remove}"
        );
    }
    // The parent is not copied in this run: the key to it must not vanish.
    let alone = job.command("run", &["--format", "json", "--table", "dbo.items"]).unwrap().expect_code(0).unwrap();
    assert_eq!(methods(&alone.json().unwrap()), ["replace"]);
    assert_eq!(target.rows(KEYS).unwrap(), ["fk_kind|kinds"]);
    source.run("DROP INDEX ix_size ON dbo.items; ALTER TABLE dbo.items DROP CONSTRAINT fk_kind").await.unwrap();
    let plan = job.command("plan", &["--format", "json"]).unwrap().expect_code(0).unwrap().json().unwrap();
    let lost = not_created(&plan, 0);
    assert!(lost.iter().any(|line| line.starts_with("index ix_size: it goes away")), "{lost:?}");
    assert!(lost.iter().any(|line| line.starts_with("foreign key fk_kind: it goes away")), "{lost:?}");
    assert_eq!(methods(&job.run().unwrap().expect_code(0).unwrap().json().unwrap())[0], "rename");
    let names = "SELECT indexname FROM pg_indexes WHERE tablename = 'items' ORDER BY 1";
    assert_eq!(target.rows(names).unwrap(), ["pk_items"]);
    assert_eq!(target.rows(KEYS).unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_says_what_a_table_updated_in_place_lacks() {
    let source = TestSource::with(
        "CREATE TABLE dbo.kinds (id int NOT NULL CONSTRAINT pk_kinds PRIMARY KEY); \
         CREATE TABLE dbo.items (id int IDENTITY(1, 1) NOT NULL CONSTRAINT pk_items PRIMARY KEY, size int NULL, kind int NOT NULL \
           CONSTRAINT fk_kind REFERENCES dbo.kinds (id)); \
         CREATE INDEX ix_size ON dbo.items (size); CREATE INDEX ix_kind ON dbo.items (kind); \
         CREATE TABLE dbo.counted (id decimal(18, 0) IDENTITY(1, 1) NOT NULL CONSTRAINT pk_counted PRIMARY KEY); \
         INSERT INTO dbo.kinds (id) VALUES (7); INSERT INTO dbo.items (size, kind) VALUES (10, 7), (20, 7)",
    )
    .await.unwrap();
    let target = TestTarget::new().unwrap();
    target
        .run(
            "CREATE TABLE items (id integer NOT NULL, size integer, kind integer NOT NULL); CREATE INDEX own ON items (kind); \
             INSERT INTO items VALUES (1, 5, 5), (3, 5, 5); CREATE VIEW seen AS SELECT id FROM items",
        )
        .unwrap();
    let job = job(&source, &target, "foreign_keys = \"create\"");
    let plan = job.command("plan", &["--format", "json"]).unwrap().expect_code(0).unwrap().json().unwrap();
    let at = |name: &str| {
        let tables = plan["tables"].as_array().unwrap();
        tables.iter().position(|table| table["source"] == format!("dbo.{name}")).unwrap()
    };
    assert_eq!(not_created(&plan, at("counted")), ["identity of id: only integers count up, and it is numeric(18,0)"]);
    let lacking: Vec<&str> = not_created(&plan, at("items"))
        .into_iter()
        .filter_map(|line| line.split_once(": the table is updated in place"))
        .map(|(what, _)| what)
        .collect();
    assert_eq!(lacking, ["primary key pk_items", "index ix_size", "foreign key fk_kind", "identity of id"]);
    let items = &plan["tables"][at("items")];
    assert_eq!(items["indexes"].as_array().unwrap().len(), 1, "{items}");
    assert_eq!((items["foreign_keys"].as_array().unwrap().len(), &items["columns"][0]["identity"]), (0, &false.into()));
    let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
    assert_eq!(not_created(&report, at("items")), not_created(&plan, at("items")));
    assert_eq!(target.rows("SELECT id, size FROM items ORDER BY id").unwrap(), ["1|10", "2|20"]);
}

/// What is to be put right is the table that refers, wherever its rows come from.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_others_refer_to_fails_with_what_to_do_about_them() {
    let source =
        TestSource::with("CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY); INSERT INTO dbo.items (id) VALUES (1)")
            .await
            .unwrap();
    let target = TestTarget::new().unwrap();
    target
        .run(
            "CREATE TABLE items (id integer PRIMARY KEY); INSERT INTO items VALUES (1), (2); \
             CREATE TABLE uses (item integer REFERENCES items (id)); INSERT INTO uses VALUES (2)",
        )
        .unwrap();
    let report = job(&source, &target, "").run().unwrap().expect_code(TABLES_FAILED).unwrap().json().unwrap();
    let failure = &report["tables"][0]["failure"];
    assert_eq!(failure["kind"], "orphans", "{failure}");
    assert!(failure["message"].as_str().unwrap().contains("\"uses\""), "{failure}");
    assert_eq!(target.rows("SELECT id FROM items ORDER BY id").unwrap(), ["1", "2"]);
    target.run("DELETE FROM uses").unwrap();
    job(&source, &target, "").run().unwrap().expect_code(0).unwrap();
    assert_eq!(target.rows("SELECT id FROM items").unwrap(), ["1"]);
}

/// Tables of older programs often have no key, and then rows that came twice.
async fn an_in_place_update_of_a_key_held_twice_leaves_one_row(engine: Engine) {
    let source = TestSource::with(
        "CREATE TABLE dbo.items (id int NOT NULL CONSTRAINT pk_items PRIMARY KEY, n int NULL); \
         INSERT INTO dbo.items (id, n) VALUES (1, 1), (2, 2), (3, 3); \
         CREATE TABLE dbo.codes (id int NOT NULL CONSTRAINT pk_codes PRIMARY KEY); INSERT INTO dbo.codes (id) VALUES (7)",
    )
    .await.unwrap();
    for is_read in [false, true] {
        let target = TestTarget::on(engine).unwrap();
        target
            .run(
                "CREATE TABLE items (id integer NOT NULL, n integer); CREATE TABLE other (x integer); INSERT INTO other VALUES (1); \
                 INSERT INTO items VALUES (1, 1), (1, 1), (1, 1), (2, 9), (2, 2), (2, 9), (5, 5), (5, 5); \
                 CREATE TABLE codes (id integer NOT NULL); INSERT INTO codes VALUES (7), (7)",
            )
            .unwrap();
        let mut reader = target.session().await.unwrap();
        let job = if is_read {
            // Planned to be renamed, it is kept in the end.
            reader.run(engine.pick("BEGIN ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION")).await.unwrap();
            reader.texts("SELECT CONCAT(x) FROM other").await.unwrap();
            reader.is_listed().await.unwrap();
            job(&source, &target, "").target("swap_wait = \"1s\"")
        } else {
            job(&source, &target, "").target("swap = \"in-place\"")
        };
        for _ in 0..2 {
            let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
            assert_eq!(methods(&report), ["replace"; 2]);
            assert_eq!(target.rows("SELECT id FROM codes").unwrap(), ["7"]);
            assert_eq!(target.rows("SELECT id, n FROM items ORDER BY id").unwrap(), ["1|1", "2|2", "3|3"]);
        }
    }
}

/// On MySQL a foreign key keeps its table by itself.
async fn the_plan_shows_what_a_table_updated_in_place_has(engine: Engine) {
    let source = TestSource::with(FAMILY).await.unwrap();
    source.run("CREATE INDEX ix_name ON dbo.parents (name)").await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target, "foreign_keys = \"create\"");
    job.run().unwrap().expect_code(0).unwrap();
    target.run("CREATE VIEW seen AS SELECT id FROM children").unwrap();
    let plan = job.command("plan", &["--format", "json"]).unwrap().expect_code(0).unwrap().json().unwrap();
    for (number, (name, indexes, keys)) in
        [("children", 1, 1), ("parents", 2, 0), ("toys", 1, 1)].into_iter().enumerate()
    {
        let table = &plan["tables"][number];
        assert_eq!((&table["source"], &table["swap"]["method"]), (&format!("dbo.{name}").into(), &"replace".into()));
        assert_eq!(not_created(&plan, number), Vec::<&str>::new(), "{name}");
        assert_eq!(table["indexes"].as_array().unwrap().len(), indexes, "{name}");
        assert_eq!(table["foreign_keys"].as_array().unwrap().len(), keys, "{name}");
    }
}

on_each_engine!(
    the_plan_shows_what_a_table_updated_in_place_has,
    a_new_child_of_new_parents_comes_with_its_key,
    an_in_place_update_of_a_key_held_twice_leaves_one_row
);
