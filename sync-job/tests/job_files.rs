//! Every bad job file with its exact message, and the example job files of `config/`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails here, with its reason")]

use std::fmt::Write as _;

use sync_job::config::{
    Consistency, FoundSecret, FoundSecrets, JobConfig, JobDraft, NameCase, NulPolicy, OutdatedWord, SwapPolicy,
    WitnessPolicy,
};
use sync_job::connect::password::PasswordSource;
use sync_job::model::schema::TableName;

/// A small job file that is right; each bad one differs from it in one place.
const GOOD: &str = r#"
[job]
name = "nightly"
[source]
host = "erp"
database = "erp"
user = "reader"
password_env = "SOURCE_PASSWORD"
[target]
engine = "postgres"
host = "pg"
database = "erp"
user = "writer"
password_env = "TARGET_PASSWORD"
[tables]
include = ["dbo.*"]
[[table]]
source = "dbo.Orders"
"#;

/// A difference from [`GOOD`].
enum Change {
    /// Puts lines after a section's heading.
    Add(&'static str, &'static str),
    /// Replaces a line.
    Swap(&'static str, &'static str),
    /// Appends text.
    End(&'static str),
    /// Something else altogether.
    All(&'static str),
}
use Change::{Add, All, End, Swap};

impl Change {
    fn text(&self) -> String {
        let changed = match self {
            Add(heading, lines) => GOOD.replacen(heading, &format!("{heading}\n{lines}"), 1),
            Swap(line, other) => GOOD.replacen(line, other, 1),
            End(text) => format!("{GOOD}{text}\n"),
            All(text) => (*text).to_owned(),
        };
        assert_ne!(changed, GOOD, "the change must change something");
        changed
    }
}

#[rustfmt::skip]
const BAD: &[(Change, &str)] = &[
    (Add("[job]", "readrs = 3"),
     "job.toml: job.readrs: unknown key; did you mean \"readers\"? allowed: name, readers, tables, memory, deadline, retries, outage, stall_timeout, grace, resume_within, keep_alive, show_values"),
    (Add("[job]", "show_values = \"yes\""),
     "job.toml: job.show_values: found string \"yes\"; expected true or false"),
    (Add("[job]", "readers = 0"),
     "job.toml: job.readers: 0 is not allowed; 1 to 64 are"),
    (Add("[job]", "readers = 65"),
     "job.toml: job.readers: 65 is not allowed; 1 to 64 are"),
    (Add("[job]", "readers = -1"),
     "job.toml: job.readers: found integer -1; expected a whole number from 1 to 64"),
    (Add("[job]", "readers = \"four\""),
     "job.toml: job.readers: found string \"four\"; expected a whole number from 1 to 64"),
    (Add("[job]", "tables = 0"),
     "job.toml: job.tables: 0 is not allowed; 1 to 64 are"),
    (Add("[job]", "memory = 256"),
     "job.toml: job.memory: found integer 256; expected a text between quotes"),
    (Add("[job]", "memory = \"256\""),
     "job.toml: job.memory: \"256\" is not a size; write a number and KiB, MiB or GiB, such as \"256MiB\""),
    (Add("[job]", "memory = \"1MiB\""),
     "job.toml: job.memory: \"1MiB\" is too little; at least 16MiB is needed"),
    (Add("[job]", "memory = \"lots\""),
     "job.toml: job.memory: \"lots\" is not a size; write a number and KiB, MiB or GiB, such as \"256MiB\""),
    (Add("[job]", "deadline = \"tomorrow\""),
     "job.toml: job.deadline: \"tomorrow\" is not a duration; write a number and ms, s, m, h or d, such as \"30s\""),
    (Add("[job]", "deadline = \"0s\""),
     "job.toml: job.deadline: \"0s\" is not a duration; write a number and ms, s, m, h or d, such as \"30s\""),
    (Add("[job]", "deadline = 7200"),
     "job.toml: job.deadline: found integer 7200; expected a text between quotes"),
    (Add("[job]", "retries = -1"),
     "job.toml: job.retries: found integer -1; expected a whole number, 0 or more"),
    (Add("[job]", "outage = \"long\""),
     "job.toml: job.outage: \"long\" is not a duration; write a number and ms, s, m, h or d, such as \"30s\""),
    (Add("[job]", "stall_timeout = \"1 minute\""),
     "job.toml: job.stall_timeout: \"1 minute\" is not a duration; write a number and ms, s, m, h or d, such as \"30s\""),
    (Swap("name = \"nightly\"", ""),
     "job.toml: job.name: this key is required"),
    (Swap("name = \"nightly\"", "name = \"\""),
     "job.toml: job.name: \"\" is not a job name; 1 to 40 letters, digits, - and _ are allowed"),
    (Swap("name = \"nightly\"", "name = \"night run\""),
     "job.toml: job.name: \"night run\" is not a job name; 1 to 40 letters, digits, - and _ are allowed"),
    (Swap("name = \"nightly\"", "name = \"a-name-that-is-one-letter-longer-than-forty\""),
     "job.toml: job.name: \"a-name-that-is-one-letter-longer-than-forty\" is not a job name; 1 to 40 letters, digits, - and _ are allowed"),
    (Swap("name = \"nightly\"", "name = 7"),
     "job.toml: job.name: found integer 7; expected a text between quotes"),
    (Swap("host = \"erp\"", ""),
     "job.toml: source.host: this key is required"),
    (Swap("host = \"erp\"", "host = \" \""),
     "job.toml: source.host: must not be empty"),
    (Swap("host = \"erp\"", "hots = \"erp\""),
     "job.toml: source.hots: unknown key; did you mean \"host\"? allowed: host, port, database, user, password_env, password_file, secret, secret_keys, tls, ca_file, intent, consistency, lock_timeout, connect_timeout, application_name"),
    (Swap("database = \"erp\"", ""),
     "job.toml: source.database: this key is required"),
    (Swap("user = \"reader\"", "user = \"\""),
     "job.toml: source.user: must not be empty"),
    (Add("[source]", "port = 0"),
     "job.toml: source.port: 0 is not a port; 1 to 65535 are allowed"),
    (Add("[source]", "port = 65536"),
     "job.toml: source.port: found integer 65536; expected a whole number from 1 to 65535"),
    (Add("[source]", "port = \"1433\""),
     "job.toml: source.port: found string \"1433\"; expected a whole number from 1 to 65535"),
    (Add("[source]", "tls = \"off\""),
     "job.toml: source.tls: found \"off\"; allowed: \"verify-full\", \"require\", \"disable\""),
    (Add("[source]", "tls = \"verify_full\""),
     "job.toml: source.tls: found \"verify_full\"; did you mean \"verify-full\"? allowed: \"verify-full\", \"require\", \"disable\""),
    (Add("[source]", "tls = true"),
     "job.toml: source.tls: a text between quotes is expected"),
    (Add("[source]", "tls = \"require\"\nca_file = \"/etc/ca.pem\""),
     "job.toml: source.ca_file: has no effect unless source.tls is \"verify-full\""),
    (Add("[source]", "ca_file = \"\""),
     "job.toml: source.ca_file: must not be empty"),
    (Add("[source]", "intent = \"readonly\""),
     "job.toml: source.intent: found \"readonly\"; did you mean \"read-only\"? allowed: \"read-only\", \"read-write\""),
    (Add("[source]", "consistency = \"nolock\""),
     "job.toml: source.consistency: found \"nolock\"; allowed: \"snapshot\", \"database-snapshot\", \"none\""),
    (Add("[source]", "lock_timeout = \"30\""),
     "job.toml: source.lock_timeout: \"30\" is not a duration; write a number and ms, s, m, h or d, such as \"30s\""),
    (Add("[source]", "connect_timeout = \"-5s\""),
     "job.toml: source.connect_timeout: \"-5s\" is not a duration; write a number and ms, s, m, h or d, such as \"30s\""),
    (Add("[source]", "application_name = \"\""),
     "job.toml: source.application_name: must not be empty"),
    (Add("[source]", "instance = \"SQLEXPRESS\""),
     "job.toml: source.instance: unknown key; allowed: host, port, database, user, password_env, password_file, secret, secret_keys, tls, ca_file, intent, consistency, lock_timeout, connect_timeout, application_name"),
    (Add("[source]", "password_file = \"/run/password\""),
     "job.toml: source.password_env: given together with password_file; one of them is allowed"),
    (Swap("password_env = \"SOURCE_PASSWORD\"", ""),
     "job.toml: source.password_env: no password is given; name an environment variable here, a file in password_file, or a secret of AWS Secrets Manager in secret"),
    (Swap("password_env = \"SOURCE_PASSWORD\"", "password_env = \"\""),
     "job.toml: source.password_env: not the name of an environment variable; letters, digits and _ are allowed"),
    (Swap("password_env = \"SOURCE_PASSWORD\"", "password = \"hunter2\""),
     "job.toml: source.password: a job file holds no passwords; use password_env or password_file"),
    (Swap("engine = \"postgres\"", "engine = \"oracle\""),
     "job.toml: target.engine: found \"oracle\"; allowed: \"postgres\", \"mysql\""),
    (Swap("engine = \"postgres\"", ""),
     "job.toml: target.engine: this key is required"),
    (Swap("password_env = \"TARGET_PASSWORD\"", ""),
     "job.toml: target.password_env: no password is given; name an environment variable here, a file in password_file, or a secret of AWS Secrets Manager in secret"),
    (Add("[target]", "password_file = \"/run/password\""),
     "job.toml: target.password_env: given together with password_file; one of them is allowed"),
    (Add("[target]", "port = 0"),
     "job.toml: target.port: 0 is not a port; 1 to 65535 are allowed"),
    (Add("[target]", "schema = \"\""),
     "job.toml: target.schema: must not be empty"),
    (Add("[target]", "schema = \"erp\"\nschemas = { dbo = \"public\" }"),
     "job.toml: target.schema: given together with [target.schemas]; one of them is allowed"),
    (Add("[target]", "schemas = { dbo = \"\" }"),
     "job.toml: target.schemas.dbo: must not be empty"),
    (Add("[target]", "on_drift = \"ignore\""),
     "job.toml: target.on_drift: found \"ignore\"; allowed: \"apply\", \"fail\""),
    (Add("[target]", "swap = \"rename\""),
     "job.toml: target.swap: found \"rename\"; allowed: \"auto\", \"in-place\""),
    (Add("[target]", "swap_wait = \"soon\""),
     "job.toml: target.swap_wait: \"soon\" is not a duration; write a number and ms, s, m, h or d, such as \"30s\""),
    (Add("[target]", "tls = \"disable\"\nca_file = \"/etc/ca.pem\""),
     "job.toml: target.ca_file: has no effect unless target.tls is \"verify-full\""),
    (Add("[target]", "locktimeout = \"2s\""),
     "job.toml: target.locktimeout: unknown key; did you mean \"lock_timeout\"? allowed: engine, host, port, database, user, password_env, password_file, secret, secret_keys, auth, tls, ca_file, schema, schemas, on_drift, swap, state, swap_wait, lock_timeout, connect_timeout"),
    (Swap("include = [\"dbo.*\"]", "include = []"),
     "job.toml: tables.include: an empty list selects nothing; give at least one \"schema.table\" pattern, or leave the key out to copy just the [[table]] entries"),
    (Swap("include = [\"dbo.*\"]", "include = \"dbo.*\""),
     "job.toml: tables.include: found string \"dbo.*\"; expected a list such as [\"a\", \"b\"]"),
    (Swap("include = [\"dbo.*\"]", "include = [\"\"]"),
     "job.toml: tables.include[0]: a table pattern must not be empty; write \"schema.table\", with * and ? as wildcards"),
    (Swap("include = [\"dbo.*\"]", "include = [\"dbo.*\", \"dbo.[a\"]"),
     "job.toml: tables.include[1]: \"dbo.[a\" is not a table pattern: unclosed character class; missing ']'"),
    (Swap("include = [\"dbo.*\"]", "include = [3]"),
     "job.toml: tables.include[0]: found integer 3; expected a text between quotes"),
    (Add("[tables]", "exclude = [\"*.{a\"]"),
     "job.toml: tables.exclude[0]: \"*.{a\" is not a table pattern: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)"),
    (Add("[tables]", "views = \"yes\""),
     "job.toml: tables.views: found string \"yes\"; expected true or false"),
    (Add("[tables]", "names = \"upper\""),
     "job.toml: tables.names: found \"upper\"; allowed: \"preserve\", \"lower\", \"snake_case\""),
    (Add("[tables]", "names = \"snake-case\""),
     "job.toml: tables.names: found \"snake-case\"; did you mean \"snake_case\"? allowed: \"preserve\", \"lower\", \"snake_case\""),
    (Add("[tables]", "nul = \"drop\""),
     "job.toml: tables.nul: found \"drop\"; allowed: \"error\", \"strip\""),
    (Add("[tables]", "undecodable = \"skip\""),
     "job.toml: tables.undecodable: found \"skip\"; allowed: \"error\", \"replace\""),
    (Add("[tables]", "indexes = \"all\""),
     "job.toml: tables.indexes: found \"all\"; allowed: \"create\", \"primary-key\", \"none\""),
    (Add("[tables]", "identity = \"drop\""),
     "job.toml: tables.identity: found \"drop\"; allowed: \"keep\", \"plain\""),
    (Add("[tables]", "foreign_keys = \"yes\""),
     "job.toml: tables.foreign_keys: found \"yes\"; allowed: \"skip\", \"create\""),
    (Add("[tables]", "max_shrink_percent = 101"),
     "job.toml: tables.max_shrink_percent: 101 is not a percentage; 0 to 100 are allowed"),
    (Add("[tables]", "max_shrink_percent = -1"),
     "job.toml: tables.max_shrink_percent: found integer -1; expected a whole number from 0 to 100"),
    (Add("[tables]", "max_shrink_percent = 12.5"),
     "job.toml: tables.max_shrink_percent: found floating point 12.5; expected a whole number from 0 to 100"),
    (Add("[tables]", "masked = \"unmask\""),
     "job.toml: tables.masked: found \"unmask\"; allowed: \"refuse\", \"allow\""),
    (Add("[tables]", "long_names = \"cut\""),
     "job.toml: tables.long_names: found \"cut\"; allowed: \"refuse\", \"hash\""),
    (Add("[tables]", "wide_rows = true"),
     "job.toml: tables.wide_rows: a text between quotes is expected"),
    (Add("[tables]", "computed = true"),
     "job.toml: tables.computed: a text between quotes is expected"),
    (Add("[tables]", "hidden = \"no\""),
     "job.toml: tables.hidden: found \"no\"; allowed: \"copy\", \"skip\""),
    (Add("[tables]", "chunk_rows = 0"),
     "job.toml: tables.chunk_rows: 0 is not allowed; at least 1 is"),
    (Add("[tables]", "offset_columns = true"),
     "job.toml: tables.offset_columns: unknown key; did you mean \"offset_column\"? allowed: include, exclude, views, names, long_names, wide_rows, nul, undecodable, indexes, identity, foreign_keys, max_shrink_percent, masked, computed, hidden, chunk_rows, offset_column, variant_type_column, witness"),
    (Add("[tables]", "source = \"dbo.Orders\""),
     "job.toml: tables.source: unknown key; allowed: include, exclude, views, names, long_names, wide_rows, nul, undecodable, indexes, identity, foreign_keys, max_shrink_percent, masked, computed, hidden, chunk_rows, offset_column, variant_type_column, witness"),
    (End("sauce = \"x\""),
     "job.toml: table[0].sauce: unknown key; did you mean \"source\"? allowed: source, target, columns, exclude_columns, filter, target_types, rename, chunk_key, group, swap, consistency, readers, names, long_names, wide_rows, nul, undecodable, indexes, identity, foreign_keys, max_shrink_percent, masked, computed, hidden, chunk_rows, offset_column, variant_type_column, witness, mode, deletes, full_every, prove, on_mismatch"),
    (End("[[table]]\ntarget = \"orders\""),
     "job.toml: table[1].source: this key is required"),
    (End("[[table]]\nsource = \"Orders\""),
     "job.toml: table[1].source: \"Orders\" is not a table name; write \"schema.table\", or \"[schema].[table]\""),
    (End("[[table]]\nsource = \"erp.dbo.Orders\""),
     "job.toml: table[1].source: \"erp.dbo.Orders\" is not a table name; write \"schema.table\", or \"[schema].[table]\""),
    (End("[[table]]\nsource = \"dbo.\""),
     "job.toml: table[1].source: \"dbo.\" is not a table name; write \"schema.table\", or \"[schema].[table]\""),
    (End("[[table]]\nsource = \"DBO.orders\""),
     "job.toml: table[1].source: DBO.orders has an entry already; one entry a table is allowed"),
    (End("target = \"a.b.c\""),
     "job.toml: table[0].target: \"a.b.c\" is not a table name; write \"schema.table\" or \"table\""),
    (End("columns = []"),
     "job.toml: table[0].columns: an empty list; name at least one column, or leave the key out"),
    (End("columns = [\"Id\", \"id\"]"),
     "job.toml: table[0].columns[1]: \"id\" is empty or named twice; name each column once"),
    (End("columns = [\"Id\"]\nexclude_columns = [\"Note\"]"),
     "job.toml: table[0].columns: given together with exclude_columns; one of them is allowed"),
    (End("exclude_columns = \"Note\""),
     "job.toml: table[0].exclude_columns: found string \"Note\"; expected a list such as [\"a\", \"b\"]"),
    (End("chunk_key = []"),
     "job.toml: table[0].chunk_key: an empty list; name at least one column, or leave the key out"),
    (End("chunk_key = [\"Id\", \"Id\"]"),
     "job.toml: table[0].chunk_key[1]: \"Id\" is empty or named twice; name each column once"),
    (End("filter = \"\""),
     "job.toml: table[0].filter: must not be empty"),
    (End("group = \"\""),
     "job.toml: table[0].group: must not be empty"),
    (End("readers = 0"),
     "job.toml: table[0].readers: 0 is not allowed; 1 to 64 are"),
    (End("readers = 5"),
     "job.toml: table[0].readers: 5 is more than job.readers, 4"),
    (End("consistency = \"snapshots\""),
     "job.toml: table[0].consistency: found \"snapshots\"; did you mean \"snapshot\"? allowed: \"snapshot\", \"database-snapshot\", \"none\""),
    (End("swap = \"keep\""),
     "job.toml: table[0].swap: found \"keep\"; allowed: \"auto\", \"in-place\""),
    (End("witness = \"whole\""),
     "job.toml: table[0].witness: found \"whole\"; allowed: \"sample\", \"full\", \"off\""),
    (End("mode = \"changes\""),
     "job.toml: table[0].mode: found \"changes\"; allowed: \"full\", \"change-tracking\", \"rowversion\", \"compare\""),
    (End("prove = \"10%\""),
     "job.toml: table[0].prove: \"10%\" is not a share; \"1/1\" to \"1/1000\" and \"off\" are allowed"),
    (End("mode = \"compare\"\non_mismatch = \"full\""),
     "job.toml: table[0].on_mismatch: only modes that follow changes have it, change-tracking and rowversion; others prove all rows in each run"),
    (End("mode = \"rowversion\"\ndeletes = \"ignore\"\non_mismatch = \"compare\""),
     "job.toml: table[0].on_mismatch: \"compare\" deletes rows that are gone at the source; with deletes = \"ignore\", \"full\" and \"fail\" are allowed"),
    (End("chunk_rows = 0"),
     "job.toml: table[0].chunk_rows: 0 is not allowed; at least 1 is"),
    (End("max_shrink_percent = 200"),
     "job.toml: table[0].max_shrink_percent: 200 is not a percentage; 0 to 100 are allowed"),
    (End("target_types = { Payload = 5 }"),
     "job.toml: table[0].target_types.Payload: found integer 5; expected a text between quotes"),
    (End("target_types = { Payload = \"\" }"),
     "job.toml: table[0].target_types.Payload: must not be empty"),
    (End("rename = { CustomerId = \"\" }"),
     "job.toml: table[0].rename.CustomerId: must not be empty"),
    (End("rename = { CustomerId = \"a\", customerid = \"b\" }"),
     "job.toml: table[0].rename.customerid: this column is named twice; name each column once"),
    (Swap("host = \"erp\"", "host = 'erp\\SQLEXPRESS'"),
     "job.toml: source.host: \"erp\\\\SQLEXPRESS\" names an instance or a port; give the host here and its port in source.port. On the server, SELECT local_tcp_port FROM sys.dm_exec_connections WHERE session_id = @@SPID tells it over TCP, and so does SQL Server Configuration Manager"),
    (Swap("password_env = \"SOURCE_PASSWORD\"", "password_env = \"s3cret!\""),
     "job.toml: source.password_env: not the name of an environment variable; letters, digits and _ are allowed"),
    (End("[schedule]\nat = \"02:00\""),
     "job.toml: schedule: unknown key; allowed: job, source, target, tables, table, notify, history"),
    (End("[[tabel]]\nsource = \"dbo.Lines\""),
     "job.toml: tabel: unknown key; did you mean \"table\"? allowed: job, source, target, tables, table, notify, history"),
    (End("[job]\nname = \"twice\""),
     "job.toml: line 19, column 2: duplicate key"),
    (End("name = \"unfinished"),
     "job.toml: line 19, column 19: invalid basic string, expected `\"`"),
    (All(""),
     "job.toml: job: this key is required"),
    (All("[job]\nname = \"a\"\n"),
     "job.toml: source: this key is required"),
    (All("[job]\nname = \"a\"\n[source]\nhost = \"h\"\ndatabase = \"d\"\nuser = \"u\"\npassword_env = \"P\"\n[target]\nengine = \"postgres\"\nhost = \"h\"\ndatabase = \"d\"\nuser = \"u\"\npassword_env = \"P\"\n"),
     "job.toml: tables.include: no tables are selected; give patterns such as [\"dbo.*\"], or [[table]] entries"),
    (Swap("[[table]]", "[table]"),
     "job.toml: table: found a table; expected [[table]], with two brackets"),
    (Add("[tables]", "exclude = [\"dbo.O*\"]"),
     "job.toml: table[0].source: dbo.Orders is excluded by \"dbo.O*\" in tables.exclude; remove one of them"),
    (Add("[source]", "secret = \"prod/erp\""),
     "job.toml: source.password_env: given together with secret; one of them is allowed"),
    (Add("[source]", "secret_keys = { password = \"pw\" }"),
     "job.toml: source.secret_keys: given without source.secret"),
    (Add("[source]", "secret_keys = { pasword = \"pw\" }"),
     "job.toml: source.secret_keys.pasword: unknown key; did you mean \"password\"? allowed: host, port, database, user, password"),
    (Add("[target]", "auth = \"iam\""),
     "job.toml: target.password_env: given together with auth = \"iam\"; one of them is allowed"),
    (Add("[target]", "auth = \"kerberos\""),
     "job.toml: target.auth: found \"kerberos\"; allowed: \"password\", \"iam\""),
    (Add("[target]", "auth = \"iam\"\ntls = \"disable\""),
     "job.toml: target.auth: \"iam\" sends its token as a password; target.tls must not be \"disable\""),
    (End("[notify]\ntopic = \"people\""),
     "job.toml: notify.topic: \"people\" is not an SNS topic's ARN; arn:aws:sns:REGION:ACCOUNT:NAME is"),
    (End("[notify]\non = \"sometimes\""),
     "job.toml: notify.on: found \"sometimes\"; allowed: \"always\", \"failure\", \"change\""),
    (End("[history]\nat = \"\""), "job.toml: history.at: must not be empty"),
    (Add("[job]", "grace = \"soon\""), "job.toml: job.grace: \"soon\" is not a duration; write a number and ms, s, m, h or d, such as \"30s\""),
    (Add("[job]", "resume_within = \"never\""), "job.toml: job.resume_within: \"never\" is not a duration; write a number and ms, s, m, h or d, such as \"30s\"; or \"off\""),
];

#[test]
fn the_file_that_the_bad_ones_differ_from_is_good() {
    JobConfig::parse(GOOD, "job.toml").unwrap();
}

#[test]
fn every_bad_job_file_says_what_is_wrong() {
    let mut wrong = String::new();
    for (change, expected) in BAD {
        let text = change.text();
        let found = match JobConfig::parse(&text, "job.toml") {
            Ok(_) => "(accepted)".to_owned(),
            Err(error) => error.to_string(),
        };
        if found != *expected {
            let _ = writeln!(wrong, "---\n{}\nexpected: {expected:?}\nfound:    {found:?}", text.trim());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(BAD.len() >= 60);
}

#[test]
fn a_job_file_that_is_not_there_is_named() {
    let error = JobDraft::load("/nonexistent/job.toml".as_ref()).unwrap_err().to_string();
    assert_eq!(error, "/nonexistent/job.toml: the job file cannot be read: No such file or directory (os error 2)");
}

#[test]
fn passwords_in_a_job_file_are_refused_without_being_repeated() {
    for line in ["password = \"hunter2\"", "password = hunter2", "password_env = \"hunter2!\""] {
        let text = GOOD.replacen("password_env = \"SOURCE_PASSWORD\"", line, 1);
        let error = JobConfig::parse(&text, "job.toml").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[test]
fn the_example_job_files_are_good() {
    for (name, text) in [
        ("reference.toml", include_str!("../../config/reference.toml")),
        ("dev.toml", include_str!("../../config/dev.toml")),
        ("prod.toml", include_str!("../../config/prod.toml")),
    ] {
        JobConfig::parse(text, name).unwrap();
    }
}

#[test]
fn the_job_file_for_aws_is_good_with_its_secrets() {
    let draft = JobDraft::parse(include_str!("../../config/aws.toml"), "aws.toml").unwrap();
    let names: Vec<String> = draft.secrets().into_iter().map(|secret| secret.name).collect();
    assert_eq!(names, ["prod/erp", "prod/aurora"]);
    let login = FoundSecret {
        engine: None,
        host: None,
        port: None,
        database: None,
        user: Some("stopgap".to_owned()),
        password: PasswordSource::Env("STANDS_FOR_THE_SECRET".to_owned()),
    };
    let source = FoundSecret { host: Some("erp".to_owned()), database: Some("erp".to_owned()), ..login.clone() };
    let found = FoundSecrets { source: Some(source), target: Some(login), tokens: None };
    let job = draft.complete(found).unwrap();
    assert_eq!((job.source.host.as_str(), job.source.user.as_str()), ("erp", "stopgap"));
}

#[test]
fn the_reference_shows_the_defaults() {
    let reference = JobConfig::parse(include_str!("../../config/reference.toml"), "reference.toml").unwrap();
    let plain = JobConfig::parse(&GOOD.replacen("nightly", "reference", 1), "job.toml").unwrap();
    let mut limits = reference.limits.clone();
    limits.deadline = None;
    assert_eq!(limits, plain.limits);
    let mut defaults = reference.defaults.clone();
    defaults.max_shrink_percent = None;
    defaults.chunk_rows = None;
    assert_eq!(defaults, plain.defaults);
    let source = &reference.source;
    assert_eq!(
        (source.port, source.tls.mode, source.intent, source.consistency, source.lock_timeout, source.connect_timeout),
        (
            plain.source.port,
            plain.source.tls.mode,
            plain.source.intent,
            plain.source.consistency,
            plain.source.lock_timeout,
            plain.source.connect_timeout
        )
    );
    assert_eq!(source.application_name, plain.source.application_name);
    let target = &reference.target;
    assert_eq!(
        (target.port, target.on_drift, target.swap, target.swap_wait, target.lock_timeout, target.connect_timeout),
        (
            plain.target.port,
            plain.target.on_drift,
            plain.target.swap,
            plain.target.swap_wait,
            plain.target.lock_timeout,
            plain.target.connect_timeout
        )
    );
}

#[test]
fn a_table_overrides_what_it_names_and_nothing_else() {
    let config = JobConfig::parse(include_str!("../../config/reference.toml"), "reference.toml").unwrap();
    let orders = config.settings(&TableName::new("sales", "ORDERS"));
    assert_eq!((orders.names, orders.readers, orders.consistency), (NameCase::SnakeCase, 2, Consistency::None));
    assert_eq!((orders.nul, orders.max_shrink_percent), (NulPolicy::Error, Some(50)));
    let lines = config.settings(&TableName::new("Sales", "OrderLines"));
    assert_eq!((lines.nul, lines.max_shrink_percent, lines.readers), (NulPolicy::Strip, Some(10), 4));
    assert_eq!((orders.witness, lines.witness), (WitnessPolicy::Sample, WitnessPolicy::Full));
    assert_eq!(config.settings(&TableName::new("dbo", "Other")), &config.defaults);
}

/// The keys of a section as the parser itself lists them.
fn keys_of(heading: &str) -> Vec<String> {
    let text = if matches!(heading, "[notify]" | "[history]") {
        format!("{GOOD}{heading}\nno_such_key = 1\n")
    } else if heading == "[[table]]" {
        format!("{GOOD}no_such_key = 1\n")
    } else {
        GOOD.replacen(heading, &format!("{heading}\nno_such_key = 1"), 1)
    };
    let error = JobConfig::parse(&text, "job.toml").unwrap_err().to_string();
    let (_, listed) = error.split_once("allowed: ").unwrap();
    listed.split(", ").map(str::to_owned).collect()
}

#[test]
fn the_documentation_lists_every_key_and_no_other() {
    let document = include_str!("../../docs/job-file.md");
    for heading in ["[job]", "[source]", "[target]", "[tables]", "[[table]]", "[notify]", "[history]"] {
        let (_, after) = document.split_once(&format!("\n## `{heading}`\n")).unwrap();
        let section = after.split("\n## ").next().unwrap().split("\n### ").next().unwrap();
        let documented: Vec<&str> =
            section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        let mut expected = keys_of(heading);
        let mut found: Vec<String> = documented.iter().map(|key| (*key).to_owned()).collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "docs/job-file.md, section {heading}");
    }
}

#[test]
fn the_reference_job_file_shows_every_key() {
    let reference = include_str!("../../config/reference.toml");
    for heading in ["[job]", "[source]", "[target]", "[tables]", "[[table]]", "[notify]", "[history]"] {
        for key in keys_of(heading) {
            let shown = reference.contains(&format!("{key} = ")) || reference.contains(&format!(".{key}]"));
            assert!(shown, "config/reference.toml does not show {key} of {heading}");
        }
    }
}

#[test]
fn a_word_with_a_new_name_is_still_read_and_named() {
    let parse = |text: &str| JobConfig::parse(text, "job.toml").unwrap();
    let [old, new] = ["replace", "in-place"].map(|word| {
        let text = Add("[target]", format!("swap = \"{word}\"").leak()).text();
        parse(&format!("{text}swap = \"{word}\"\n"))
    });
    assert_eq!(new.outdated, []);
    let found: Vec<_> = old.outdated.iter().map(|word| (word.key.as_str(), word.old, word.new)).collect();
    assert_eq!(found, [("target.swap", "replace", "in-place"), ("table[0].swap", "replace", "in-place")]);
    assert_eq!((old.target.swap, &old.tables), (SwapPolicy::InPlace, &new.tables));
    let documented = include_str!("../../docs/job-file.md");
    for OutdatedWord { key, old, new } in old.outdated {
        let key = key.rsplit('.').next().unwrap();
        let line = format!("| `{key}` | `\"{old}\"` | `\"{new}\"` |");
        assert!(documented.contains(&line), "docs/job-file.md lacks: {line}");
    }
}
