//! What `check` and `verify` say before and after the nights on which nobody looks.

use stopgap_tests::{
    job::Job,
    source::TestSource,
    target::{Engine, TestTarget},
};

const TABLES_FAILED: i32 = 1;
const UNUSABLE: i32 = 2;
const PRECHECK_REFUSED: i32 = 3;

async fn source() -> TestSource {
    let source = TestSource::new().await.unwrap();
    let script = "CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY, day date NULL); \
                  CREATE TABLE dbo.others (id int NOT NULL PRIMARY KEY); \
                  INSERT INTO dbo.items (id) VALUES (1); INSERT INTO dbo.others (id) VALUES (1)";
    source.run(script).await.unwrap();
    source
}

fn job(source: &TestSource, target: &TestTarget, sections: &str) -> Job {
    Job::new(source, target).unwrap().sections(sections)
}

const BOTH: &str = "[[table]]\nsource = \"dbo.items\"\n[[table]]\nsource = \"dbo.others\"";

/// A table that is gone at the source cannot agree with its copy.
#[tokio::test(flavor = "multi_thread")]
async fn verify_does_not_pass_over_a_table_that_is_gone() {
    let (source, target) = (source().await, TestTarget::new().unwrap());
    let job = job(&source, &target, BOTH);
    job.run().unwrap().expect_code(0).unwrap();
    job.command("verify", &[]).unwrap().expect_code(0).unwrap();
    source.run("DROP TABLE dbo.others").await.unwrap();
    let outcome = job.command("verify", &[]).unwrap().expect_code(PRECHECK_REFUSED).unwrap();
    assert!(outcome.stdout.contains("has no table or view dbo.others"), "{}", outcome.stdout);
}

/// What is to be done about a difference is not what is to be done about a failed run.
#[tokio::test(flavor = "multi_thread")]
async fn verify_says_what_to_do_about_a_difference() {
    let (source, target) = (source().await, TestTarget::new().unwrap());
    let job = job(&source, &target, BOTH);
    job.run().unwrap().expect_code(0).unwrap();
    target.run("DELETE FROM items; DROP TABLE others").unwrap();
    let outcome = job.command("verify", &["--format", "json"]).unwrap().expect_code(TABLES_FAILED).unwrap();
    let report = outcome.json().unwrap();
    for (number, words) in [(0, "the target holds 0"), (1, "the target has no table public.others")] {
        let failure = &report["tables"][number]["failure"];
        assert!(failure["message"].as_str().unwrap().contains(words), "{failure}");
        let remedy = failure["remedy"].as_str().unwrap();
        assert!(remedy.contains("`sync-job run`") && !remedy.contains("The old table was kept"), "{failure}");
    }
}

/// A full disk at the end of the night takes the file, not what is known of the run.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_cannot_be_written_is_still_printed() {
    let (source, target) = (source().await, TestTarget::new().unwrap());
    let outcome = job(&source, &target, BOTH).command("run", &["--report", "/dev/full"]).unwrap();
    let outcome = outcome.expect_code(UNUSABLE).unwrap();
    assert!(outcome.stderr.contains("the report cannot be written to /dev/full"), "{}", outcome.stderr);
    assert!(outcome.stdout.contains("[OK]") && outcome.stdout.contains("public.items"), "{}", outcome.stdout);
}

async fn a_filter_that_the_source_does_not_take_is_refused_before_the_run(engine: Engine) {
    let (source, target) = (source().await, TestTarget::on(engine).unwrap());
    let with = |filter: &str| {
        let entry =
            format!("[[table]]\nsource = \"dbo.items\"\nfilter = \"{filter}\"\n[[table]]\nsource = \"dbo.others\"");
        job(&source, &target, &entry)
    };
    for filter in ["dya > '2020-01-01'", "day > '2020-01-01' -- the new ones", "day >"] {
        for command in ["check", "plan", "run"] {
            let outcome = with(filter).command(command, &[]).unwrap().expect_code(PRECHECK_REFUSED).unwrap();
            let said = outcome.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(said.contains("filter: the source does not take") && said.contains("Msg "), "{filter}: {said}");
        }
        assert!(target.run("SELECT id FROM others").is_err(), "{filter}: something was written");
    }
    with("day IS NULL").command("check", &[]).unwrap().expect_code(0).unwrap();
}

on_each_engine!(a_filter_that_the_source_does_not_take_is_refused_before_the_run);
