//! A directory of our own under the system's temporary directory.

use anyhow::{Context, Result};
use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

/// A fresh directory, removed with everything in it when dropped.
///
/// It lies under the temporary directory and not under `target/`, because a server that drops from root to another
/// user must be able to reach it, and because a socket's path may have 107 bytes at most.
#[derive(Debug)]
pub struct ScratchDir {
    path: PathBuf,
    keep: bool,
}

impl ScratchDir {
    /// Makes a directory that only this user may enter, named after `what`.
    pub fn new(what: &str) -> Result<Self> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let parent = std::env::temp_dir();
        loop {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("stopgap-{what}-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path, keep: false }),
                // Left by a process of the same number that could not clean up: take the next name.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| format!("making {}", path.display())),
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the directory where it is, for someone to look at.
    pub fn keep(mut self) -> PathBuf {
        self.keep = true;
        self.path.clone()
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        if !self.keep {
            // Nothing sensible can be done about a failure while dropping; the system clears its temporary directory.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
