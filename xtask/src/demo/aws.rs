//! `cargo xtask demo --aws`: from a schedule to a mail and a machine that is gone, on loopback.

use super::{Clock, filled_in, start_source, target::Target};
use crate::{certificates::Certificates, setup::Tools, workspace};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{fs, path::Path, process::Command};
use stopgap_servers::{
    ScratchDir,
    cloud::{Answer, Cloud, Deployment},
    guard::Guarded,
    simulator,
};

/// As `config/demo.toml` names it.
const JOB: &str = "demo";

pub fn show(
    clock: &Clock,
    tools: &Tools,
    [job, simulator, launcher]: [&Path; 3],
    certificates: &Certificates,
    target: &Target,
) -> Result<()> {
    clock.say("Starting the SQL Server simulator with the sample business, and AWS on loopback (moto)");
    let source = start_source(simulator, certificates)?;
    let cloud = Cloud::start(&tools.venv)?;
    let deployment = Deployment::new(&cloud, launcher, JOB)?;
    deployment.put_secret("source", &json!({"password": simulator::PASSWORD}))?;
    deployment.put_secret("target", &json!({"password": target.password()}))?;
    deployment.put_job_file(&with_secrets(&filled_in("demo.toml", &source, target, certificates)?)?)?;
    println!(
        "topic   {}\nbucket  s3://{}, with jobs/{JOB}.toml\nsecrets {JOB}/source, {JOB}/target",
        deployment.topic, deployment.bucket
    );

    let event = json!({"job": JOB, "schedule": {"id": "demo-execution", "time": "2026-11-20T04:00:00Z"}});
    clock.say(&format!("EventBridge invokes the launcher: {event}"));
    let answer = done(deployment.invoke(&event)?)?;
    println!("{answer:#}");
    let instance = answer["instance"].as_str().context("the launcher started nothing")?.to_owned();
    let run_id = answer["run_id"].as_str().context("the launcher named no run")?.to_owned();

    clock.say(&format!(
        "Lambda tries the same event again: no second instance ({} is there)",
        deployment.instances()?.len()
    ));
    println!("{}", done(deployment.invoke(&event)?)?);

    clock.say(&format!("{instance} boots, and its unit runs: sync-job boot"));
    let runtime = ScratchDir::new("instance")?;
    let metadata = deployment.metadata(&instance)?;
    let mut boot = deployment.boot(job, &metadata, runtime.path());
    // Shown below, as its reader gets it.
    let output = runtime.path().join("stdout");
    let status = Guarded::spawn(boot.stdout(fs::File::create(&output)?), "TERM")?.wait()?;
    ensure!(status.success(), "sync-job boot failed ({status}):\n{}", fs::read_to_string(&output)?);

    clock.say("The unit switches the machine off: it is terminated, and EventBridge tells the launcher");
    println!("{}", done(deployment.power_off(&instance)?)?);
    for (instance, state) in deployment.instances()? {
        println!("{instance} is {state}");
    }

    let messages = deployment.messages()?;
    ensure!(messages.len() == 1, "{} messages arrived instead of one", messages.len());
    clock.say("The one mail");
    println!("Subject: {}\n\n{}", messages[0].subject, deployment.record(&run_id, "report.txt")?);
    println!("The same for programs, with attributes {:?}:\n{:#}", messages[0].attributes, messages[0].body);

    clock.say(&format!("sync-job history --at s3://{}", deployment.bucket));
    let mut history = Command::new(job);
    history.args(["history", "--at", &format!("s3://{}", deployment.bucket)]).envs(cloud.environment());
    workspace::run(&mut history)?;
    clock.say("The demo is over, and everything is stopped");
    Ok(())
}

fn done(answer: Answer) -> Result<Value> {
    match answer {
        Answer::Done(answer) => Ok(answer),
        Answer::Failed(error) => anyhow::bail!("the launcher failed: {error}"),
    }
}

/// The demo's job file, its passwords in Secrets Manager.
fn with_secrets(text: &str) -> Result<String> {
    let mut text = text.to_owned();
    for side in ["source", "target"] {
        let typed = format!("password_env = \"STOPGAP_DEMO_{}_PASSWORD\"", side.to_uppercase());
        ensure!(text.contains(&typed), "the demo's job file lacks `{typed}`");
        text = text.replace(&typed, &format!("secret = \"{JOB}/{side}\""));
    }
    Ok(text)
}
