#!/usr/bin/env bash
# The agents of Session Manager (a shell) and CloudWatch (the job's log), and the CLI, with which user data fetches certificates from
# the bucket. Nothing else.
set -euo pipefail

dnf --assumeyes --setopt=install_weak_deps=False install amazon-ssm-agent amazon-cloudwatch-agent awscli-2
dnf --assumeyes upgrade --security
systemctl enable amazon-ssm-agent.service
# stopgap-log.service starts it after its settings are written.
systemctl disable amazon-cloudwatch-agent.service
