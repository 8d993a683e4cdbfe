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
# Molecule removes from its directory what it does not know.
ANSIBLE_LOG_PATH=$(mktemp)
export ANSIBLE_LOG_PATH
trap 'rm -rf "$MOLECULE_EPHEMERAL_DIRECTORY" "$ANSIBLE_LOG_PATH"' EXIT

# Whatever belongs to a host knows this directory by its environment, but for what a systemd started, which ends with its host.
left_behind() {
    local self=$BASHPID processes
    find "$MOLECULE_EPHEMERAL_DIRECTORY" -path '*/hosts/*'
    grep -F "$MOLECULE_EPHEMERAL_DIRECTORY" /proc/self/mounts || true
    processes=$(grep -lszF "MOLECULE_EPHEMERAL_DIRECTORY=$MOLECULE_EPHEMERAL_DIRECTORY" /proc/[0-9]*/environ |
        cut -d/ -f3 | grep -vwe $$ -e "$self" | paste -sd,) || true
    # Those that have just listed them are gone by now.
    [[ -z $processes ]] || ps -ww -o pid=,args= -p "$processes" || true
}

(($#)) || set -- test --all --exclude ipvs
molecule "$@" || {
    rc=$?
    # Far above are the tasks that failed; some had to.
    echo "The last that Ansible said to have failed:"
    grep -E '\| (fatal|failed): ' "$ANSIBLE_LOG_PATH" | tail -n 3 || true
    exit "$rc"
}
for _ in {1..50}; do
    [[ -n $(left_behind) ]] || exit 0
    sleep 0.1 # connections that were kept open end when they see that their host has
done
echo "The hosts have left behind:"
left_behind
exit 1
