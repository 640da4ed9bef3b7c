#!/usr/bin/env bash
# rustc for the packages of the workspace, as cargo calls it (RUSTC_WORKSPACE_WRAPPER): the programs that are deployed are linked
# statically, everything else is as it would be without this. Naming a target and the flag for all of it would build every
# dependency a second time. A shell of POSIX alone would lose what cargo says in CARGO_BIN_EXE_sync-job, a name with a hyphen.
rustc=$1
shift
case ${CARGO_BIN_NAME-} in
    sync-job | sync-job-broken | bootstrap) exec "$rustc" "$@" -C target-feature=+crt-static ;;
    *) exec "$rustc" "$@" ;;
esac
