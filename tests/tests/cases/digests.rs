//! The proof is worth what it finds: over random tables of random types, a copy is verified, and after any one change at the
//! target it is not.

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use stopgap_tests::{job::Job, source::TestSource, target::TestTarget};

const TABLES_FAILED: i32 = 1;
const TABLES: usize = 12;
const ROWS: usize = 30;
/// Each round changes every table once.
const ROUNDS: usize = 5;

/// A source type, a random value of it in T-SQL, and an expression of PostgreSQL that changes any value `v` of it.
struct Kind {
    source: &'static str,
    value: fn(&mut StdRng) -> String,
    changed: &'static str,
}

const KINDS: [Kind; 16] = [
    Kind { source: "bit", value: |r| u8::from(r.random::<bool>()).to_string(), changed: "NOT v" },
    Kind { source: "tinyint", value: |r| r.random::<u8>().to_string(), changed: "v # 1::smallint" },
    Kind { source: "int", value: |r| r.random::<i32>().to_string(), changed: "v # (1 << 30)" },
    Kind {
        source: "bigint",
        value: |r| format!("{}", r.random::<i64>().max(-i64::MAX)),
        changed: "v # (1::bigint << 62)",
    },
    Kind {
        source: "decimal(20,5)",
        value: |r| format!("{}.{:05}", r.random_range(-99_999_999_i64..99_999_999), r.random_range(0..100_000)),
        changed: "v + 0.00001",
    },
    Kind {
        source: "money",
        value: |r| {
            format!("{}.{:04}", r.random_range(-1_000_000_000_000_i64..1_000_000_000_000), r.random_range(0..10_000))
        },
        changed: "v - 0.0001",
    },
    Kind {
        source: "float",
        value: |r| format!("{:e}", r.random_range(-1e12..1e12)),
        changed: "CASE WHEN v = 0 THEN 1 ELSE v * 1.0000000000000002 END",
    },
    Kind { source: "real", value: |r| format!("{:e}", r.random_range(-1e6_f32..1e6)), changed: "-v - 1" },
    Kind {
        source: "date",
        value: |r| format!("DATEADD(day, {}, CAST('0001-01-01' AS date))", r.random_range(0..3_600_000)),
        changed: "v + 1",
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
        changed: "v + interval '1 microsecond'",
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
        changed: "v + interval '1 microsecond'",
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
        changed: "v + interval '1 millisecond'",
    },
    Kind { source: "nvarchar(60)", value: |r| text(r, "N"), changed: "v || ' '" },
    Kind { source: "char(30)", value: |r| text(r, ""), changed: "('x' || left(v, 20))" },
    Kind {
        source: "varbinary(40)",
        value: |r| {
            format!("0x{}", (0..r.random_range(0..40)).map(|_| format!("{:02X}", r.random::<u8>())).collect::<String>())
        },
        changed: r"v || '\x00'::bytea",
    },
    Kind {
        source: "uniqueidentifier",
        value: |r| format!("'{:08x}-0000-4000-8000-{:012x}'", r.random::<u32>(), r.random::<u64>() >> 16),
        changed: "overlay(v::text placing 'f1' from 15 for 2)::uuid",
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
    kinds: Vec<&'static Kind>,
}

impl Table {
    fn random(random: &mut StdRng, number: usize) -> Self {
        let kinds = (0..random.random_range(1..9)).filter_map(|_| KINDS.choose(random)).collect();
        Self { name: format!("t{number}"), kinds }
    }

    /// Half of the tables have no key, so that rows may be doubled.
    fn script(&self, random: &mut StdRng) -> String {
        let keyed = random.random::<bool>();
        let columns: Vec<String> =
            self.kinds.iter().enumerate().map(|(at, kind)| format!("c{at} {} NULL", kind.source)).collect();
        let key = format!("id int NOT NULL CONSTRAINT pk_{} PRIMARY KEY", self.name);
        let id = if keyed { key.as_str() } else { "id int NULL" };
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

    /// A statement that changes the copy in one place.
    fn change(&self, random: &mut StdRng) -> String {
        let name = &self.name;
        let at = random.random_range(0..self.kinds.len());
        let column = format!("c{at}");
        let one = format!("ctid = (SELECT ctid FROM {name} WHERE {column} IS NOT NULL ORDER BY random() LIMIT 1)");
        let any = format!("ctid = (SELECT ctid FROM {name} ORDER BY random() LIMIT 1)");
        match random.random_range(0..6) {
            0 => format!("DELETE FROM {name} WHERE {any}"),
            1 => format!(
                "ALTER TABLE {name} DROP CONSTRAINT IF EXISTS pk_{name}; INSERT INTO {name} SELECT * FROM {name} WHERE {any}"
            ),
            2 => format!("UPDATE {name} SET {column} = NULL WHERE {one}"),
            // Two rows exchange a value: the column's own values stay the same.
            3 => format!(
                "WITH pair AS (SELECT a.ctid AS x, b.ctid AS y, a.{column} AS vx, b.{column} AS vy FROM {name} AS a, {name} AS b \
                 WHERE a.id < b.id AND a.{column}::text IS DISTINCT FROM b.{column}::text LIMIT 1) \
                 UPDATE {name} SET {column} = CASE WHEN {name}.ctid = x THEN vy ELSE vx END FROM pair WHERE {name}.ctid IN (x, y)"
            ),
            4 => format!("UPDATE {name} SET id = id + 1000 WHERE {any}"),
            _ => {
                let changed =
                    self.kinds[at].changed.replace('v', &column).replace(&format!("inter{column}al"), "interval");
                let changed = changed.replace(&format!("o{column}erlay"), "overlay");
                format!("UPDATE {name} SET {column} = {changed} WHERE {one}")
            }
        }
    }
}

fn verified(report: &serde_json::Value, name: &str) -> bool {
    let tables = report["tables"].as_array().unwrap();
    let own = tables.iter().find(|table| table["source"] == format!("dbo.{name}")).unwrap();
    own["verdict"] == "verified"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_verified_exactly_while_it_is_equal() {
    let seed = std::env::var("STOPGAP_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("STOPGAP_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let source = TestSource::new().await.unwrap();
    let target = TestTarget::new().unwrap();
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
            let statement = table.change(&mut random);
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
    target
        .rows(&format!("SET extra_float_digits = 3; SELECT t::text FROM {name} AS t ORDER BY t::text COLLATE \"C\""))
        .unwrap()
}
