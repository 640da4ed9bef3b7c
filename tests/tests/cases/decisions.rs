//! Everything that a table can have is decided: the servers' own lists of it hold nothing that the job's does not.

use std::collections::BTreeSet;

use stopgap_tests::target::{Engine, TestTarget};

use self::own::{Decision, mysql as of_mysql, postgres as of_postgres};

/// The job's own list. It is data, and the job is not linked into these tests.
#[path = "../../../sync-job/src/targets/decisions/mod.rs"]
#[allow(dead_code, reason = "the job uses what these tests do not")]
mod own;

type Decided = [(&'static str, Decision)];

/// The names that nothing is decided about.
fn undecided<'a>(names: impl IntoIterator<Item = &'a str>, decided: &Decided) -> Vec<String> {
    let is_decided = |name: &str| decided.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    names.into_iter().filter(|name| !is_decided(name)).map(str::to_owned).collect()
}

fn assert_decided(what: &str, names: &[String], decided: &Decided) {
    assert!(!names.is_empty(), "the server names nothing: {what}");
    let missing = undecided(names.iter().map(String::as_str), decided);
    assert!(missing.is_empty(), "decide in targets/decisions what becomes of {missing:?} ({what})");
    for (name, decision) in decided {
        assert!(!matches!(decision, Decision::NotOurs("")), "{name}: no reason");
        assert_eq!(decided.iter().filter(|(other, _)| other == name).count(), 1, "{name} is decided twice ({what})");
    }
}

/// Words in capitals of a grammar.
fn words(grammar: &str) -> Vec<String> {
    let words = grammar.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.len() > 1);
    let words = words.filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase()));
    let capital = words.filter(|word| !word.contains(|c: char| c.is_ascii_lowercase()));
    capital.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_column_of_a_postgresql_catalog_is_decided() {
    let target = TestTarget::new().unwrap();
    for (catalog, decided) in of_postgres::CATALOGS {
        let query = format!(
            "SELECT attname FROM pg_attribute WHERE attrelid = '{catalog}'::regclass AND attnum > 0 AND NOT attisdropped"
        );
        assert_decided(catalog, &target.rows(&query).unwrap(), decided);
    }
    let referring = "SELECT DISTINCT c.relname FROM pg_get_catalog_foreign_keys() AS f JOIN pg_class AS c ON c.oid = f.fktable \
                     WHERE f.pktable IN ('pg_class'::regclass, 'pg_attribute'::regclass)";
    assert_decided("catalogs that refer to relations", &target.rows(referring).unwrap(), of_postgres::REFERRING);
    let grammar = target.rows("\\h CREATE TABLE").unwrap().join("\n");
    let grammar = grammar.split("Syntax:").nth(1).unwrap().split("URL:").next().unwrap();
    assert_decided("CREATE TABLE", &words(grammar), of_postgres::WORDS);
}

async fn every_column_of_a_view_is_decided(engine: Engine) {
    let target = TestTarget::on(engine).unwrap();
    let of_schema = "WHERE table_schema = 'information_schema'";
    for (view, decided) in of_mysql::VIEWS {
        let query = format!("SELECT column_name FROM information_schema.columns {of_schema} AND table_name = '{view}'");
        let columns = target.rows(&query).unwrap();
        // Each server has some of these alone.
        if !columns.is_empty() {
            assert_decided(view, &columns, decided);
        }
    }
    let referring = format!(
        "SELECT DISTINCT table_name FROM information_schema.columns {of_schema} \
         AND column_name IN ('TABLE_NAME', 'EVENT_OBJECT_TABLE')"
    );
    assert_decided("views that name tables", &target.rows(&referring).unwrap(), of_mysql::REFERRING);
}

/// Every word that some clause has, and those of the rest of the grammar.
fn words_of_clauses() -> Vec<(&'static str, Decision)> {
    let clauses = [of_mysql::OF_COLUMN, of_mysql::OF_INDEX, of_mysql::ITEMS, of_mysql::OF_OPTIONS, of_mysql::WORDS];
    let mut words: Vec<(&str, Decision)> = Vec::new();
    for (clause, decision) in clauses.into_iter().flatten() {
        for word in clause.split(' ').filter(|word| word.len() > 1) {
            if !words.iter().any(|(known, _)| *known == word) {
                words.push((word, *decision));
            }
        }
    }
    words
}

