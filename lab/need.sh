#!/usr/bin/env bash
# Makes sure that commands are there: lab/need.sh COMMAND=PACKAGE ...
# What is missing is named, and installed where that is possible: as root, with apt-get.
set -euo pipefail

PATH=$PATH:/usr/sbin:/sbin
missing=()
for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
done
((${#missing[@]})) || exit 0

if ((EUID)) || ! command -v apt-get >/dev/null; then
    echo "These packages are missing: ${missing[*]}. Please install them, on Debian with: sudo apt-get install ${missing[*]}" >&2
    exit 1
fi
# Two that need something at a time take turns.
exec 9<"${BASH_SOURCE[0]}"
flock 9
echo "Installing what is missing: ${missing[*]}"
# A service that comes along, like sshd, must not start on this machine.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --no-install-recommends "${missing[@]}" >/dev/null
