//! `cargo xtask boot-test`: makes a stand-in for the machine image and runs the tests that boot it.

mod disk;

use crate::{
    packages::{self, Root},
    programs, setup, workspace,
};
use anyhow::{Context, Result, anyhow};
use std::{
    path::{Path, PathBuf},
    time::Instant,
};
use stopgap_servers::machine::IMAGE;

pub fn run() -> Result<()> {
    let start = Instant::now();
    // Said before anything is built.
    root().map_err(no_image)?;
    let tools = setup::run(setup::ALL)?;
    let programs = programs::build()?;
    let image = image(&programs.job).map_err(no_image)?;
    let mut tests = programs::tests(programs::environment(&tools, &programs)?);
    // The whole workspace has the features with which everything is built already.
    tests.args(["--workspace", "--test", "boot"]).env(IMAGE, image);
    workspace::run(&mut tests).context("the boot test failed")?;
    println!("\nThe boot test passed in {}", workspace::seconds(start.elapsed()));
    Ok(())
}

/// Makes what every image begins with, if that is possible; [`image`] says why it is not.
pub fn prepare() {
    let _ = root().map_err(anyhow::Error::msg).and_then(|root| {
        packages::install_for_boot_test()?;
        disk::base(&root)
    });
}

/// The directory with the image for this job, made if it is missing; otherwise why there is none, for people.
pub fn image(job: &Path) -> Result<PathBuf, String> {
    let root = root()?;
    packages::install_for_boot_test().map_err(|error| format!("{error:#}"))?;
    disk::make(&root, job).map_err(|error| format!("{error:#}"))
}

fn root() -> Result<Root, String> {
    if std::env::consts::ARCH != "x86_64" {
        return Err("it is made on x86_64 only".to_owned());
    }
    let by_whom = "making it takes root: run this as root, or as a user whom sudo asks for no password";
    packages::find_root().ok_or_else(|| by_whom.to_owned())
}

fn no_image(reason: String) -> anyhow::Error {
    anyhow!("there is no image to boot: {reason}")
}
