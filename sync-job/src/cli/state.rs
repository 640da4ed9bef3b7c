//! `sync-job state`: how far the changes of tables were followed.

use std::fmt::Write as _;

use serde_json::json;

use super::args::{Chosen, Format, State};
use super::output::{print, print_failure};
use super::wiring::WiredJob;
use crate::model::human::count;
use crate::model::stage::Stage;
use crate::report::Failure;
use crate::report::exit::ExitStatus;

/// Shows it, or forgets it.
pub async fn run(command: &State) -> anyhow::Result<ExitStatus> {
    let (State::Show { chosen } | State::Reset { chosen }) = command;
    let job = WiredJob::of(&chosen.config, &chosen.tables).await?;
    let text = match command {
        State::Show { .. } => show(&job, chosen).await,
        State::Reset { .. } => reset(&job, chosen).await,
    };
    match text {
        Ok(text) => {
            print(&text)?;
            Ok(ExitStatus::Ok)
        }
        Err(error) => {
            print_failure(&Failure::new(Stage::State, &error));
            Ok(ExitStatus::of_run(error.kind))
        }
    }
}

async fn show(job: &WiredJob, chosen: &Chosen) -> crate::model::error::Result<String> {
    let states = job.states().await?;
    if chosen.format == Format::Json {
        let tables: Vec<_> = states
            .iter()
            .map(|(table, state)| {
                json!({"table": table, "version": state.position.version, "history": state.position.history,
                    "rows": state.digest.rows, "applied": state.applied, "full_at": state.full_at})
            })
            .collect();
        return Ok(format!("{:#}\n", json!({"job": job.config().name, "tables": tables})));
    }
    if states.is_empty() {
        return Ok("Nothing is remembered: the next run copies every table whole.\n".to_owned());
    }
    let mut out = String::new();
    for (table, state) in &states {
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{table}: {} rows up to version {}, copied whole {} UTC, changes applied {} times since\n  {}",
            count(state.digest.rows),
            state.position.version,
            state.full_at.format("%Y-%m-%d %H:%M:%S"),
            state.applied,
            state.position.history
        );
    }
    Ok(out)
}

async fn reset(job: &WiredJob, chosen: &Chosen) -> crate::model::error::Result<String> {
    let reset = job.reset_states().await?;
    Ok(match chosen.format {
        Format::Json => format!("{:#}\n", json!({"job": job.config().name, "reset": reset})),
        Format::Text if reset.is_empty() => "Nothing was remembered.\n".to_owned(),
        Format::Text => reset.iter().map(|table| format!("{table}: the next run copies it whole\n")).collect(),
    })
}
