//! What ends the program when nothing else does, and what keeps its machine up.

use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::report::exit::ExitStatus;

/// Ends the program after `limit`, unless it is dropped first. A thread of its own: a runtime that hangs cannot hold it up. The
/// unit that runs the program switches the machine off then, and the launcher notifies people.
pub fn start(limit: Duration) -> Watchdog {
    let (alive, ended) = channel();
    std::thread::spawn(move || {
        if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            eprintln!("sync-job: the run did not stop after its deadline: giving up");
            std::process::exit(i32::from(ExitStatus::Interrupted.code()));
        }
    });
    Watchdog { _alive: alive }
}

/// The program is alive as long as this is.
pub struct Watchdog {
    _alive: Sender<()>,
}

/// Tells the unit not to switch the machine off.
pub fn keep_alive(runtime: &Path) {
    let file = runtime.join("keep-alive");
    let written = std::fs::create_dir_all(runtime).and_then(|()| std::fs::write(&file, "the job file asks for it\n"));
    match written {
        Ok(()) => tracing::warn!(file = %file.display(), "the machine stays up after this run: keep_alive"),
        Err(error) => tracing::error!(file = %file.display(), %error, "the machine cannot be kept up"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_ends_in_time_is_not_ended() {
        drop(start(Duration::from_millis(20)));
        std::thread::sleep(Duration::from_millis(60));
    }
}
