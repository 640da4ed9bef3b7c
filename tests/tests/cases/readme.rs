//! The README's commands, in their order, as a newcomer types them.

use std::{fs, path::Path, process::Command};

use stopgap_servers::{
    ScratchDir,
    simulator::{self, Simulator},
};
use stopgap_tests::{
    certificates::{self, Authority, Flavour},
    program,
    source::TestSource,
    target::{Engine, TestTarget},
};

const README: &str = include_str!("../../../README.md");

/// The lines that call the job, without what is said about them.
fn commands() -> Vec<&'static str> {
    let (_, section) = README.split_once("\n## Copying your own tables\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let lines = section.lines().filter(|line| line.starts_with("sync-job "));
    lines.map(|line| line.split('#').next().unwrap_or_default().trim()).collect()
}

/// What a person changes in the file that `init` wrote: the target's place.
fn name_the_target(file: &Path, target: &TestTarget) {
    let mut text = fs::read_to_string(file).unwrap();
    for (typed, real) in [
        ("host = \"aurora.example.internal\"", format!("host = \"{}\"", target.host())),
        ("port = 5432", format!("port = {}", target.port())),
        ("engine = \"postgres\"", format!("engine = \"{}\"", target.engine.key())),
    ] {
        assert!(text.contains(typed), "init wrote no `{typed}`:\n{text}");
        text = text.replace(typed, &real);
    }
    let (before, target_section) = text.split_once("[target]").unwrap();
    let own = target_section
        .lines()
        .map(|line| match line.split(" =").next().unwrap_or_default() {
            "database" => format!("database = \"{}\"", target.database),
            "user" => format!("user = \"{}\"", target.user()),
            "tls" => "tls = \"disable\"".to_owned(),
            _ => line.to_owned(),
        })
        .collect::<Vec<_>>();
    fs::write(file, format!("{before}[target]{}", own.join("\n"))).unwrap();
}

async fn the_commands_of_the_readme_copy_a_database(engine: Engine) {
    let source = TestSource::new().await.unwrap();
    source
        .run(
            "CREATE TABLE dbo.Customers (CustomerID int NOT NULL PRIMARY KEY, Name nvarchar(50) NOT NULL);
              INSERT INTO dbo.Customers (CustomerID, Name) VALUES (1, N'Ærøskøbing'), (2, N'東京')",
        )
        .await
        .unwrap();
    let target = TestTarget::on(engine).unwrap();
    let directory = ScratchDir::new("readme").unwrap();
    let file = directory.path().join("job.toml");
    let address = &source.address;
    let commands = commands();
    assert_eq!(commands.len(), 5, "{commands:?}");
    for command in commands {
        let typed = command
            .replace(
                "--host erp.example.internal",
                &format!("--host {} --port {} --tls require", address.host, address.port),
            )
            .replace("--database erp", &format!("--database {}", source.database))
            .replace("--user stopgap", &format!("--user {}", address.user));
        let output = Command::new(program("STOPGAP_SYNC_JOB", "sync-job").unwrap())
            .args(typed.split_whitespace().skip(1))
            .current_dir(directory.path())
            .env("SOURCE_PASSWORD", &address.password)
            .env("TARGET_PASSWORD", target.password())
            .output()
            .unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "`{typed}` ended with {}:\n{said}", output.status);
        if command.contains(" init ") {
            name_the_target(&file, &target);
        }
    }
    assert_eq!(target.rows("SELECT * FROM customers ORDER BY customerid").unwrap(), ["1|Ærøskøbing", "2|東京"]);
}

on_each_engine!(the_commands_of_the_readme_copy_a_database);

/// What `init` was told to trust stands in the file that it writes, and is needed.
#[tokio::test(flavor = "multi_thread")]
async fn init_trusts_the_authority_that_it_is_given() {
    let directory = ScratchDir::new("init").unwrap();
    let path = |name: &str, text: &str| certificates::write(directory.path(), name, text).unwrap();
    let authority = Authority::new("of the source").unwrap();
    let (certificate, key) = authority.server(Flavour::Good).unwrap();
    let script = path("erp.sql", "CREATE TABLE dbo.one (id int NOT NULL PRIMARY KEY)");
    let options = simulator::Options {
        tls: Some((path("server.pem", &certificate), path("server.key", &key))),
        scripts: vec![("erp".to_owned(), script)],
        ..simulator::Options::default()
    };
    let simulator = Simulator::start(&program("STOPGAP_SIMULATOR", "mssql-simulator").unwrap(), &options).unwrap();
    let other = Authority::new("of nobody").unwrap();
    for (authority, status) in [(&authority, 0), (&other, 4)] {
        let authority = path("ca.pem", &authority.pem());
        let output = Command::new(program("STOPGAP_SYNC_JOB", "sync-job").unwrap())
            .args(["init", "--host", "localhost", "--port", &simulator.port().to_string(), "--database", "erp"])
            .args(["--user", simulator::USER, "--ca-file"])
            .arg(&authority)
            .env("SOURCE_PASSWORD", simulator::PASSWORD)
            .output()
            .unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(status), "{said}");
        let trusted = format!("ca_file = \"{}\"", authority.display());
        assert_eq!(said.contains(&trusted), status == 0, "{said}");
        assert!(!said.contains("Config::"), "advice for programmers: {said}");
    }
}
