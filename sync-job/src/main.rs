//! Arguments, logging, signals and the exit status; everything else is in the library.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser as _;
use stopgap_name_lookup as _;
use sync_job::cli::{self, Cli, Command, LogFormat, logging};
use sync_job::report::exit::ExitStatus;
use sync_job::report::progress::Display;
use sync_job::rows::message::of_unknown;
use tokio_util::sync::CancellationToken;

pub(crate) fn main() -> ExitCode {
    forbid_core_dumps();
    let cli = Cli::parse();
    // Whether a person reads standard error here, and it goes nowhere else: an instance's goes to a log.
    let terminal = std::io::stderr().is_terminal() && !matches!(cli.command, Command::Boot(_));
    watch_panics(terminal);
    // JSON logs are for programs: lines of another kind between them would not be read.
    let display = Display::choose(cli.global.quiet || cli.global.log_format == LogFormat::Json);
    logging::init(&cli.global, &display, terminal);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("sync-job: no threads can be started: {error}");
            return ExitStatus::Internal.into();
        }
    };
    IS_UP.store(true, Ordering::Relaxed);
    let status = runtime.block_on(async {
        let cancel = CancellationToken::new();
        watch_signals(cancel.clone());
        cli::run(cli, &display, cancel).await
    });
    match status {
        Ok(status) => status.into(),
        Err(error) => {
            eprintln!("sync-job: {error:#}");
            ExitStatus::Configuration.into()
        }
    }
}

/// A core would hold passwords. The limit holds for this process alone.
fn forbid_core_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        eprintln!("sync-job: core dumps cannot be switched off: {error}");
    }
}

/// Whether all threads of the runtime have started.
static IS_UP: AtomicBool = AtomicBool::new(false);

/// A panic may quote the text that the program stumbled over, and so a value of a row, which is for a terminal alone. If not all threads can be
/// started, those that were would be waited for: the program ends at once.
fn watch_panics(terminal: bool) {
    let in_terminal = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if terminal {
            in_terminal(panic);
        } else {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let text = panic.payload_as_str().unwrap_or("without a message");
            eprintln!("sync-job panicked at {place}: {}", of_unknown(text, |_| false));
        }
        if !IS_UP.load(Ordering::Relaxed) {
            std::process::exit(i32::from(ExitStatus::Internal.code()));
        }
    }));
}

/// The first Ctrl-C or SIGTERM stops the run cleanly, the second at once. Caught from when this returns.
fn watch_signals(cancel: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::warn!("signals cannot be caught: an interruption will leave its cleaning up to the next run");
        return;
    };
    tokio::spawn(async move {
        for times in 1.. {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if times > 1 {
                std::process::exit(i32::from(ExitStatus::Interrupted.code()));
            }
            eprintln!("stopping cleanly; once more to stop at once");
            cancel.cancel();
        }
    });
}
