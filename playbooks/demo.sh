#!/usr/bin/env bash
# Shows what playbooks/alias_and_forwarding.yml does, on a machine that exists only for that: nothing
# of this one is changed. Called by `make demo`, which first builds what it needs.
#
#   client 192.168.31.1 ---- wlp1s0 .172  HOST  enp2s0 10.9.0.1 ---- server 10.9.0.2
set -euo pipefail

cd "$(dirname "$0")/.."
. lab/private_home.sh
ansible_playbook=target/venv/bin/ansible-playbook
alias_address=192.168.31.173
server_address=10.9.0.2

main() {
    [[ -x $ansible_playbook ]] || fail "$ansible_playbook is missing: 'make demo' makes it"
    [[ -d target/collections/ansible_collections/lvs/host ]] ||
        fail "the collection is not built: 'make demo' builds it"
    [[ ${1-} == on-the-host ]] || exec lab/host run -- playbooks/demo.sh on-the-host

    heading "A machine for this demonstration"
    export LC_ALL=C.UTF-8
    make_private_home
    make_network
    echo "It has the interface wlp1s0, a client beside it and a server behind it."

    heading "Before"
    show_state
    [[ $(</proc/sys/net/ipv4/ip_forward) == 0 ]] || fail "ip_forward is not 0 before the playbook"
    no_answer "$alias_address"
    no_answer "$server_address"

    heading "The playbook, first run"
    run_playbook
    reported 'changed=2' || fail "the first run did not report two changes"

    heading "The playbook, second run"
    run_playbook
    reported 'changed=0' || fail "the second run reported a change, although nothing was left to do"

    heading "After"
    show_state
    [[ $(</proc/sys/net/ipv4/ip_forward) == 1 ]] || fail "ip_forward is not 1 after the playbook"
    answer "$alias_address"
    answer "$server_address"

    heading "What was proved"
    echo "  * The first run changed two things, the second none."
    echo "  * wlp1s0:1 has the address $alias_address, and a client reaches it."
    echo "  * net.ipv4.ip_forward is 1, and the client now reaches a server through the host."
    echo "The machine is gone now; this one is as it was."
}

heading() {
    printf '\n== %s\n' "$1"
}

fail() {
    echo "demo: $*" >&2
    exit 1
}

make_network() {
    client=$(neighbour)
    server=$(neighbour)
    connect wlp1s0 192.168.31.172/24 "$client" 192.168.31.1/24
    connect enp2s0 10.9.0.1/24 "$server" "$server_address/24"
    on "$client" ip route add 10.9.0.0/24 via 192.168.31.172
    on "$server" ip route add default via 10.9.0.1
}

# Another network; it lives as long as a process in it, whose id is its name.
neighbour() {
    local pid
    unshare --net sleep infinity >/dev/null &
    pid=$!
    for _ in {1..100}; do
        [[ /proc/$pid/ns/net -ef /proc/self/ns/net ]] || break
        sleep 0.01
    done
    echo "$pid"
}

on() {
    nsenter --target "$1" --net -- "${@:2}"
}

connect() {
    local device=$1 address=$2 neighbour=$3 far_address=$4
    ip link add "$device" type veth peer name eth0 netns "$neighbour"
    ip address add "$address" brd + dev "$device"
    ip link set "$device" up
    on "$neighbour" ip address add "$far_address" dev eth0
    on "$neighbour" ip link set eth0 up
}

show_state() {
    if command -v ifconfig >/dev/null; then
        ifconfig | grep -A1 '^wlp1s0' | grep -v '^--'
    else
        ip -oneline -4 address show dev wlp1s0
    fi
    echo "net.ipv4.ip_forward = $(</proc/sys/net/ipv4/ip_forward)"
}

run_playbook() {
    ANSIBLE_FORCE_COLOR=$([[ -t 1 ]] && echo 1 || echo 0) \
        "$ansible_playbook" --inventory localhost, --connection local --diff \
        playbooks/alias_and_forwarding.yml 2>&1 | tee "$HOME/output" ||
        fail "the playbook failed; its own message is above"
}

reported() {
    grep -q "localhost .*$1 " "$HOME/output"
}

ping_from_client() {
    on "$client" ping -n -c "$2" -W 1 "$1" >/dev/null 2>&1
}

no_answer() {
    ! ping_from_client "$1" 1 || fail "the client reaches $1 before the playbook, so nothing can be proved"
    echo "The client pings $1: no answer."
}

answer() {
    ping_from_client "$1" 3 || fail "the client does not reach $1 after the playbook"
    echo "The client pings $1: it answers."
}

main "$@"
