#!/usr/bin/env bash
# Installs the program, its user and its units from the files in UPLOAD: rootfs/, the binary, SHA256SUMS.
set -euo pipefail

: "${UPLOAD:?names the directory with what was uploaded}" "${BINARY:?names the binary in it}"
root="${STOPGAP_ROOT:-}"
program=/usr/local/bin/sync-job

cd "$UPLOAD"
# Exactly one checksum for this name: an empty list would check nothing and succeed.
if ! awk -v name="$BINARY" '$2 == name || $2 == "*" name' SHA256SUMS > wanted || [ "$(wc -l < wanted)" -ne 1 ]; then
    echo "SHA256SUMS has no line for $BINARY: run \`cargo xtask package\` for this architecture" >&2
    exit 1
fi
if ! sha256sum --check --strict --status wanted; then
    echo "$BINARY is not the file that SHA256SUMS was made for" >&2
    exit 1
fi
install -D --mode=0755 "$BINARY" "$root$program"
# A program for another processor fails the build here.
"$root$program" --version

# Root owns the files, whoever uploaded them, and nobody else may change them.
cp --recursive --no-preserve=ownership rootfs/. "${root:-/}"
(cd rootfs && find . -type f -print0) | while IFS= read -r -d '' file; do
    chmod u=rwX,go=rX "$root/$file"
done
chmod 0755 "$root"/usr/local/lib/stopgap/*
install --directory --mode=0755 "$root/etc/stopgap" "$root/etc/stopgap/jobs"

if [ -z "$root" ]; then
    id stopgap > /dev/null 2>&1 || useradd --system --no-create-home --shell /usr/sbin/nologin stopgap
    systemctl enable stopgap.service stopgap-limit.timer stopgap-log.service
fi
cd /
rm -rf "$UPLOAD"
