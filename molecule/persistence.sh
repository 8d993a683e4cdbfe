#!/usr/bin/env bash
# What a boot brings back, with the real managers: molecule/persistence.sh [SUITE-CASE ...]
#
# Each case makes a host of Debian that boots, has its manager bring eth0 up, and tries with lvs.host.interface_alias
# what shall survive: the manager's reload, the restart of its service, a boot. By default all cases.
set -euo pipefail
cd "$(dirname "$0")/.."

passed=0 failed=0
hosts=$(mktemp -d)
trap 'for host in "$hosts"/*; do [[ ! -e $host/pid ]] || lab/machine stop "$host"; done; rm -rf "$hosts"' EXIT

. molecule/hostile_names.sh

# --- a host ------------------------------------------------------------------------------------------

# eth0 has a carrier, as its other end is up too. It is there before any manager looks.
prepare() {
    local unit=$host/upper/etc/systemd/system service
    mkdir -p "$unit/sysinit.target.wants" "$unit/multi-user.target.wants"
    cat >"$unit/eth0.service" <<-'END'
		[Unit]
		DefaultDependencies=no
		Wants=network-pre.target
		Before=network-pre.target networking.service systemd-networkd.service NetworkManager.service
		[Service]
		Type=oneshot
		RemainAfterExit=yes
		ExecStart=ip link add eth0 type veth peer name far
		ExecStart=ip link set far up
	END
    ln -s ../eth0.service "$unit/sysinit.target.wants"
    for service in networking systemd-networkd NetworkManager; do
        [[ " $* " == *" $service "* ]] || ln -s /dev/null "$unit/$service.service"
    done
    # Netplan tells udev of its rules, and a container has no udev.
    put usr/local/bin/udevadm 755 <<<$'#!/bin/sh\n'
    [[ " $* " != *" systemd-networkd "* ]] ||
        ln -s /lib/systemd/system/systemd-networkd.service "$unit/multi-user.target.wants"
}

# Writes standard input to a file of the host: put PATH [MODE]
put() {
    install -D -m "${2-644}" /dev/stdin "$host/upper/$1"
}

run() { lab/machine run "$host" "$@"; }
boot() { lab/machine start "$host" "$suite" "$@"; }
reboot() { lab/machine reboot "$host"; }

# alias '"name": …': the answer of the module
alias() {
    run /opt/modules/interface_alias <<<"{$1, \"persist\": \"${persist-auto}\"}" || true
}

# --- what is expected --------------------------------------------------------------------------------

is() {
    local what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $suite, $case: $what: $*" >&2
        echo "${answer-}" >&2
        run ip -oneline address show >&2
    fi
}

