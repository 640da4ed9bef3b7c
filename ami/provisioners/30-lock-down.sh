#!/usr/bin/env bash
# Nobody logs in but by Session Manager, and nothing runs beside the job.
set -euo pipefail

# The program stays for as long as the build comes in by it; its units never start again.
doors=(sshd.service sshd.socket sshd-keygen.target getty.target)
# Housekeeping of machines that live longer than a run.
chores=(dnf-makecache.timer update-motd.timer fstrim.timer logrotate.timer man-db.timer plocate-updatedb.timer
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer)
systemctl mask "${doors[@]}" "${chores[@]}"

for account in root ec2-user; do
    if id "$account" > /dev/null 2>&1; then
        usermod --lock "$account"
    fi
done
