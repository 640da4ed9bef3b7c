//! Runs the scenarios on the engine. The integration tests run the same ones over the wire, on a real server where one is named.
#![allow(clippy::panic, reason = "a test may fail by panic")]

#[path = "scenarios/mod.rs"]
mod scenarios;
mod support;

use std::collections::BTreeMap;

use scenarios::{Scenario, Step};
use support::{Collected, run, server, session, show};
use tsql_engine::Session;

fn play(scenario: &Scenario) -> Result<(), String> {
    let server = server();
    let mut sessions: BTreeMap<usize, Session> = BTreeMap::new();
    run(
        &mut session(&server),
        "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON)",
    );
    for Step { session: at, sql, rows, error } in &scenario.steps {
        let own = sessions.entry(*at).or_insert_with(|| session(&server));
        let mut out = Collected::default();
        let found = own.batch(sql, &[], &mut out).map(drop).map_err(|failure| failure.number);
        let expected = error.map_or(Ok(()), Err);
        if found != expected {
            return Err(format!("{}\n  {sql}\n  {found:?}, not {expected:?}", scenario.title));
        }
        let shown: Vec<String> = out.rows.iter().map(|row| show(&row[0])).collect();
        if shown != *rows {
            return Err(format!("{}\n  {sql}\n  {shown:?}, not {rows:?}", scenario.title));
        }
    }
    Ok(())
}

#[test]
fn every_scenario_comes_out_as_its_page_says() {
    let all = scenarios::TEXTS.into_iter().flat_map(scenarios::parse);
    let wrong: Vec<String> = all.filter_map(|scenario| play(&scenario).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
