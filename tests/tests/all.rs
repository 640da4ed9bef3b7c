//! The integration tests: one binary, so that its servers start once.

#![allow(clippy::unwrap_used, reason = "everything here is a test, and a failed step is a failed test")]

mod cases {
    mod chunk_keys;
    mod digests;
    mod harness;
    mod interruption;
    mod matrix;
    mod memory;
    mod mysql_crashes;
    mod readers;
    mod regressions;
    mod source_faults;
    mod source_trouble;
    mod swaps;
    mod target_faults;
    mod target_trouble;
}
