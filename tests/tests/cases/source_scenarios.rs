//! The scenarios of Change Tracking, rowversion and several writers over the wire: on the simulator, or on the SQL Server that
//! `SYNC_TEST_MSSQL` names, where they show whether the simulator has it right.

#[path = "../../tsql-engine/tests/scenarios/mod.rs"]
mod scenarios;

use std::collections::BTreeMap;

use scenarios::{Scenario, Step};
use stopgap_tests::source::TestSource;

async fn play(scenario: &Scenario) -> Result<(), String> {
    let source = TestSource::new().await.unwrap();
    source
        .run("ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON)")
        .await
        .unwrap();
    let mut sessions = BTreeMap::new();
    for Step { session, sql, rows, error } in &scenario.steps {
        if !sessions.contains_key(session) {
            sessions.insert(*session, source.address.connect(&source.database).await.unwrap());
        }
        let Some(client) = sessions.get_mut(session) else { continue };
        let results = async { client.simple_query(sql.as_str()).await?.into_results().await };
        let (found, texts) = match results.await {
            Ok(results) => {
                let text = |row: &tiberius::Row| row.try_get::<&str, _>(0).unwrap().unwrap_or_default().to_owned();
                (None, results.iter().flatten().map(text).collect::<Vec<_>>())
            }
            Err(tiberius::error::Error::Server(token)) => (Some(token.code()), Vec::new()),
            Err(other) => return Err(format!("{}\n  {sql}\n  {other}", scenario.title)),
        };
        if found != *error || texts != *rows {
            return Err(format!(
                "{}\n  {sql}\n  error {found:?} and rows {texts:?}, not {error:?} and {rows:?}\n  {}",
                scenario.title, scenario.source
            ));
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_comes_out_as_its_page_says() {
    let mut wrong = Vec::new();
    for scenario in scenarios::TEXTS.into_iter().flat_map(scenarios::parse) {
        wrong.extend(play(&scenario).await.err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
