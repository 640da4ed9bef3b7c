#!/usr/bin/env bash
# The two agents, and nothing else: one is the way in for the curious, the other sends the job's log.
set -euo pipefail

dnf --assumeyes --setopt=install_weak_deps=False install amazon-ssm-agent amazon-cloudwatch-agent
dnf --assumeyes upgrade --security
# The agent starts the image's instances only: its settings are written when they boot.
systemctl enable amazon-ssm-agent.service amazon-cloudwatch-agent.service