/// The grammar that the server itself prints, of its own version. MariaDB's is cut off, so that its clauses are those of its
/// documentation, and what the job does not know keeps a table in place.
#[tokio::test(flavor = "multi_thread")]
async fn every_word_of_mysqls_create_table_is_decided() {
    if !Engine::all().contains(&Engine::MySql) {
        return;
    }
    let target = TestTarget::on(Engine::MySql).unwrap();
    let help = target.value("SELECT description FROM mysql.help_topic WHERE name = 'CREATE TABLE'").unwrap();
    let grammar = help.split("CREATE TABLE creates").next().unwrap().replace("\\n", "\n");
    let grammar = grammar.lines().filter(|line| !line.contains("https://")).collect::<Vec<_>>().join("\n");
    assert_decided("CREATE TABLE", &words(&grammar), &words_of_clauses());
}

/// Tables with whatever the server takes, for what its catalogs then say of them.
async fn every_option_and_extra_is_decided(engine: Engine) {
    let target = TestTarget::on(engine).unwrap();
    let options = [
        "AUTOEXTEND_SIZE = 4M",
        "AVG_ROW_LENGTH = 10",
        "CHECKSUM = 1",
        "COMPRESSION = 'zlib'",
        "CONNECTION = 'x'",
        "DELAY_KEY_WRITE = 1",
        "ENCRYPTION = 'N'",
        "INSERT_METHOD = LAST",
        "MAX_ROWS = 10",
        "MIN_ROWS = 1",
        "PACK_KEYS = 1",
        "ROW_FORMAT = COMPACT",
        "ROW_FORMAT = COMPRESSED KEY_BLOCK_SIZE = 8",
        "SECONDARY_ENGINE = x",
        "STATS_AUTO_RECALC = 1",
        "STATS_PERSISTENT = 1",
        "STATS_SAMPLE_PAGES = 4",
        "TABLESPACE innodb_file_per_table",
        "TABLESPACE innodb_system",
        "PAGE_CHECKSUM = 1",
        "TRANSACTIONAL = 1",
        "PAGE_COMPRESSED = 1",
        "PAGE_COMPRESSED = 1 PAGE_COMPRESSION_LEVEL = 4",
        "ENCRYPTED = NO",
        "ENCRYPTION_KEY_ID = 1",
        "WITH SYSTEM VERSIONING",
        "PARTITION BY HASH (id) PARTITIONS 2",
    ];
    let columns = [
        "n int DEFAULT 5",
        "n int DEFAULT (1 + 1)",
        "n datetime DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP",
        "n int GENERATED ALWAYS AS (1 + 1) VIRTUAL",
        "n int GENERATED ALWAYS AS (1 + 1) STORED",
        "n int INVISIBLE",
        "n int NOT SECONDARY",
        "n int AUTO_INCREMENT UNIQUE",
        "n text COMPRESSED",
        "n int WITHOUT SYSTEM VERSIONING",
    ];
    let mut taken = 0;
    for option in options {
        taken += usize::from(target.run(&format!("CREATE TABLE o{taken} (id int NOT NULL) {option}")).is_ok());
    }
    for column in columns {
        taken += usize::from(target.run(&format!("CREATE TABLE o{taken} (id int, {column})")).is_ok());
    }
    assert!(taken > 20, "the server takes {taken} of the definitions only");
    let shown = target.rows(
        "SELECT create_options FROM information_schema.tables WHERE table_schema = DATABASE() AND create_options <> ''",
    );
    let shown = shown.unwrap().join(" ").replace("row_format=", "ROW_FORMAT=").replace('`', "");
    let names: BTreeSet<&str> = shown.split_whitespace().map(|option| option.split('=').next().unwrap()).collect();
    let mut decided: Vec<(&str, Decision)> = words_of_clauses();
    decided.push(("partitioned", Decision::KeepsInPlace));
    assert_eq!(undecided(names, &decided), Vec::<String>::new(), "CREATE_OPTIONS: {shown}");
    let extra = target
        .rows("SELECT DISTINCT extra FROM information_schema.columns WHERE table_schema = DATABASE() AND extra <> ''");
    for extra in extra.unwrap() {
        let mut rest = extra.to_uppercase().replace("()", "");
        for (known, _) in of_mysql::EXTRAS {
            rest = rest.replace(known, "");
        }
        assert_eq!(rest.trim_matches([' ', ',']), "", "EXTRA: {extra}");
    }
}

on_each_mysql!(every_column_of_a_view_is_decided, every_option_and_extra_is_decided);
