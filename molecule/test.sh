#!/usr/bin/env bash
# Runs Molecule of target/venv: all scenarios but ipvs, which has its own way in the Makefile, or the command that is given:
# molecule/test.sh converge -s default
set -euo pipefail
cd "$(dirname "$0")/.."

# Molecule calls Ansible's commands by name.
export PATH=$PWD/target/venv/bin:$PATH
[[ ${1-test} == test ]] || exec molecule "$@"

# A short path, as sockets are made below it; and another one than that of any other checkout.
MOLECULE_EPHEMERAL_DIRECTORY=$(mktemp -d)
export MOLECULE_EPHEMERAL_DIRECTORY
trap 'rm -rf "$MOLECULE_EPHEMERAL_DIRECTORY"' EXIT
(($#)) || set -- test --all --exclude ipvs
molecule "$@"
