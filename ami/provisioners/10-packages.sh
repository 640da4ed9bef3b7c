#!/usr/bin/env bash
# The two agents, and nothing else: one is the way in for the curious, the other sends the job's log.
set -euo pipefail

dnf --assumeyes --setopt=install_weak_deps=False install amazon-ssm-agent amazon-cloudwatch-agent
dnf --assumeyes upgrade --security
systemctl enable amazon-ssm-agent.service
# stopgap-log.service starts it, once its settings are written.
systemctl disable amazon-cloudwatch-agent.service
