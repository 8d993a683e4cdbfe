#!/usr/bin/env bash
# Installs the packed collection for the oldest, the newest and the pinned ansible-core, which is the one in target/venv, or for
# those that are named, and tries with each what a user does: read the pages, run a play over SSH, run the binaries without the
# collection. As root, for the hosts of the play: collection/tests/versions.sh [oldest] [newest] [pinned]
set -euo pipefail
cd "$(dirname "$0")/../.."
tests=collection/tests
. "$tests/quietly.sh"

work=$(mktemp -d) # a short path, as ssh makes sockets below it
trap end EXIT
export LVS_HOST_TEST_HOSTS=$work LVS_HOST_LAB=$PWD/lab/host
touch "$work/ansible.cfg" # not the one of whoever runs this
export ANSIBLE_CONFIG=$work/ansible.cfg ANSIBLE_HOME=$work/ansible ANSIBLE_SSH_CONTROL_PATH_DIR=$work/ssh ANSIBLE_NOCOLOR=1
export ANSIBLE_COLLECTIONS_PATH=$work/collections
path=$PATH

main() {
    local commands
    target/venv/bin/python "$tests/agreement.py" target/modules
    "$tests/reproducible.sh"
    (($#)) || set -- oldest newest pinned
    for version; do
        if [[ $version == pinned ]]; then
            try "$PWD/target/venv/bin"
        elif commands=$("$tests/ansible.sh" "$version"); then
            try "$commands"
        elif (($? == 3)); then
            echo "ignored: the $version ansible-core, for the reason above"
        else
            exit 1
        fi
    done
}

# Tries it with the Ansible in a directory.
try() {
    export PATH=$1:$path
    heading "$(ansible --version | sed -n 1p) $("$1/python" --version)"
    rm -rf "$work/collections" "$work/ansible"
    quietly ansible-galaxy collection install --offline "$(ls target/lvs-host-*.tar.gz)" --collections-path "$work/collections"
    quietly ansible-galaxy collection verify --offline lvs.host
    pages
    for name in first second; do lab/host start "$work/$name" "$name"; done
    play
    examples "$1"
    for name in first second; do lab/host stop "$work/$name"; done
    quietly lab/host run -- "$tests/bare.sh"
    echo 'The binaries work without the collection'
}

end() {
    for name in first second; do lab/host stop "$work/$name"; done
    rm -rf "$work"
}

heading() {
    printf '\n== %s\n' "$*"
}

fail() {
    echo "versions.sh: $*" >&2
    exit 1
}

pages() {
    local name
    for name in $(ls collection/plugins/modules | sed -n 's/\.py$//p'); do
        quietly ansible-doc --type module "lvs.host.$name"
        ! grep -q 'WARNING\|ERROR' "$work/log" || fail "ansible-doc complains: $(<"$work/log")"
        quietly ansible-doc --list lvs.host
        grep -q "^lvs.host.$name .*[a-z]" "$work/log" || fail "ansible-doc --list has no lvs.host.$name: $(<"$work/log")"
    done
    echo 'The pages can be read'
}

play() {
    quietly ansible-playbook --inventory "$tests/inventory.yml" --diff -vvv "$tests/play.yml"
    grep -q '+192.0.2.20/24 .*eth0:20' "$work/log" || fail "the play shows no diff: $(<"$work/log")"
    ! grep 192.0.2.23 "$work/log" || fail 'the play shows what no_log hides'
    # All but the first task on each host, those for the other host, and none but ours; this Ansible may have another way to start ssh.
    (($(grep -c 'EXEC by the master' "$work/log") > 10)) || fail 'the tasks have started ssh, which takes longer'
    quietly ansible first --inventory "$tests/inventory.yml" --extra-vars lvs_host_multiplex=false -vvv \
        --module-name lvs.host.sysctl --args 'name=net.ipv4.ip_forward state=read'
    grep -q 'SSH: EXEC ssh' "$work/log" && ! grep 'EXEC by the master' "$work/log" || fail 'lvs_host_multiplex: false starts no ssh'
    echo 'The play did what it should over SSH'
}

examples() {
    "$1/python" "$tests/examples.py" >"$work/examples.json"
    quietly ansible-playbook --inventory "$tests/inventory.yml" --limit first "$work/examples.json"
    grep '^first .*ok=' "$work/log"
}

main "$@"
