//! The integration tests: one binary, so that its servers start once.

mod cases {
    mod harness;
    mod regressions;
}
