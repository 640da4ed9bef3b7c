//! The statements by which tests arm faults and ask for wrong answers.

use std::io::Write;

use tsql_engine::Session;
use tsql_engine::value::{Collation, Column, Flow, Len, Output as _, SqlError, SqlType, Value};

use crate::connection::Shared;
use crate::response::Response;

/// Whether a batch is for the simulator itself.
pub fn is_control(sql: &str) -> bool {
    sql.trim_start().to_lowercase().starts_with("exec simulator_")
}

/// `EXEC simulator_fault 'action', 'match', skip, times, rows`, `EXEC simulator_disarm 'match'`, `EXEC simulator_faults_fired`,
/// and for the session's database `EXEC simulator_quirk 'name', 'on'`, `EXEC simulator_answer 'what', 'match'`,
/// `EXEC simulator_answer_rightly`, `EXEC simulator_retention_passes`, `EXEC simulator_backup 'name'` and
/// `EXEC simulator_restore 'name'`.
pub fn run<W: Write>(
    sql: &str,
    shared: &Shared,
    session: &mut Session,
    response: &mut Response<'_, W>,
) -> Result<Flow, SqlError> {
    let usage = || SqlError::unsupported("EXEC simulator_fault 'action', 'match', skip, times, rows");
    let words: Vec<String> = sql.split('\'').map(str::to_owned).collect();
    let name = words[0].split_whitespace().nth(1).unwrap_or_default().to_lowercase();
    match name.as_str() {
        "simulator_fault" => {
            let [_, action, _, matching, numbers, ..] = words.as_slice() else { return Err(usage()) };
            let numbers: Vec<u64> =
                numbers.split(',').filter_map(|text| text.trim().trim_end_matches(';').parse().ok()).collect();
            let [skip, times, rows] = numbers.as_slice() else { return Err(usage()) };
            shared.faults.arm(action, matching, *skip as u32, *times as u32, *rows)?;
            Ok(response.done(None))
        }
        "simulator_disarm" => {
            shared.faults.disarm(words.get(1).map_or("", String::as_str));
            Ok(response.done(None))
        }
        // How the session's database answers otherwise than SQL Server's.
        "simulator_quirk" => {
            let [_, quirk, _, on, ..] = words.as_slice() else {
                return Err(SqlError::unsupported("EXEC simulator_quirk 'name', 'on'"));
            };
            session.set_quirk(quirk, on == "on")?;
            Ok(response.done(None))
        }
        "simulator_answer" => {
            let [_, what, _, matching, ..] = words.as_slice() else {
                return Err(SqlError::unsupported("EXEC simulator_answer 'what', 'match'"));
            };
            shared.answers.add(session.database(), what, matching)?;
            Ok(response.done(None))
        }
        // The retention period of Change Tracking passes for everything that has changed so far.
        "simulator_retention_passes" => {
            session.pass_retention()?;
            Ok(response.done(None))
        }
        // The database's state is kept under a name, or put back to what was kept.
        "simulator_backup" | "simulator_restore" => {
            let [_, kept, ..] = words.as_slice() else {
                return Err(SqlError::unsupported(format!("EXEC {name} 'name'")));
            };
            let instance = &shared.instance;
            if name == "simulator_backup" {
                instance.back_up(session.database(), kept)?;
            } else {
                instance.restore(session.database(), kept)?;
            }
            Ok(response.done(None))
        }
        "simulator_answer_rightly" => {
            shared.answers.clear(session.database());
            Ok(response.done(None))
        }
        "simulator_faults_fired" => {
            let text = SqlType::NVarChar { len: Len::N(400), collation: Collation::default() };
            let column = |name: &str, sql_type: SqlType| Column {
                name: name.to_owned(),
                sql_type,
                nullable: false,
                identity: false,
            };
            response.columns(&[column("action", text.clone()), column("match", text), column("fired", SqlType::Int)]);
            let fired = shared.faults.fired();
            for (action, matching, count) in &fired {
                response.row(&[Value::nvarchar(action), Value::nvarchar(matching), Value::Int(*count as i32)]);
            }
            Ok(response.done(Some(fired.len() as u64)))
        }
        _ => Err(SqlError::unsupported(format!("{name} is not known"))),
    }
}
