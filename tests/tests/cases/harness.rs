//! The harness itself: a test that stands on it is worth no more than it.

use anyhow::Context;
use sqlx::{ConnectOptions, Connection, postgres::PgSslMode};
use stopgap_servers::{
    ScratchDir,
    postgres::{PASSWORD, USER},
};
use stopgap_tests::{certificates::Flavour, job::Job, program, source::TestSource, target::TestTarget};

async fn connects_verified(target: &TestTarget) -> anyhow::Result<()> {
    let authority = target.authority().context("the target has no certificate")?;
    let options = sqlx::postgres::PgConnectOptions::new_without_pgpass()
        .host(target.host())
        .port(target.port())
        .username(USER)
        .password(PASSWORD)
        .database(&target.database)
        .ssl_mode(PgSslMode::VerifyFull)
        .ssl_root_cert(authority);
    Ok(options.connect().await?.close().await?)
}

#[tokio::test]
async fn certificates_are_good_and_bad_as_asked() {
    connects_verified(&TestTarget::new().unwrap()).await.unwrap();
    for flavour in [Flavour::Expired, Flavour::WrongHost] {
        let target = TestTarget::with_own_server(Some(flavour), &[]).unwrap();
        let error = connects_verified(&target).await.unwrap_err();
        let error = format!("{error:#}");
        assert!(error.to_lowercase().contains("certificate"), "{flavour:?}: {error}");
    }
}

#[tokio::test]
async fn each_target_is_a_database_of_its_own() {
    let (one, other) = (TestTarget::new().unwrap(), TestTarget::new().unwrap());
    one.run("CREATE TABLE only_here (n int, t text); INSERT INTO only_here VALUES (1, NULL), (2, 'x|y')").unwrap();
    assert_eq!(one.rows("SELECT * FROM only_here ORDER BY n").unwrap(), ["1|∅", "2|x|y"]);
    assert!(other.rows("SELECT * FROM only_here").is_err());
    let mut connection = one.connect().await.unwrap();
    let sum: i64 = sqlx::query_scalar("SELECT sum(n) FROM only_here").fetch_one(&mut connection).await.unwrap();
    assert_eq!(sum, 3);
}

#[test]
fn a_server_of_its_own_can_crash_and_have_settings() {
    let mut target = TestTarget::with_own_server(None, &[("work_mem", "1MB")]).unwrap();
    assert_eq!(target.value("SHOW work_mem").unwrap(), "1MB");
    target.own_server().unwrap().crash();
    assert!(target.value("SELECT 1").is_err());
    target.own_server().unwrap().start_again().unwrap();
    assert_eq!(target.value("SELECT 1").unwrap(), "1");
    assert!(TestTarget::new().unwrap().own_server().is_err());
}

/// The program under test is the one that is deployed: it needs no loader and no libraries, and yet finds hosts by their names.
#[tokio::test(flavor = "multi_thread")]
async fn the_job_is_static_and_resolves_names() {
    let program = std::fs::read(program("STOPGAP_SYNC_JOB", "sync-job").unwrap()).unwrap();
    let loader = program.windows(8).take(4096).any(|bytes| bytes == b"/ld-linu");
    assert!(!loader, "it names a loader: it is not static");
    let (source, target) = (TestSource::new().await.unwrap(), TestTarget::new().unwrap());
    source.run("CREATE TABLE dbo.names (id int NOT NULL PRIMARY KEY)").await.unwrap();
    let job = |host: &str| {
        let job = Job::new(&source, &target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]");
        job.source(&format!("host = \"{host}\"")).target("host = \"localhost\"").job("retries = 0")
    };
    job("localhost").run().unwrap().expect_code(0).unwrap();
    let unknown = job("no-such-host.invalid").run().unwrap().expect_code(4).unwrap();
    assert!(unknown.stdout.contains("could not connect to SQL Server at no-such-host.invalid"), "{}", unknown.stdout);
}

/// Where the machine looks names up by modules of its own, which are useless to a static program of another glibc: here by one
/// that cannot even be loaded, and then by nothing else.
#[test]
fn the_programs_look_names_up_without_modules_of_the_machine() {
    let directory = ScratchDir::new("lookup").unwrap();
    let lookups = directory.path().join("nsswitch.conf");
    std::fs::write(&lookups, "hosts: none-such [UNAVAIL=return] files dns\n").unwrap();
    let job_file = directory.path().join("job.toml");
    let job = "[job]\nname = \"lookup\"\nretries = 0\n[source]\nhost = \"localhost\"\nport = 9\ndatabase = \"d\"\nuser = \"u\"\n\
               password_env = \"PASSWORD\"\ntls = \"disable\"\n[target]\nengine = \"postgres\"\nhost = \"localhost\"\nport = 9\n\
               database = \"d\"\nuser = \"u\"\npassword_env = \"PASSWORD\"\ntls = \"disable\"\n[tables]\ninclude = [\"*\"]\n";
    std::fs::write(&job_file, job).unwrap();
    let elsewhere = |program: &std::path::Path, then: &str| {
        let mount = "mount --bind \"$1\" /etc/nsswitch.conf && exec \"$2\" $3";
        // Some systems leave namespaces to root.
        let mut shown = ["unshare", "sudo -nE unshare"].into_iter().map(|unshare| {
            let script = format!("exec {unshare} --map-root-user --mount sh -c '{mount}' sh \"$@\"");
            let output = std::process::Command::new("sh")
                .args(["-c", &script, "sh"])
                .args([lookups.as_os_str(), program.as_os_str(), then.as_ref()])
                .env("PASSWORD", "none")
                .envs([("AWS_LAMBDA_RUNTIME_API", "localhost:9"), ("AWS_LAMBDA_FUNCTION_NAME", "launcher")])
                .envs([("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"), ("AWS_LAMBDA_FUNCTION_VERSION", "1")])
                .envs([("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_REGION", "eu-central-1")])
                .output()
                .unwrap();
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
        });
        shown.find(|text| !text.contains("unshare")).unwrap_or_else(|| panic!("no namespace can be made"))
    };
    let job = program("STOPGAP_SYNC_JOB", "sync-job").unwrap();
    let launcher = program("STOPGAP_LAUNCHER", "bootstrap").unwrap();
    let check = format!("check --config {}", job_file.display());
    for (program, arguments) in [(job, check.as_str()), (launcher, "")] {
        let said = elsewhere(&program, arguments);
        assert!(said.contains("Connection refused"), "{}: {said}", program.display());
    }
}
