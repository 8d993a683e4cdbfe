#!/usr/bin/env bash
# The plain binaries, as modules that Ansible copies and by hand. Run by versions.sh on a throw-away host.
set -euo pipefail

# Sets it twice, and says what `changed` was.
twice() {
    local file=/run/answer
    for _ in 1 2; do
        "$@" | tee -a "$file"
    done
    grep -o '"changed": *[a-z]*' "$file" | tr -d ' ' | xargs | grep -qx 'changed:true changed:false'
    rm "$file"
}

by_ansible() {
    ansible localhost --module-path target/modules -m "$1" -a "$2" --diff
}

by_hand() {
    "target/modules/$1" <<<"$2"
}

twice by_ansible sysctl 'name=net.ipv4.ip_forward value=1 persist=false'
grep -qx 1 /proc/sys/net/ipv4/ip_forward
twice by_ansible interface_alias 'name=lo:1 address=192.0.2.9 netmask=255.255.255.255'
twice by_hand interface_alias '{"name": "lo:2", "address": "192.0.2.10/32"}'
[[ $(ip -oneline address show to 192.0.2.8/29 | wc -l) == 2 ]]
twice by_hand sysctl '{"name": "net.ipv4.ip_forward", "value": false, "persist": false}'
grep -qx 0 /proc/sys/net/ipv4/ip_forward
