#!/usr/bin/env bash
# Runs Molecule of target/venv: all scenarios, or the command that is given: molecule/test.sh converge -s default
set -euo pipefail
cd "$(dirname "$0")/.."

# Molecule calls Ansible's commands by name.
export PATH=$PWD/target/venv/bin:$PATH
(($#)) && exec molecule "$@"

# A short path, as sockets are made below it; and another one than that of any other checkout.
MOLECULE_EPHEMERAL_DIRECTORY=$(mktemp -d)
export MOLECULE_EPHEMERAL_DIRECTORY
trap 'rm -rf "$MOLECULE_EPHEMERAL_DIRECTORY"' EXIT
molecule test --all
