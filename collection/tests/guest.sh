#!/usr/bin/env bash
# Has Ansible do the examples of the modules that need IPVS, on a guest that has it. As root, after `make assembled`:
# collection/tests/guest.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
tests=collection/tests
. "$tests/quietly.sh"

work=$(mktemp -d) # a short path, as ssh makes sockets below it
trap 'lab/host stop "$work/lan"; rm -rf "$work"' EXIT
export LVS_HOST_TEST_HOSTS=$work LVS_HOST_LAB=$PWD/lab/guest
export ANSIBLE_HOME=$work/ansible ANSIBLE_SSH_CONTROL_PATH_DIR=$work/ssh ANSIBLE_NOCOLOR=1
export PATH=$PWD/target/venv/bin:$PATH

lab/guest need
lab/host start "$work/lan" lan
nsenter --target "$(cut -d' ' -f1 "$work/lan/pid")" --net -- sh -c 'ip link add br0 up type bridge && ip address add 10.9.0.1/24 dev br0'
lab/guest start "$work/guest" guest "$work/lan" 10.9.0.2
python "$tests/examples.py" ipvs >"$work/examples.json"
quietly ansible-playbook --inventory "$tests/guest_inventory.yml" "$work/examples.json"
grep '^guest .*ok=' "$work/log"
