#!/usr/bin/env bash
# As rustc-static.sh, but a crate in which clippy finds anything is not compiled. Where everything is built from nothing this saves
# `cargo clippy` its own look at every dependency. What clippy makes is thrown away: it is not rustc ("clippy-driver is designed for
# running Clippy and should not be used as a general replacement for rustc", its README).
set -eu
here=$(dirname "$0")
# Cargo also asks for the compiler's version.
[ -n "${CARGO_CRATE_NAME-}" ] || exec "$here/rustc-static.sh" "$@"

lint() {
    driver=clippy-driver
    case $1 in */*) driver=$(dirname "$1")/clippy-driver ;; esac
    before=
    for argument; do
        shift
        case $before$argument in
            --out-dir*) [ -z "$before" ] || argument=$scratch ;;
            # Cargo must hear of no other artifacts than rustc's.
            --json=*) argument=--json=diagnostic-rendered-ansi ;;
            --emit=*) argument=--emit=metadata ;;
            -Cincremental=*) argument=incremental=$scratch ;;
        esac
        case $argument in --out-dir | -C) before=$argument ;; *) before= ;; esac
        set -- "$@" "$argument"
    done
    CLIPPY_ARGS=-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__ "$driver" "$@"
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
lint "$@"
rm -rf "$scratch"
trap - EXIT
exec "$here/rustc-static.sh" "$@"
