#!/usr/bin/env bash
# Lets Ansible set up a host that is an aarch64 as far as it can tell: the kernel says so, and runs programs of that machine
# by qemu. In a user namespace, which has programs of its own for other machines' (Linux 6.7, binfmt_misc(5)), so that
# nothing of this machine is changed. After `make assembled`: collection/tests/aarch64.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
. lab/private_home.sh

case ${1-} in
    '') exec unshare --user --map-root-user -- lab/host run -- "$0" on-the-host ;;
    on-the-host) ;;
    *) sed -n '/^# /s/^# //p' "$0" >&2 && exit 2 ;;
esac

fail() {
    echo "aarch64.sh: $*" >&2
    exit 1
}

be_aarch64() {
    local zeros='\x00\x00\x00\x00\x00\x00\x00\x00' ones='\xff\xff\xff\xff\xff\xff\xff'
    mount --no-mtab -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc || fail 'this needs Linux 6.7 or newer'
    # elf(5): 64 bit, little endian, executable (2), EM_AARCH64 (0xb7).
    printf ':aarch64:M::%s:%s:%s:F' '\x7fELF\x02\x01\x01\x00'"$zeros"'\x02\x00\xb7\x00' \
        "$ones"'\x00'"$ones"'\xff\xfe\xff\xff\xff' "$(command -v qemu-aarch64-static)" >/proc/sys/fs/binfmt_misc/register
    echo aarch64 >/run/arch
    mount --no-mtab --bind /run/arch /proc/sys/kernel/arch
}

# Does a task twice, and says what `changed` was.
twice() {
    local changed
    for changed in true false; do
        target/venv/bin/ansible localhost --inventory localhost, --connection local -m "lvs.host.$1" -a "$2" >/run/answer 2>&1 &&
            grep -q "\"changed\": $changed" /run/answer || fail "$1 on aarch64: $(</run/answer)"
    done
}

be_aarch64
make_private_home
twice sysctl 'name=net.ipv4.ip_forward value=1 persist=false'
twice interface_alias 'name=lo:1 address=192.0.2.10/32'
[[ $(</proc/sys/net/ipv4/ip_forward) == 1 && $(ip -oneline address show label lo:1) == *192.0.2.10/32* ]] || fail 'nothing was done'
for module in sysctl interface_alias; do
    cmp --silent "$HOME/.cache/lvs-host/$module"-* "target/modules-aarch64/$module" || fail "$module is not the one for aarch64"
done
echo 'Ansible set up a host that is an aarch64'
