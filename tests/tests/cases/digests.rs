//! The proof is worth what it finds: over random tables of random types, a copy is verified, and after any one change at the
//! target it is not.

use std::time::Instant;

use rand::{RngExt as _, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use stopgap_tests::{
    job::Job,
    source::TestSource,
    target::{Engine, TestTarget},
};

const TABLES_FAILED: i32 = 1;
const TABLES: usize = 10;
const ROWS: usize = 30;
/// Each round changes every table once.
const ROUNDS: usize = 4;

/// A source type, a random value of it in T-SQL, and an expression of each engine that changes any value `v` of it.
struct Kind {
    source: &'static str,
    value: fn(&mut StdRng) -> String,
    postgres: &'static str,
    mysql: &'static str,
}

const KINDS: [Kind; 16] = [
    Kind { source: "bit", value: |r| u8::from(r.random::<bool>()).to_string(), postgres: "NOT v", mysql: "NOT v" },
    Kind { source: "tinyint", value: |r| r.random::<u8>().to_string(), postgres: "v # 1::smallint", mysql: "v ^ 1" },
    Kind {
        source: "int",
        value: |r| r.random::<i32>().to_string(),
        postgres: "v # (1 << 30)",
        mysql: "v + IF(v > 0, -1, 1)",
    },
    Kind {
        source: "bigint",
        value: |r| format!("{}", r.random::<i64>().max(-i64::MAX)),
        postgres: "v # (1::bigint << 62)",
        mysql: "v + IF(v > 0, -1, 1)",
    },
    Kind {
        source: "decimal(20,5)",
        value: |r| format!("{}.{:05}", r.random_range(-99_999_999_i64..99_999_999), r.random_range(0..100_000)),
        postgres: "v + 0.00001",
        mysql: "v + 0.00001",
    },
    Kind {
        source: "money",
        value: |r| {
            format!("{}.{:04}", r.random_range(-1_000_000_000_000_i64..1_000_000_000_000), r.random_range(0..10_000))
        },
        postgres: "v - 0.0001",
        mysql: "v - 0.0001",
    },
    Kind {
        source: "float",
        value: |r| format!("{:e}", r.random_range(-1e12..1e12)),
        postgres: "CASE WHEN v = 0 THEN 1 ELSE v * 1.0000000000000002 END",
        mysql: "IF(v = 0, 1, v * 1.0000000000000002e0)",
    },
    Kind {
        source: "real",
        value: |r| format!("{:e}", r.random_range(-1e6_f32..1e6)),
        postgres: "-v - 1",
        mysql: "-v - 1",
    },
    Kind {
        source: "date",
        value: |r| format!("DATEADD(day, {}, CAST('0001-01-01' AS date))", r.random_range(0..3_600_000)),
        postgres: "v + 1",
        mysql: "v + INTERVAL IF(v < DATE '5000-01-01', 1, -1) DAY",
    },
    Kind {
        source: "time(6)",
        value: |r| {
            format!(
                "'{:02}:{:02}:{:02}.{:06}'",
                r.random_range(0..24),
                r.random_range(0..60),
                r.random_range(0..60),
                r.random_range(0..1_000_000)
            )
        },
        postgres: "v + interval '1 microsecond'",
        mysql: "IF(v < TIME '12:00:00', ADDTIME(v, '00:00:00.000001'), SUBTIME(v, '00:00:00.000001'))",
    },
    Kind {
        source: "datetime2(6)",
        value: |r| {
            format!(
                "'{:04}-{:02}-{:02}T{:02}:00:00.{:06}'",
                r.random_range(1..9999),
                r.random_range(1..13),
                r.random_range(1..29),
                r.random_range(0..24),
                r.random_range(0..1_000_000)
            )
        },
        postgres: "v + interval '1 microsecond'",
        mysql: "v + INTERVAL IF(v < TIMESTAMP '5000-01-01 00:00:00', 1, -1) MICROSECOND",
    },
    Kind {
        source: "datetimeoffset(3)",
        value: |r| {
            format!(
                "'{:04}-06-15T{:02}:30:00.{:03}+00:00'",
                r.random_range(1..9999),
                r.random_range(0..24),
                r.random_range(0..1000)
            )
        },
        postgres: "v + interval '1 millisecond'",
        mysql: "v + INTERVAL IF(v < TIMESTAMP '5000-01-01 00:00:00', 1000, -1000) MICROSECOND",
    },
    Kind { source: "nvarchar(60)", value: |r| text(r, "N"), postgres: "v || ' '", mysql: "CONCAT(v, ' ')" },
    Kind {
        source: "char(30)",
        value: |r| text(r, ""),
        postgres: "('x' || left(v, 20))",
        mysql: "CONCAT('x', LEFT(v, 20))",
    },
    Kind {
        source: "varbinary(40)",
        value: |r| {
            format!("0x{}", (0..r.random_range(0..40)).map(|_| format!("{:02X}", r.random::<u8>())).collect::<String>())
        },
        postgres: r"v || '\x00'::bytea",
        mysql: "IF(LENGTH(v) < 40, CONCAT(v, X'00'), X'00')",
    },
    Kind {
        source: "uniqueidentifier",
        value: |r| format!("'{:08x}-0000-4000-8000-{:012x}'", r.random::<u32>(), r.random::<u64>() >> 16),
        postgres: "overlay(v::text placing 'f1' from 15 for 2)::uuid",
        mysql: "INSERT(v, 15, 2, 'f1')",
    },
];

/// Short words of few letters, so that many values are alike.
fn text(random: &mut StdRng, prefix: &str) -> String {
    let letters = if prefix.is_empty() { ['a', 'b', 'A', ' ', '~', ','] } else { ['a', 'ß', '🦀', ' ', '~', ','] };
    let length = random.random_range(0..14);
    let word: String = (0..length).filter_map(|_| letters.choose(random)).collect();
    format!("{prefix}'{word}'")
}

struct Table {
    name: String,
    keyed: bool,
    kinds: Vec<&'static Kind>,
}

impl Table {
    fn random(random: &mut StdRng, number: usize) -> Self {
        let kinds = (0..random.random_range(1..9)).filter_map(|_| KINDS.choose(random)).collect();
        Self { name: format!("t{number}"), keyed: random.random(), kinds }
    }

    /// Half of the tables have no key, so that rows may be doubled.
    fn script(&self, random: &mut StdRng) -> String {
        let columns: Vec<String> =
            self.kinds.iter().enumerate().map(|(at, kind)| format!("c{at} {} NULL", kind.source)).collect();
        let key = format!("id int NOT NULL CONSTRAINT pk_{} PRIMARY KEY", self.name);
        let id = if self.keyed { key.as_str() } else { "id int NULL" };
        let mut script = format!("CREATE TABLE dbo.{} ({id}, {});\nGO\n", self.name, columns.join(", "));
        let mut rows = Vec::new();
        for row in 0..ROWS {
            let mut values = vec![row.to_string()];
            for kind in &self.kinds {
                let null = random.random_ratio(1, 8);
                values.push(if null { "NULL".to_owned() } else { (kind.value)(random) });
            }
            rows.push(format!("({})", values.join(", ")));
        }
        script.push_str(&format!("INSERT INTO dbo.{} VALUES {};\n", self.name, rows.join(",\n")));
        script
    }

    /// A statement that changes the copy in one place, or nowhere where the row has NULL there.
    fn change(&self, random: &mut StdRng, engine: Engine) -> String {
        let name = &self.name;
        let at = random.random_range(0..self.kinds.len());
        let column = format!("c{at}");
        let row = random.random_range(0..ROWS);
        let other = (row + random.random_range(1..ROWS)) % ROWS;
        let value_of = |id| format!("(SELECT {column} FROM (SELECT * FROM {name}) AS q WHERE id = {id})");
        match random.random_range(0..6) {
            0 => format!("DELETE FROM {name} WHERE id = {row}"),
            1 => {
                let drop = engine.pick(
                    format!("ALTER TABLE {name} DROP CONSTRAINT IF EXISTS pk_{name}"),
                    // Only a key that is there can be dropped.
                    if self.keyed { format!("ALTER TABLE {name} DROP PRIMARY KEY") } else { "DO 0".to_owned() },
                );
                format!("{drop}; INSERT INTO {name} SELECT * FROM {name} WHERE id = {row}")
            }
            2 => format!("UPDATE {name} SET {column} = NULL WHERE id = {row}"),
            // Two rows exchange a value: the column's own values stay the same.
            3 => format!(
                "UPDATE {name} SET {column} = CASE WHEN id = {row} THEN {} ELSE {} END WHERE id IN ({row}, {other})",
                value_of(other),
                value_of(row)
            ),
            4 => format!("UPDATE {name} SET id = id + 1000 WHERE id = {row}"),
            _ => {
                let changed = engine.pick(self.kinds[at].postgres, self.kinds[at].mysql);
                format!("UPDATE {name} SET {column} = {} WHERE id = {row}", replaced(changed, &column))
            }
        }
    }
}

/// The expression with the column in place of the word `v`.
fn replaced(expression: &str, column: &str) -> String {
    let is_word =
        |character: Option<char>| character.is_some_and(|character| character.is_alphanumeric() || character == '_');
    let mut text = String::new();
    let mut before = None;
    let mut rest = expression.chars().peekable();
    while let Some(character) = rest.next() {
        let alone = character == 'v' && !is_word(before) && !is_word(rest.peek().copied());
        if alone {
            text.push_str(column);
        } else {
            text.push(character);
        }
        before = Some(character);
    }
    text
}

fn verified(report: &serde_json::Value, name: &str) -> bool {
    let tables = report["tables"].as_array().unwrap();
    let own = tables.iter().find(|table| table["source"] == format!("dbo.{name}")).unwrap();
    own["verdict"] == "verified"
}

async fn a_copy_is_verified_exactly_while_it_is_equal(engine: Engine) {
    let began = Instant::now();
    let mut seed = std::env::var("STOPGAP_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    loop {
        println!("STOPGAP_SEED={seed}");
        a_random_copy_is_verified_exactly_while_it_is_equal(engine, seed).await;
        if stopgap_tests::soak().is_none_or(|limit| began.elapsed() >= limit) {
            return;
        }
        seed = rand::random();
    }
}

async fn a_random_copy_is_verified_exactly_while_it_is_equal(engine: Engine, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let source = TestSource::new().await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let tables: Vec<Table> = (0..TABLES).map(|number| Table::random(&mut random, number)).collect();
    for table in &tables {
        let script = table.script(&mut random);
        source.run(&script).await.unwrap_or_else(|error| panic!("seed {seed}: {error:#}\n{script}"));
    }
    let job = Job::new(&source, &target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]");
    for _ in 0..ROUNDS {
        job.run().unwrap().expect_code(0).unwrap();
        job.command("verify", &["--format", "json"]).unwrap().expect_code(0).unwrap();
        let mut changed = Vec::new();
        for table in &tables {
            let statement = table.change(&mut random, engine);
            let before = whole(&target, &table.name);
            target.run(&statement).unwrap_or_else(|error| panic!("seed {seed}: {error:#}\n{statement}"));
            // A column of NULLs alone, say, has nothing to change.
            changed.push((before != whole(&target, &table.name), statement));
        }
        let outcome = job.command("verify", &["--format", "json"]).unwrap().expect_code(TABLES_FAILED).unwrap();
        let report = outcome.json().unwrap();
        for (table, (changed, statement)) in tables.iter().zip(&changed) {
            assert_eq!(verified(&report, &table.name), !changed, "seed {seed}: after {statement}");
        }
    }
}

/// All rows as text, in an order of their own.
fn whole(target: &TestTarget, name: &str) -> Vec<String> {
    let mut rows = target
        .rows(&target.engine.pick(
            format!("SET extra_float_digits = 3; SELECT t::text FROM {name} AS t"),
            format!("SELECT * FROM {name}"),
        ))
        .unwrap();
    rows.sort();
    rows
}

on_each_engine!(a_copy_is_verified_exactly_while_it_is_equal);
