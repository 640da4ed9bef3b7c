#!/usr/bin/env bash
# Fails the build if the image contains what it must not, or lacks what it needs.
set -euo pipefail
shopt -s nullglob dotglob

root="${STOPGAP_ROOT:-}"
failures=0

fail() {
    echo "NOT FIT TO BE AN IMAGE: $*" >&2
    failures=$((failures + 1))
}

# a description, then the paths that exist
none() {
    local what="$1"
    shift
    for path in "$@"; do
        if [ -e "$path" ] || [ -L "$path" ]; then
            fail "$what: $path"
        fi
    done
}

# a description, then arguments of find; directories may remain
none_found() {
    local what="$1"
    shift
    local found
    # A missing path is fine too.
    found=$(find "$@" 2> /dev/null || true)
    if [ -n "$found" ]; then
        fail "$what: $found"
    fi
}

none "SSH host key" "$root"/etc/ssh/ssh_host_*
none "authorized keys" "$root"/root/.ssh/authorized_keys* "$root"/home/*/.ssh/authorized_keys*
none "shell history" "$root"/root/.*_history "$root"/home/*/.*_history
none_found "log" "$root/var/log" -type f -size +0
none_found "cloud-init's state" "$root/var/lib/cloud" ! -type d
none_found "package cache" "$root/var/cache/dnf" "$root/var/cache/yum" "$root/var/cache/apt" "$root/var/lib/apt/lists" \
    -type f -size +0
none "random seed" "$root/var/lib/systemd/random-seed"
none "upload" ${UPLOAD:+"$UPLOAD"}
if [ -s "$root/etc/machine-id" ]; then
    fail "machine id: $root/etc/machine-id is not empty"
fi

units="$root/etc/systemd/system"
for needed in usr/local/bin/sync-job usr/local/lib/stopgap/power-off; do
    [ -x "$root/$needed" ] || fail "missing, or no program: $root/$needed"
done
for link in multi-user.target.wants/stopgap.service timers.target.wants/stopgap-limit.timer; do
    [ -L "$units/$link" ] || fail "not enabled: $link"
done
for door in sshd.service sshd.socket; do
    [ "$(readlink "$units/$door")" = /dev/null ] || fail "not masked: $door"
done
grep -q '^stopgap:.*/nologin$' "$root/etc/passwd" || fail "no user stopgap without a shell"
none_found "others may write to" "$root/usr/local" "$units" "$root/etc/stopgap" ! -type l -perm /022

[ "$failures" -eq 0 ] || exit 1
echo "Nothing remains of the machine that built this image."
