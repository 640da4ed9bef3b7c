//! A directory of our own under the system's temporary directory.

use crate::guard::Watchdog;
use anyhow::{Context, Result, bail};
use std::{
    fs::{self, DirBuilder, Permissions},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// A fresh directory, removed with everything in it when dropped.
///
/// It lies under the temporary directory and not under `target/`, because a server that drops from root to another
/// user must be able to reach it, and because a socket's path may have 107 bytes at most.
#[derive(Debug)]
pub struct ScratchDir {
    path: PathBuf,
}

impl ScratchDir {
    /// Makes a directory that only this user may enter, named after `what`.
    pub fn new(what: &str) -> Result<Self> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = of_this_process()?.join(format!("{what}-{number}"));
        DirBuilder::new().mode(0o700).create(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self { path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the watchdog.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The one directory that holds all of this process's, and goes when this process does.
fn of_this_process() -> Result<&'static Path> {
    static MINE: OnceLock<Result<(PathBuf, Watchdog), String>> = OnceLock::new();
    let make = || -> Result<(PathBuf, Watchdog)> {
        let parent = std::env::temp_dir();
        for number in 0..u32::MAX {
            let path = parent.join(format!("stopgap-{}-{number}", std::process::id()));
            // Others may pass through it, to the one that they are given, and see nothing on the way.
            match DirBuilder::new().mode(0o711).create(&path) {
                Ok(()) => {
                    let watchdog = Watchdog::remove(&path)?;
                    // Once more, since the umask may have taken it away.
                    fs::set_permissions(&path, Permissions::from_mode(0o711))?;
                    return Ok((path, watchdog));
                }
                // Left by an earlier process of our number.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| format!("making {}", path.display())),
            }
        }
        bail!("{} is full of directories named stopgap-*", parent.display())
    };
    match MINE.get_or_init(|| make().map_err(|error| format!("{error:#}"))) {
        Ok((path, _)) => Ok(path),
        Err(error) => bail!("{error}"),
    }
}
