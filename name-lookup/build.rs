//! Compiles the C part for statically linked programs on glibc; others ask the machine, as they should.

fn main() {
    println!("cargo:rerun-if-changed=src/configure.c");
    let says =
        |name: &str, word: &str| std::env::var(name).is_ok_and(|value| value.split(',').any(|part| part == word));
    if !says("CARGO_CFG_TARGET_ENV", "gnu") || !says("CARGO_CFG_TARGET_FEATURE", "crt-static") {
        return;
    }
    cc::Build::new()
        .file("src/configure.c")
        .cargo_metadata(false)
        .warnings_into_errors(true)
        .compile("configure_lookup");
    let directory = std::env::var("OUT_DIR").unwrap_or_default();
    println!("cargo:rustc-link-search=native={directory}");
    // Nothing refers to it: only as a whole does it stay.
    println!("cargo:rustc-link-lib=static:+whole-archive=configure_lookup");
}
