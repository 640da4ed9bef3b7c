//! What people gave a table on PostgreSQL: it is still there after a run, on the new table or on the old one that stays in place.

use stopgap_tests::{job::Job, logins::Login, source::TestSource, target::TestTarget};

const SOURCE: &str = "CREATE TABLE dbo.items (id int IDENTITY(1, 1) NOT NULL CONSTRAINT pk_items PRIMARY KEY, \
       name nvarchar(40) NOT NULL, notes nvarchar(max) NULL, size int NOT NULL, \
       CONSTRAINT uq_items UNIQUE (size)); \
     CREATE UNIQUE INDEX ux_items ON dbo.items (name); CREATE INDEX ix_items ON dbo.items (size, name); \
     INSERT INTO dbo.items (name, notes, size) VALUES (N'one', N'a', 10), (N'two', N'b', 20)";

struct Fixture {
    source: TestSource,
    target: TestTarget,
    job: Job,
    runs: usize,
}

impl Fixture {
    /// A table that an earlier run made.
    async fn new() -> Self {
        Self::on(TestTarget::new().unwrap()).await
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
        report["tables"][0]["swap"].as_str().unwrap().to_owned()
    }

    fn reason(&self) -> String {
        let plan = self.job.command("plan", &["--format", "json"]).unwrap().expect_code(0).unwrap().json().unwrap();
        plan["tables"][0]["swap"]["reason"].as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_preserved_is_on_the_new_table() {
    let own = TestTarget::with_own_server(None, &[("allow_in_place_tablespaces", "on")]).unwrap();
    own.run("CREATE TABLESPACE space LOCATION ''").unwrap();
    let mut fixture = Fixture::on(own).await;
    fixture
        .target
        .run(
            "CREATE ACCESS METHOD method TYPE TABLE HANDLER heap_tableam_handler; CREATE ROLE clerk; \
             ALTER TABLE items SET ACCESS METHOD method; ALTER TABLE items SET TABLESPACE space; \
             GRANT UPDATE (name) ON items TO clerk",
        )
        .unwrap();
    let attribute = |column: &str, what: &str| {
        format!("SELECT {what} FROM pg_attribute WHERE attrelid = 'items'::regclass AND attname = '{column}'")
    };
    let relation = |name: &str, what: &str| format!("SELECT {what} FROM pg_class WHERE oid = '{name}'::regclass");
    let attributes = [
        ("", relation("items", "(SELECT amname FROM pg_am WHERE oid = relam)"), "method".to_owned()),
        ("", relation("items", "(SELECT spcname FROM pg_tablespace WHERE oid = reltablespace)"), "space".to_owned()),
        ("ALTER TABLE items ALTER COLUMN name SET STATISTICS 500", attribute("name", "attstattarget"), "500".to_owned()),
        ("ALTER TABLE items ALTER COLUMN size SET STATISTICS 0", attribute("size", "attstattarget"), "0".to_owned()),
        (
            "ALTER TABLE items ALTER COLUMN name SET (n_distinct = -0.5)",
            attribute("name", "attoptions"),
            "{n_distinct=-0.5}".to_owned(),
        ),
        ("ALTER TABLE items ALTER COLUMN notes SET STORAGE EXTERNAL", attribute("notes", "attstorage"), "e".to_owned()),
        ("ALTER TABLE items ALTER COLUMN name SET COMPRESSION pglz", attribute("name", "attcompression"), "p".to_owned()),
        (
            "ALTER TABLE items SET (fillfactor = 70, toast_tuple_target = 200, autovacuum_enabled = off)",
            relation("items", "reloptions"),
            "{fillfactor=70,toast_tuple_target=200,autovacuum_enabled=off}".to_owned(),
        ),
        (
            "ALTER TABLE items SET (toast.autovacuum_vacuum_threshold = 77)",
            "SELECT t.reloptions FROM pg_class AS c JOIN pg_class AS t ON t.oid = c.reltoastrelid WHERE c.oid = 'items'::regclass"
                .to_owned(),
            "{autovacuum_vacuum_threshold=77}".to_owned(),
        ),
        (
            "ALTER TABLE items CLUSTER ON ix_items",
            "SELECT indexrelid::regclass FROM pg_index WHERE indisclustered AND indrelid = 'items'::regclass".to_owned(),
            "ix_items".to_owned(),
        ),
        ("ALTER INDEX ux_items SET (fillfactor = 60)", relation("ux_items", "reloptions"), "{fillfactor=60}".to_owned()),
        ("COMMENT ON INDEX uq_items IS 'it''s mine'", relation("uq_items", "obj_description(oid)"), "it's mine".to_owned()),
        (
            "COMMENT ON CONSTRAINT pk_items ON items IS 'the key'",
            "SELECT obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE conname = 'pk_items'".to_owned(),
            "the key".to_owned(),
        ),
        ("COMMENT ON SEQUENCE items_id_seq IS 'counts'", relation("items_id_seq", "obj_description(oid)"), "counts".to_owned()),
        ("COMMENT ON COLUMN items.name IS 'a name'", relation("items", "col_description(oid, 2)"), "a name".to_owned()),
        ("COMMENT ON TABLE items IS 'a table'", relation("items", "obj_description(oid)"), "a table".to_owned()),
        ("ALTER TABLE items ALTER COLUMN id SET GENERATED ALWAYS", attribute("id", "attidentity"), "a".to_owned()),
        (
            "ALTER TABLE items ALTER COLUMN id SET CACHE 7 SET CYCLE",
            "SELECT seqcache, seqcycle FROM pg_sequence WHERE seqrelid = 'items_id_seq'::regclass".to_owned(),
            "7|t".to_owned(),
        ),
        (
            "ALTER TABLE items REPLICA IDENTITY USING INDEX ux_items",
            "SELECT indexrelid::regclass FROM pg_index WHERE indisreplident AND indrelid = 'items'::regclass".to_owned(),
            "ux_items".to_owned(),
        ),
    ];
    let granted = "SELECT has_column_privilege('clerk', 'items', 'name', 'UPDATE')";
    for (set, _, _) in attributes.iter().filter(|(set, _, _)| !set.is_empty()) {
        fixture.target.run(set).unwrap();
    }
    for _ in 0..2 {
        let before = fixture.target.value(&relation("items", "oid")).unwrap();
        assert_eq!(fixture.run().await, "rename", "{}", fixture.reason());
        assert_ne!(fixture.target.value(&relation("items", "oid")).unwrap(), before);
        for (set, query, expected) in &attributes {
            assert_eq!(fixture.target.value(query).unwrap(), *expected, "{set} {query}");
        }
        assert_eq!(fixture.target.value(granted).unwrap(), "t");
    }
}

/// Each is set, named as the reason, still there after the run, and gone only by its own statement.
#[expect(clippy::too_many_lines, reason = "a list of attributes, each with its own statement")]
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_preserved_keeps_the_table() {
    let mut fixture = Fixture::new().await;
    let label =
        "SET allow_system_table_mods = on; INSERT INTO pg_seclabel VALUES ('items'::regclass, 'pg_class'::regclass, ";
    let masked = format!("{label} 2, 'anon', 'MASKED WITH VALUE NULL')");
    let labelled = format!("{label} 0, 'anon', 'TABLESAMPLE')");
    let unlabel = "SET allow_system_table_mods = on; DELETE FROM pg_seclabel";
    let subscribe = "CREATE SUBSCRIPTION feed CONNECTION 'host=127.0.0.1 port=1 dbname=none' PUBLICATION p WITH (connect = false); \
                     SET allow_system_table_mods = on; \
                     INSERT INTO pg_subscription_rel SELECT oid, 'items'::regclass, 'r', NULL FROM pg_subscription WHERE subname = 'feed'";
    let again = "CREATE UNIQUE INDEX ux_items ON items (name)";
    for (set, reason, remove) in [
        ("ALTER TABLE items SET UNLOGGED", "UNLOGGED", "ALTER TABLE items SET LOGGED"),
        (
            "CREATE TYPE shape AS (id integer, name varchar(40), notes text, size integer); ALTER TABLE items OF shape",
            "its type public.shape",
            "ALTER TABLE items NOT OF; DROP TYPE shape",
        ),
        (
            "ALTER TABLE items FORCE ROW LEVEL SECURITY",
            "FORCE ROW LEVEL SECURITY",
            "ALTER TABLE items NO FORCE ROW LEVEL SECURITY",
        ),
        (masked.as_str(), "security label of column name (anon)", unlabel),
        (labelled.as_str(), "security label of the table (anon)", unlabel),
        (
            "ALTER EXTENSION plpgsql ADD TABLE items",
            "extension plpgsql, which it belongs to",
            "ALTER EXTENSION plpgsql DROP TABLE items",
        ),
        (subscribe, "subscription feed", "ALTER SUBSCRIPTION feed SET (slot_name = NONE); DROP SUBSCRIPTION feed"),
        (
            "CREATE SEQUENCE numbers OWNED BY items.size",
            "sequence public.numbers of column size, column size, which counts up and would not any more",
            "DROP SEQUENCE numbers",
        ),
        (
            "ALTER TABLE items ALTER COLUMN id SET MAXVALUE 1000",
            "the bounds of sequence public.items_id_seq",
            "ALTER TABLE items ALTER COLUMN id SET NO MAXVALUE",
        ),
        (
            "ALTER TABLE items ALTER COLUMN size ADD GENERATED BY DEFAULT AS IDENTITY",
            "column size, which counts up and would not any more",
            "ALTER TABLE items ALTER COLUMN size DROP IDENTITY",
        ),
        (
            "DROP INDEX ux_items; CREATE UNIQUE INDEX ux_items ON items (name) NULLS NOT DISTINCT",
            "NULLS NOT DISTINCT of index ux_items",
            "DROP INDEX ux_items",
        ),
        (
            "ALTER TABLE items DROP CONSTRAINT uq_items; ALTER TABLE items ADD CONSTRAINT uq_items UNIQUE (size) DEFERRABLE",
            "DEFERRABLE of constraint uq_items",
            "ALTER TABLE items DROP CONSTRAINT uq_items",
        ),
        (
            "DROP INDEX ix_items; CREATE INDEX ix_items ON items (size, name DESC)",
            "index ix_items, which this job did not make",
            "DROP INDEX ix_items",
        ),
        ("CREATE STATISTICS joint ON size, name FROM items", "extended statistics joint", "DROP STATISTICS joint"),
        (
            "CREATE RULE quiet AS ON DELETE TO items WHERE OLD.id < 0 DO INSTEAD NOTHING",
            "a rule of public.items",
            "DROP RULE quiet ON items",
        ),
        (
            "ALTER TABLE items ENABLE ROW LEVEL SECURITY",
            "row-level security",
            "ALTER TABLE items DISABLE ROW LEVEL SECURITY",
        ),
        (
            "ALTER TABLE items ALTER COLUMN notes SET DEFAULT 'x'",
            "the default of column notes",
            "ALTER TABLE items ALTER COLUMN notes DROP DEFAULT",
        ),
        (
            "ALTER TABLE items ADD CHECK (size > 0)",
            "check constraint items_size_check",
            "ALTER TABLE items DROP CONSTRAINT items_size_check",
        ),
        ("CREATE TABLE heirs () INHERITS (items)", "child table public.heirs", "DROP TABLE heirs"),
        (
            "CREATE TABLE ranked (id integer, name varchar(40), notes text, size integer); ALTER TABLE items INHERIT ranked",
            "parent table public.ranked",
            "ALTER TABLE items NO INHERIT ranked; DROP TABLE ranked",
        ),
        (
            "ALTER TABLE items ALTER COLUMN name TYPE varchar(40) COLLATE \"C\"",
            "the collation of column name",
            "ALTER TABLE items ALTER COLUMN name TYPE varchar(40)",
        ),
        (
            "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$; \
             CREATE TRIGGER noted AFTER INSERT ON items FOR EACH ROW EXECUTE FUNCTION noted()",
            "trigger noted",
            "DROP TRIGGER noted ON items; DROP FUNCTION noted",
        ),
    ] {
        let oid = fixture.target.value("SELECT 'items'::regclass::oid").unwrap();
        fixture.target.run(set).unwrap_or_else(|error| panic!("{set}: {error:#}"));
        assert_eq!(fixture.reason(), format!("because of {reason}"), "{set}");
        assert_eq!(fixture.run().await, "replace", "{set}");
        assert_eq!(fixture.target.value("SELECT 'items'::regclass::oid").unwrap(), oid, "{set}");
        assert_eq!(fixture.reason(), format!("because of {reason}"), "{set}: it vanished");
        fixture.target.run(remove).unwrap_or_else(|error| panic!("{set}: it vanished: {error:#}"));
        assert_eq!(fixture.run().await, "rename", "after {remove}: {}", fixture.reason());
    }
    // What the job makes is there again.
    assert!(fixture.target.run(again).is_err());
}

/// A role may set where its tables go. Those of the job's own indexes are no choice of anybody's.
#[tokio::test(flavor = "multi_thread")]
async fn a_tablespace_of_the_logins_choice_is_not_the_tables() {
    let target = TestTarget::with_own_server(None, &[("allow_in_place_tablespaces", "on")]).unwrap();
    for space in ["fast", "slow"] {
        target.run(&format!("CREATE TABLESPACE {space} LOCATION ''")).unwrap();
    }
    target.run("ALTER ROLE stopgap SET default_tablespace = 'fast'").unwrap();
    let mut fixture = Fixture::on(target).await;
    let spaces = "SELECT c.relname, t.spcname FROM pg_class AS c JOIN pg_tablespace AS t ON t.oid = c.reltablespace \
                  WHERE c.oid = 'items'::regclass OR c.oid = 'ix_items'::regclass ORDER BY 1";
    assert_eq!(fixture.target.rows(spaces).unwrap(), ["items|fast", "ix_items|fast"]);
    assert_eq!(fixture.run().await, "rename");
    assert_eq!(fixture.target.rows(spaces).unwrap(), ["items|fast", "ix_items|fast"]);
    // pg_default is a choice, too.
    fixture.target.run("ALTER TABLE items SET TABLESPACE pg_default").unwrap();
    assert_eq!(fixture.run().await, "rename");
    assert_eq!(fixture.target.rows(spaces).unwrap(), ["ix_items|fast"]);
    fixture.target.run("ALTER INDEX ix_items SET TABLESPACE slow").unwrap();
    assert_eq!(fixture.reason(), "because of the tablespace of index ix_items");
    assert_eq!(fixture.run().await, "replace");
    assert_eq!(fixture.target.rows(spaces).unwrap(), ["ix_items|slow"]);
}

/// What the login may not do for a new table, it leaves as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_tablespace_that_is_not_for_this_login_keeps_the_table() {
    let target = TestTarget::with_own_server(None, &[("allow_in_place_tablespaces", "on")]).unwrap();
    target.run("CREATE TABLESPACE slow LOCATION ''").unwrap();
    let mut fixture = Fixture::on(target).await;
    let login = Login::with_the_readmes_rights(&fixture.target).unwrap();
    let name = login.name.clone();
    fixture.target.run(&format!("ALTER TABLE items SET TABLESPACE slow; ALTER TABLE items OWNER TO {name}")).unwrap();
    fixture.job = login.of(fixture.job);
    assert_eq!(fixture.reason(), "because of tablespace slow, in which this login may make no table");
    assert_eq!(fixture.run().await, "replace");
    fixture.target.run(&format!("GRANT CREATE ON TABLESPACE slow TO {name}")).unwrap();
    assert_eq!(fixture.run().await, "rename");
    let space = "SELECT t.spcname FROM pg_class AS c JOIN pg_tablespace AS t ON t.oid = c.reltablespace WHERE c.oid = 'items'::regclass";
    assert_eq!(fixture.target.value(space).unwrap(), "slow");
}
