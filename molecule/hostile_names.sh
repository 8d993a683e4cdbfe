# shellcheck shell=bash disable=SC2154 # persistence.sh sets them
# Cases of persistence.sh: names that are more than names to a shell, a reader of lines or a program. Each is refused in
# one sentence, or stored, and then the real manager brings exactly that address up; a command in one makes the file c.

hostile=('$(>c)' '`>c`' ';>c' '|>c' '&>c' '>c' '<c' 'a\' "'" '"' '*' '?' '[a-z]' '{a,b}' '~' '$IFS' '#c' '!c' 'a=b')
plain=(eth0.100 br-lan enp0s31f6np0 veth1@if5 a_b+c)
foreign=größe
hostile_labels=("${hostile[@]}" '%i' '%%')
plain_labels=(1 vip a_b a.b a-b a+b a@b -x .x)

# Makes interfaces of all these names, each with a number and an address of hardware after it, before any manager looks.
links() {
    local unit=$host/upper/etc/systemd/system
    names=("${hostile[@]}" -x .x "${plain[@]}" "$foreign")
    printf '%s\n' "${names[@]}" | put etc/names
    put usr/local/sbin/links 755 <<-'END'
		#!/bin/bash
		mapfile -t names </etc/names
		for number in "${!names[@]}"; do
		    ip link add name "${names[number]}" address "02:00:00:00:00:$number" type veth peer name "far$number"
		    ip link set dev "far$number" up
		done
	END
    sed -i 's/^ExecStart=ip link set far up/&\nExecStart=links/' "$unit/eth0.service"
    mkdir -p "$host/upper/canary"
}

json() { sed 's/["\\]/\\&/g' <<<"$1"; }

# one NAME [LABEL]: a task, and what came of it
one() {
    local label=${2+, \"label\": \"$(json "$2")\"} address=192.0.2.$((next++))
    answer=$(alias "\"name\": \"$(json "$1")\", \"address\": \"$address/32\"$label")
    if [[ $answer == *'"changed":true'* ]]; then
        stored+=("$address/32 $1${2+:$2}")
    else
        is "it is refused in one sentence: $1 ${2-}" is_sentence
        refused+=("$1${2+:$2}")
    fi
}

is_sentence() {
    [[ $answer == *'"failed":true'* && $answer == *'"msg":"cannot '* && $answer != *$'\n'* ]]
}

try_names() {
    local name
    next=30 stored=() refused=()
    for name in "${hostile_labels[@]}" "${plain_labels[@]}"; do one eth0 "$name"; done
    for name in "${names[@]}"; do one "$name"; done
    echo "  ${#stored[@]} stored, ${#refused[@]} refused"
}

# Whether all that is stored is there, and nothing was run.
names_hold() {
    local lines line
    for _ in {1..50}; do
        lines=$(run ip -oneline -4 address show | sed -E 's/^.* inet ([^ ]+) .* ([^ ]+)\\ +valid_lft.*/\1 \2/')
        for line in "${stored[@]}"; do
            [[ $'\n'$lines$'\n' == *$'\n'"$line"$'\n'* ]] || { sleep 0.1 && continue 2; }
        done
        return 0
    done
    echo "missing: $line" >&2
    return 1
}

no_canary() { ! run bash -c 'shopt -s nullglob; ls /c /canary/*' 2>/dev/null | grep .; }

# Tries all names, and what a boot makes of them: names_survive STORED
names_survive() {
    try_names
    is "as many as are harmless are stored" [ "${#stored[@]}" = "$1" ]
    is "they are there" names_hold
    reboot
    is "they are there after a boot" names_hold
    is "nothing was run" no_canary
    is "eth0 has its own address" has eth0 192.0.2.1/24
}

harmless=$((${#plain_labels[@]} + ${#plain[@]} + 1))

# --- the cases ---------------------------------------------------------------------------------------

ifupdown_names() {
    local shell
    prepare networking
    links
    {
        printf 'source /etc/network/interfaces.d/*\nauto lo\niface lo inet loopback\nauto eth0\niface eth0 inet static\n    address 192.0.2.1/24\n'
        # An address alone brings no interface up.
        printf 'auto %s\n' "${plain[@]}" "$foreign"
        printf 'iface %s inet manual\n' "${names[@]}"
    } | put etc/network/interfaces
    put usr/local/bin/busybox 755 <"$(command -v busybox)"
    boot
    names_survive "$harmless"
    for shell in dash bash busybox; do
        run ln -sf "$(run bash -c "command -v $shell")" /bin/sh
        is "$shell takes down and brings up what is stored" ifup_in_canary
        is "with $shell all is there" names_hold
        is "$shell has run nothing" no_canary
        is "the trap is one: $shell runs what stands in a name" traps
    done
}

# ifupdown hands names to a shell, which makes files where it is.
ifup_in_canary() {
    run bash -c 'cd /canary && ifdown --all --force --exclude=lo --exclude=eth0.100 && ifup --all' >/dev/null 2>&1
}

# The same with a stanza that we would not write.
traps() {
    run bash -c 'cd /canary && printf "iface eth0:\$(>c) inet static\n    address 192.0.2.9/32\n" >/tmp/trap &&
        ifup --interfaces=/tmp/trap "eth0:\$(>c)"; test -e c && rm c' >/dev/null 2>&1
}

networkd_names() {
    local number
    prepare systemd-networkd
    links
    put etc/systemd/network/10-lan.network <<<$'[Match]\nName=eth0\n[Network]\nAddress=192.0.2.1/24'
    for number in "${!names[@]}"; do
        put "etc/systemd/network/30-$number.network" <<<"[Match]"$'\n'"MACAddress=02:00:00:00:00:$(printf %02d "$number")"
    done
    boot
    names_survive "$harmless"
}

# It finds an interface by an address that veth has not, or by a name of ASCII that is a pattern, so here all have such names.
netplan_names() {
    local number
    prepare systemd-networkd
    links
    names=("${plain[@]}")
    {
        printf 'network:\n  version: 2\n  renderer: networkd\n  ethernets:\n    eth0: {addresses: [192.0.2.1/24]}\n'
        for number in "${!names[@]}"; do
            printf '    h%s: {match: {name: "%s"}}\n' "$number" "${names[number]}"
        done
    } | put etc/netplan/50-lan.yaml 600
    boot
    names_survive $((harmless - 1))
    is "Netplan takes all of it" works netplan generate
}

# No name gets into its files, so it keeps the addresses of any interface, and no label.
networkmanager_names() {
    local number
    prepare NetworkManager
    links
    up=()
    for number in "${!names[@]}"; do
        profile "h$number" "${names[number]//\\/\\\\}" "address1=198.51.100.$((number + 1))/32"$'\nmethod=manual'
        up+=("${names[number]} 198.51.100.$((number + 1))/32")
    done
    profile lan eth0 $'address1=192.0.2.1/24\nmethod=manual'
    boot
    is "all are up" has_each "${up[@]}"
    names_survive "${#names[@]}"
}

# profile ID INTERFACE IPV4
profile() {
    put "etc/NetworkManager/system-connections/$1.nmconnection" 600 <<-END
		[connection]
		id=$1
		uuid=$(</proc/sys/kernel/random/uuid)
		type=ethernet
		interface-name=$2

		[ipv4]
		$3

		[ipv6]
		method=disabled
	END
}
