#!/usr/bin/env bash
# Session Manager is the only login, and nothing runs beside the job.
set -euo pipefail

# The running sshd stays while the build connects through it; its units never start again.
doors=(sshd.service sshd.socket sshd-keygen.target getty.target)
# Maintenance for machines that live longer than a run.
chores=(dnf-makecache.timer update-motd.timer fstrim.timer logrotate.timer man-db.timer plocate-updatedb.timer
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer)
systemctl mask "${doors[@]}" "${chores[@]}"

for account in root ec2-user; do
    if id "$account" > /dev/null 2>&1; then
        usermod --lock "$account"
    fi
done