says() {
    answer=$(alias "$2")
    [[ $answer == *"$1"* ]]
}
changes() { says '"changed":true' "$1"; }
keeps() { says '"changed":false,"changes":[]' "$1"; }
works() { run "$@" >/dev/null; }
lacks_file() { ! run test -e "$1"; }
# A newer ip(8) shows who added an address.
holds() {
    local lines
    lines=$(run ip -oneline address show "$1")
    [[ ${lines//proto 0x4c /} == *"$2"* ]]
}
# A manager needs a moment to set what it has read.
has() {
    for _ in {1..50}; do
        ! holds "$@" || return 0
        sleep 0.1
    done
    return 1
}
hasnt() {
    for _ in {1..50}; do
        holds "$@" || return 0
        sleep 0.1
    done
    return 1
}
has_each() {
    local wanted
    for wanted in "$@"; do has "${wanted%% *}" "${wanted#* }" || return 1; done
}
has_siblings() { has_each "${siblings[@]}"; }
has_all() { has_each "${siblings[@]}" "${vips[@]}"; }
has_no_vip() {
    local vip
    for vip in "${vips[@]}"; do hasnt "${vip%% *}" "${vip#* }" || return 1; done
}

# The whole life: tasks are what the module is told, vips and siblings what ip(8) then shows, each after the
# interface; "$@" are the commands that must not lose anything.
life() {
    local task
    is "the manager has brought eth0 up" has_siblings
    for task in "${tasks[@]}"; do
        is "check mode predicts a change" changes "$task, \"_ansible_check_mode\": true"
        is "the address comes" changes "$task"
    done
    is "they are there" has_all
    for task in "${tasks[@]}"; do is "once more changes nothing" keeps "$task"; done
    reboot
    is "they are there after a boot" has_all
    for task in "${tasks[@]}"; do is "after a boot nothing is to do" keeps "$task"; done
    for task in "${tasks[@]}"; do
        is "it goes" changes "$task, \"state\": \"absent\""
    done
    heed
    is "they are gone" has_no_vip
    for task in "${tasks[@]}"; do
        is "gone it stays" keeps "$task, \"state\": \"absent\""
        is "it comes back" changes "$task"
    done
    for task in "$@"; do
        is "the manager goes on" works bash -c "$task"
        sleep 1
        is "all is there after: $task" has_all
    done
    for task in "${tasks[@]}"; do is "what the manager did is no drift" keeps "$task"; done
    for task in "${tasks[@]}"; do is "it goes again" changes "$task, \"state\": \"absent\""; done
    reboot
    is "eth0 is as before" has_siblings
    is "the boot brings none back" has_no_vip
    for task in "${files[@]}"; do is "no file is left" lacks_file "$task"; done
}

# NetworkManager sets an IPv6 address again that it had set and that was taken away, whenever another address comes or
# goes. The module says so, and what to do about it.
heed() {
    [[ $case == networkmanager ]] || return 0
    is "what NetworkManager may do is said" [ "$(grep -c 'nmcli device reapply' <<<"$answer")" = 1 ]
    run nmcli device reapply eth0 >/dev/null
}

labelled='"name": "eth0:1", "address": "192.0.2.10/24"'
on_lo='"name": "lo:0", "address": "203.0.113.1/32"'
ipv6='"name": "eth0", "address": "2001:db8::10/64", "nodad": true'

# --- the cases ---------------------------------------------------------------------------------------

ifupdown() {
    prepare networking
    put etc/network/interfaces <<-'END'
		source /etc/network/interfaces.d/*
		auto lo
		iface lo inet loopback
		auto eth0
		iface eth0 inet static
		    address 192.0.2.1/24
	END
    boot
    tasks=("$labelled" "$on_lo" "$ipv6")
    # The interface's own address stays the first one, which is what the host sends from.
    siblings=("eth0 192.0.2.1/24 brd 192.0.2.255 scope global eth0" "lo 127.0.0.1/8")
    vips=("eth0 192.0.2.10/24 brd 192.0.2.255 scope global secondary eth0:1" "lo lo:0" "eth0 2001:db8::10/64")
    files=(/etc/network/interfaces.d/lvs-host-eth0 /etc/network/interfaces.d/lvs-host-lo)
    life "systemctl restart networking" "ifup eth0:1" "ifdown eth0:1 && ifup eth0:1" "systemctl restart networking"
    is "an alias comes once more" changes "$labelled"
    run bash -c "ifdown eth0 2>/dev/null && ifup eth0"
    is "which the interface takes with it" hasnt eth0 eth0:1
    is "it is mended" changes "$labelled"
    is "and ifupdown goes on" works systemctl restart networking
    is "with the alias" has eth0 eth0:1
    is "until it goes" changes "$labelled, \"state\": \"absent\""
    is "the trap is one: what ifupdown does not know makes its restart fail" fails_untold
    is "autoconfiguration stays on" [ "$(run cat /proc/sys/net/ipv6/conf/eth0/autoconf)" = 1 ]
    is "without a label it might come first" says "give it a label" '"name": "eth0", "address": "192.0.2.11/24"'
    put_on etc/network/interfaces.d/mine $'iface eth0:7 inet static\n    address 192.0.2.17/24\n'
    is "the person's own stanza is left alone" says "interfaces.d/mine, which we did not write" \
        '"name": "eth0:3", "address": "192.0.2.17/24"'
    is "nothing was written for it" lacks_file /etc/network/interfaces.d/lvs-host-eth0
    keepalived_is_left_alone
}

# The same stanza while ifupdown is not told of the address.
fails_untold() {
    put_on etc/network/interfaces.d/untold $'auto lo:9\niface lo:9 inet static\n    address 203.0.113.9/32\n'
    run ip address add 203.0.113.9/32 dev lo label lo:9
    local status=0
    run systemctl restart networking 2>/dev/null && status=1
    run ip address del 203.0.113.9/32 dev lo
    run rm /etc/network/interfaces.d/untold
    run systemctl restart networking
    return "$status"
}

put_on() {
    run tee "/$1" >/dev/null <<<"$2"
}

keepalived_is_left_alone() {
    run mkdir -p /etc/keepalived
    put_on etc/keepalived/keepalived.conf $'vrrp_instance a {\n  virtual_ipaddress {\n    192.0.2.50/24\n  }\n}'
    is "an address of keepalived is refused" says "leave it to keepalived" '"name": "eth0:5", "address": "192.0.2.50/24"'
}

networkd() {
    prepare systemd-networkd
    put etc/systemd/network/10-lan.network <<-'END'
		[Match]
		Name=eth0
		[Network]
		Address=192.0.2.1/24
	END
    boot
    tasks=("$labelled" "$on_lo" "$ipv6")
    siblings=("eth0 192.0.2.1/24 brd 192.0.2.255 scope global eth0" "lo 127.0.0.1/8")
    vips=("eth0 192.0.2.10/24 brd 192.0.2.255 scope global secondary eth0:1" "lo lo:0" "eth0 2001:db8::10/64")
    files=(/etc/systemd/network/10-lan.network.d /etc/systemd/network/20-lvs-host-lo.network)
    life "systemctl restart systemd-networkd" "networkctl reload" "networkctl reconfigure eth0" \
        "systemctl restart systemd-networkd"
    # The trap: what is only in the kernel is gone with a reload after a change.
    persist=none alias '"name": "eth0:8", "address": "192.0.2.18/32"' >/dev/null
    is "the address of networkd comes" changes "$labelled"
    run networkctl reload
    is "a reload drops what is not stored" hasnt eth0 eth0:8
    is "and keeps what is" has eth0 eth0:1
    is "that networkd may bring it back is said" says "networkctl reload" "$labelled, \"state\": \"absent\""
    # The other trap: what networkd is told to keep and does not know becomes the primary of its prefix.
    run sed -i '/^\[Network\]/a KeepConfiguration=static' /etc/systemd/network/10-lan.network
    run networkctl reload
    is "an address to keep comes" changes "$labelled"
    run networkctl reload
    run networkctl reconfigure eth0
    sleep 2
    is "the interface's own stays the primary, and the alias a secondary" has_each "${siblings[0]}" "${vips[0]}"
    keepalived_is_left_alone
}

netplan_networkd() {
    prepare systemd-networkd
    netplan_yaml networkd
    boot
    tasks=("$labelled" "$on_lo" '"name": "eth0", "address": "2001:db8::10/64"')
    siblings=("eth0 192.0.2.1/24 brd 192.0.2.255 scope global eth0" "lo 127.0.0.1/8")
    vips=("eth0 192.0.2.10/24 brd 192.0.2.255 scope global secondary eth0:1" "lo lo:0" "eth0 2001:db8::10/64")
    files=(/etc/netplan/90-lvs-host-eth0.yaml /etc/netplan/90-lvs-host-lo.yaml)
    life "netplan apply" "systemctl restart systemd-networkd"
    is "an option that Netplan lacks is refused" says "keeps no scope" "$labelled, \"scope\": \"link\""
}

netplan_networkmanager() {
    prepare NetworkManager
    netplan_yaml NetworkManager
    boot
    tasks=('"name": "eth0", "address": "192.0.2.10/24"')
    siblings=("eth0 192.0.2.1/24 brd 192.0.2.255 scope global noprefixroute eth0")
    vips=("eth0 192.0.2.10/24 brd 192.0.2.255 scope global secondary")
    files=(/etc/netplan/90-lvs-host-eth0.yaml)
    life "netplan apply" "systemctl restart NetworkManager"
    is "a label is refused" says "keeps no label" "$labelled"
    is "with nothing written" lacks_file /etc/netplan/90-lvs-host-eth0.yaml
}

netplan_yaml() {
    put etc/netplan/50-lan.yaml 600 <<-END
		network:
		  version: 2
		  renderer: $1
		  ethernets:
		    eth0:
		      addresses: [192.0.2.1/24]
	END
}

networkmanager() {
    prepare NetworkManager
    put etc/NetworkManager/system-connections/lan.nmconnection 600 <<-'END'
		[connection]
		id=lan
		uuid=7b7a1f4e-0f0f-4a6c-9a41-d58c6a8f1d10
		type=ethernet
		interface-name=eth0

		[ipv4]
		# the person's
		address1=192.0.2.1/24,192.0.2.254
		method=manual

		[ipv6]
		address1=2001:db8::1/64
		method=manual
	END
    boot
    tasks=('"name": "eth0", "address": "192.0.2.10/24"' '"name": "eth0", "address": "2001:db8::10/64"' \
        '"name": "lo", "address": "203.0.113.1/32"')
    siblings=("eth0 192.0.2.1/24 brd 192.0.2.255 scope global noprefixroute eth0" "eth0 2001:db8::1/64" "lo 127.0.0.1/8")
    vips=("eth0 192.0.2.10/24 brd 192.0.2.255 scope global secondary" "eth0 2001:db8::10/64" "lo 203.0.113.1/32")
    files=(/etc/NetworkManager/system-connections/lvs-host-lo.nmconnection)
    local profile=/etc/NetworkManager/system-connections/lan.nmconnection before
    before=$(run cat $profile)
    life "nmcli connection reload" "nmcli device reapply eth0" "nmcli connection up lan" \
        "systemctl restart NetworkManager" "nmcli connection modify lan ipv4.dns 192.0.2.53" "nmcli connection up lan"
    is "NetworkManager wrote our address down again" changes "${tasks[0]}"
    is "a label is refused" says "keeps no label" "$labelled"
    run nmcli connection modify lan ipv4.dns ''
    is "the address goes" changes "${tasks[0]}, \"state\": \"absent\""
    before=$(run cat $profile)
    is "an address comes into the profile" changes "${tasks[0]}"
    is "and goes" changes "${tasks[0]}, \"state\": \"absent\""
    is "which leaves the profile as it was" [ "$(run cat $profile)" = "$before" ]
    is "for root alone" [ "$(run stat -c %a $profile)" = 600 ]
}

# A VLAN of which the person's file tells after ours. Where the kernel knows no VLAN it is a veth by that name, which networkd takes
# if it sees no .netdev file: what matters is what Netplan makes of the files.
netplan_order() {
    local ours=/etc/netplan/90-lvs-host-eth0.5.yaml late='99-netcfg-vmware.yaml comes after /etc/netplan/90-lvs-host-eth0.5.yaml'
    local on_vlan='"name": "eth0.5", "address": "198.51.100.10/24"'
    prepare systemd-networkd
    put etc/systemd/system/eth0.service.d/vlan.conf <<-'END'
		[Service]
		ExecStart=ip link add eth0.5 type veth peer name far.5
		ExecStart=ip link set far.5 up
	END
    mkdir -p "$host/upper/etc/systemd/network"
    ln -s /dev/null "$host/upper/etc/systemd/network/10-netplan-eth0.5.netdev"
    put etc/netplan/99-netcfg-vmware.yaml 600 <<-'END'
		network:
		  renderer: networkd
		  ethernets:
		    eth0:
		      addresses: [192.0.2.1/24]
		  vlans:
		    eth0.5:
		      id: 5
		      link: eth0
		      addresses: [198.51.100.1/24]
	END
    boot
    siblings=("eth0 192.0.2.1/24" "eth0.5 198.51.100.1/24")
    is "the manager has brought both up" has_siblings
    is "what would come first is refused" says "$late" "$on_vlan"
    is "in check mode too" says "$late" "$on_vlan, \"_ansible_check_mode\": true"
    is "with nothing written" lacks_file $ours
    is "with nothing set" hasnt eth0.5 198.51.100.10
    put_on ${ours#/} "$(too_early)"
    run ip address replace 198.51.100.10/24 dev eth0.5
    is "what an earlier version stored is told" says "puts the next boot at risk, and state absent removes it: /etc/netplan/$late" "$on_vlan"
    is "though nothing changes" [ "${answer/\"changed\":false/}" != "$answer" ]
    is "the trap is one: Netplan fails" fails netplan generate
    reboot
    is "and the boot has not brought what was there" "boots_badly_$suite"
    is "it is removed from there" changes "$on_vlan, \"state\": \"absent\""
    is "the file is gone" lacks_file $ours
    reboot
    is "and the next boot brings the network" has_siblings
    run mv /etc/netplan/{99,50}-netcfg-vmware.yaml
    is "behind the person's file it is kept" changes "$on_vlan"
    reboot
    is "the boot brings it back" has_each "${siblings[@]}" "eth0.5 198.51.100.10/24"
    is "nothing is to do" keeps "$on_vlan"
    is "it goes" changes "$on_vlan, \"state\": \"absent\""
    is "with its file" lacks_file $ours
}

# As the module wrote it before it knew of the order of the files.
too_early() {
    echo '# Made by lvs.host.interface_alias, which replaces all of this file.'
    echo '{"network": {"version": 2, "vlans": {"eth0.5": {"addresses": ["198.51.100.10/24"]}}}}'
}

fails() { ! run "$@" >/dev/null 2>&1; }

# No network at all.
boots_badly_bookworm() {
    sleep 2
    ! holds eth0 192.0.2.1/24 && ! holds eth0.5 198.51.100
}

# A boot goes on where `netplan generate` fails, and takes the alias for the first address, and so for the source.
boots_badly_trixie() { has eth0.5 "198.51.100.1/24 brd 198.51.100.255 scope global secondary eth0.5"; }

ifupdown2() { other_ifupdown ifupdown2; }
ifupdown_ng() { other_ifupdown ifupdown-ng; }

# A host with a program that reads the files of ifupdown in its own way.
other_ifupdown() {
    local ours=/etc/network/interfaces.d/lvs-host-eth0 source='source /etc/network/interfaces.d/*'
    prepare networking
    # That of Debian 13 brings nothing up by itself.
    [[ $suite-$1 != trixie-ifupdown-ng ]] || with_networking_ng
    # Neither reads what the other does.
    [[ $1 == ifupdown2 ]] || source='source-directory /etc/network/interfaces.d'
    put etc/network/interfaces <<-END
		$source
		auto lo
		iface lo inet loopback
		auto eth0
		iface eth0 inet static
		    address 192.0.2.1/24
	END
    mkdir -p "$host/upper/etc/network/interfaces.d"
    boot "$1"
    is "it has brought eth0 up" has eth0 192.0.2.1/24
    is "it is refused by name" says "this host has $1, " "$labelled"
    is "by the name that is given too" named_ifupdown says "this host has $1, " "$labelled"
    is "with nothing written" lacks_file $ours
    is "with nothing set" hasnt eth0 192.0.2.10
    # As an earlier version stored it.
    put_on ${ours#/} $'auto eth0 eth0:1\niface eth0:1 inet static\n    address 192.0.2.10/24'
    run ip address replace 192.0.2.10/24 broadcast + dev eth0 label eth0:1
    is "what is stored is told" says "puts the next boot at risk, and state absent removes it: this host has $1, " "$labelled"
    is "it can be removed" changes "$labelled, \"state\": \"absent\""
    is "from the file" lacks_file $ours
    is "and the kernel" hasnt eth0 192.0.2.10
    is "and gone it stays" keeps "$labelled, \"state\": \"absent\""
    reboot
    is "eth0 is as before" has eth0 192.0.2.1/24
}

named_ifupdown() {
    local persist=ifupdown
    "$@"
}

with_networking_ng() {
    put etc/systemd/system/networking.service <<-'END'
		[Service]
		Type=oneshot
		RemainAfterExit=yes
		ExecStart=ifup-ng -a
	END
    ln -s ../networking.service "$host/upper/etc/systemd/system/multi-user.target.wants"
}

nobody() {
    prepare
    boot
    run ip link set eth0 up
    is "without a manager it is refused" says "neither ifupdown, networkd, netplan nor networkmanager" "$labelled"
    is "with nothing set" hasnt eth0 192.0.2.10
}

two() {
    prepare networking systemd-networkd
    put etc/network/interfaces <<<$'source /etc/network/interfaces.d/*\niface eth0 inet static\n    address 192.0.2.1/24\n'
    put etc/systemd/network/10-lan.network <<<$'[Match]\nName=eth0\n[Network]\nAddress=192.0.2.1/24\n'
    boot
    is "eth0 is up" has eth0 192.0.2.1
    is "with two managers it is refused" says "ifupdown and networkd have it" "$labelled"
    is "with nothing set" hasnt eth0 192.0.2.10
    persist=networkd
    is "unless one is named" changes "$labelled"
    unset persist
}

# -----------------------------------------------------------------------------------------------------

((EUID == 0)) || { echo "molecule/persistence.sh: hosts that boot need root" >&2 && exit 1; }
[[ -x target/modules/interface_alias ]] || { echo "molecule/persistence.sh: run \`make modules\` first" >&2 && exit 1; }
(($#)) || set -- {bookworm,trixie}-{ifupdown,networkd,netplan_networkd,netplan_networkmanager,networkmanager} bookworm-{nobody,two} \
    {bookworm,trixie}-{netplan_order,ifupdown2,ifupdown_ng} \
    {bookworm,trixie}-{ifupdown,networkd,netplan,networkmanager}_names
for name in "$@"; do
    suite=${name%%-*} case=${name#*-} host=$hosts/$name
    echo "$case on Debian $suite ..."
    "$case"
    lab/machine stop "$host"
done
echo "$passed passed, $failed failed"
((failed == 0))
