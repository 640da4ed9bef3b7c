#!/usr/bin/env bash
# Removes what belongs to the build machine and not to the machines started from the image.
set -euo pipefail
shopt -s nullglob dotglob

root="${STOPGAP_ROOT:-}"

if [ -z "$root" ]; then
    # It writes its seed when it stops, which would be later than this.
    systemctl stop systemd-random-seed.service
    # Running programs keep writing into the unlinked files.
    if systemctl --quiet is-active systemd-journald.service; then
        systemctl restart systemd-journald.service
    fi
fi
find "$root/var/log" -type f -delete
rm -rf "$root"/var/log/journal/*

rm -rf "$root"/var/lib/cloud/*
rm -f "$root"/etc/ssh/ssh_host_*_key "$root"/etc/ssh/ssh_host_*_key.pub
rm -f "$root"/root/.ssh/authorized_keys "$root"/home/*/.ssh/authorized_keys
for home in "$root/root" "$root"/home/*; do
    rm -f "$home"/.*_history "$home"/.lesshst "$home"/.viminfo "$home"/.wget-hsts
done

rm -rf "$root"/var/cache/dnf/* "$root"/var/cache/yum/* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
rm -rf "$root"/var/tmp/*
rm -f "$root"/var/lib/systemd/random-seed "$root"/var/lib/dbus/machine-id
# Empty: each machine creates its own at first boot.
: > "$root/etc/machine-id"
sync
