//! The directories under `tests/cases`.

use stopgap_tests::cases;

#[tokio::test(flavor = "multi_thread")]
async fn every_case_directory_ends_as_expected() {
    let found = cases::find().unwrap();
    assert!(!found.is_empty(), "no case was found");
    let mut failed = Vec::new();
    for case in &found {
        let name = case.file_name().unwrap_or_default().to_string_lossy();
        match cases::run(case).await {
            Ok(()) => println!("case {name}: ok"),
            Err(error) => {
                println!("case {name}: FAILED\n{error:#}\n");
                failed.push(name.into_owned());
            }
        }
    }
    assert!(failed.is_empty(), "{} of {} cases failed: {}", failed.len(), found.len(), failed.join(", "));
}
