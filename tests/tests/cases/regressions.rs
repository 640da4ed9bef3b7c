//! The directories under `tests/cases`.

use stopgap_tests::{cases, target::Engine};

async fn every_case_directory_ends_as_expected(engine: Engine) {
    let mut found = cases::find().unwrap();
    found.retain(|case| cases::is_for(case, engine));
    assert!(!found.is_empty(), "no case was found");
    let mut failed = Vec::new();
    for case in &found {
        let name = case.file_name().unwrap_or_default().to_string_lossy();
        match cases::run(case, engine).await {
            Ok(()) => println!("case {name}: ok"),
            Err(error) => {
                println!("case {name}: FAILED\n{error:#}\n");
                failed.push(name.into_owned());
            }
        }
    }
    assert!(failed.is_empty(), "{} of {} cases failed: {}", failed.len(), found.len(), failed.join(", "));
}

on_each_engine!(every_case_directory_ends_as_expected);
