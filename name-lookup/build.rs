//! Compiles the C part on glibc. A static program heeds it and a dynamic one does not, so that both are made of the same libraries.

fn main() {
    println!("cargo:rerun-if-changed=src/configure.c");
    if std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|libc| libc == "gnu") {
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
}
