"""Hosts whose next boot the module would put at risk, or for which it cannot tell who has eth0: it refuses, and removes what it once stored."""

import time

import pytest
from machine import LABELLED, absent, checked

INTERFACES = """\
{}
auto lo
iface lo inet loopback
auto eth0
iface eth0 inet static
    address 192.0.2.1/24
"""
LVS_HOST_ETH0 = '/etc/network/interfaces.d/lvs-host-eth0'


@pytest.mark.parametrize('host', ['bookworm-nobody'], indirect=True)
def test_nobody(host):
    """No manager has eth0."""
    host.prepare()
    host.boot()
    host.run('ip', 'link', 'set', 'eth0', 'up')
    assert host.says('neither ifupdown, ifupdown2, ifupdown-ng, networkd, netplan nor networkmanager', LABELLED), 'without a manager it is refused'
    assert host.lacks('eth0', '192.0.2.10'), 'with nothing set'


@pytest.mark.parametrize('host', ['bookworm-two'], indirect=True)
def test_two(host):
    """Two managers have brought eth0 up."""
    host.prepare('networking', 'systemd-networkd')
    host.put('etc/network/interfaces', 'source /etc/network/interfaces.d/*\nauto eth0\niface eth0 inet static\n    address 192.0.2.1/24\n\n')
    host.put('etc/systemd/network/10-lan.network', '[Match]\nName=eth0\n[Network]\nAddress=192.0.2.1/24\n\n')
    host.boot()
    assert host.has('eth0', '192.0.2.1'), 'eth0 is up'
    assert host.says('ifupdown and networkd have it', LABELLED), 'with two managers it is refused'
    assert host.lacks('eth0', '192.0.2.10'), 'with nothing set'
    assert host.changes(LABELLED, persist='networkd'), 'unless one is named'
    assert host.changes(absent(LABELLED)), 'what is to go needs none'
    assert host.lacks('eth0', '192.0.2.10'), 'and goes'


# --- other programs that read the files of ifupdown -----------------------------------------------------


@pytest.mark.parametrize('host', ['bookworm-busybox'], indirect=True)
def test_busybox(host):
    """The ifup of BusyBox is known by its name."""
    host.prepare()
    host.put('etc/network/interfaces', INTERFACES.format('source /etc/network/interfaces.d/*'))
    host.link('usr/local/bin/busybox', '/bin/true')
    host.link('usr/sbin/ifup', '/usr/local/bin/busybox')
    host.boot()
    host.run('ip', 'link', 'set', 'eth0', 'up')
    assert host.says('this host has the ifup of BusyBox', LABELLED), 'it is refused by name'
    assert host.lacks('eth0', '192.0.2.10') and not host.has_file(LVS_HOST_ETH0), 'with nothing done'


# --- the order of Netplan's files ----------------------------------------------------------------------

OURS = '/etc/netplan/90-lvs-host-eth0.5.yaml'
LATE = f'99-netcfg-vmware.yaml comes after {OURS}'
ON_VLAN = {'name': 'eth0.5', 'address': '198.51.100.10/24'}
SIBLINGS = [('eth0', '192.0.2.1/24'), ('eth0.5', '198.51.100.1/24')]
VLAN_LINK = '[Service]\nExecStart=ip link add eth0.5 type veth peer name far.5\nExecStart=ip link set far.5 up\n'
NETPLAN = """\
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
"""
LEFT = """\
network:
  renderer: networkd
  ethernets:
    eth0:
      addresses: [192.0.2.1/24]
# eth0.5 was here
"""
# As the module wrote it before it knew of the order of the files.
TOO_EARLY = """\
# Made by lvs.host.interface_alias, which replaces all of this file.
{"network": {"version": 2, "vlans": {"eth0.5": {"addresses": ["198.51.100.10/24"]}}}}
"""


@pytest.mark.parametrize('host', ['bookworm-netplan_order', 'trixie-netplan_order'], indirect=True)
def test_netplan_order(host):
    """A VLAN of which the person's file tells after ours.

    Where the kernel knows no VLAN it is a veth by that name, which networkd takes if it sees no .netdev file: what matters is
    what Netplan makes of the files.
    """
    host.prepare('systemd-networkd')
    host.put('etc/systemd/system/eth0.service.d/vlan.conf', VLAN_LINK)
    host.link('etc/systemd/network/10-netplan-eth0.5.netdev', '/dev/null')
    host.put('etc/netplan/99-netcfg-vmware.yaml', NETPLAN, '600')
    host.boot()
    refuse_to_come_first(host)
    mend_what_came_first(host)
    come_second(host)
    let_netplan_have_the_last_word(host)


def refuse_to_come_first(host):
    """What would come first is refused."""
    assert host.has_each(SIBLINGS), 'the manager has brought both up'
    assert host.says(LATE, ON_VLAN), 'what would come first is refused'
    assert host.says(LATE, checked(ON_VLAN)), 'in check mode too'
    assert not host.has_file(OURS), 'with nothing written'
    assert host.lacks('eth0.5', '198.51.100.10'), 'with nothing set'


def mend_what_came_first(host):
    """What an earlier version stored there costs the host its network, until it is removed."""
    host.write(OURS, TOO_EARLY)
    host.run('ip', 'address', 'replace', '198.51.100.10/24', 'dev', 'eth0.5')
    warning = f'puts the next boot at risk, and state absent removes it: /etc/netplan/{LATE}'
    assert host.says(warning, ON_VLAN), 'what an earlier version stored is told'
    assert '"changed":false' in host.answer, 'though nothing changes'
    assert not host.succeeds('netplan', 'generate'), 'the trap is one: Netplan fails'
    host.reboot()
    assert boots_badly(host), 'and the boot has not brought what was there'
    assert host.changes(absent(ON_VLAN)), 'it is removed from there'
    assert not host.has_file(OURS), 'the file is gone'
    host.reboot()
    assert host.has_each(SIBLINGS), 'and the next boot brings the network'


def boots_badly(host):
    """Returns whether Debian 12 has no network at all, and Debian 13, where a boot goes on, takes the alias for the source."""
    if host.suite == 'trixie':
        return host.has('eth0.5', '198.51.100.1/24 brd 198.51.100.255 scope global secondary eth0.5')
    time.sleep(2)
    return not host.holds('eth0', '192.0.2.1/24') and not host.holds('eth0.5', '198.51.100')


def come_second(host):
    """Behind the person's file it is kept."""
    host.run('mv', '/etc/netplan/99-netcfg-vmware.yaml', '/etc/netplan/50-netcfg-vmware.yaml')
    assert host.changes(ON_VLAN), "behind the person's file it is kept"
    host.reboot()
    assert host.has_each([*SIBLINGS, ('eth0.5', '198.51.100.10/24')]), 'the boot brings it back'
    assert host.keeps(ON_VLAN), 'nothing is to do'
    assert host.changes(absent(ON_VLAN)), 'it goes'
    assert not host.has_file(OURS), 'with its file'


def let_netplan_have_the_last_word(host):
    """What only Netplan finds out is refused as well: the person has taken the VLAN out of the file and not out of its comments."""
    assert host.changes(ON_VLAN), 'an address is kept'
    host.write('/etc/netplan/50-netcfg-vmware.yaml', LEFT)
    other = {'name': 'eth0.5', 'address': '198.51.100.11/24'}
    assert host.says('netplan does not take its files, with this change or without it', other), 'what fails already is told'
    assert '"changed":true' in host.answer, 'and does not stand in the way'
    assert host.changes(absent(other)) and host.changes(absent(ON_VLAN)), 'nor of what is to go'
    for task in (checked(ON_VLAN), ON_VLAN):
        assert host.says("missing 'link' property", task) and '"failed":true' in host.answer, 'what would fail is refused'
    assert host.lacks('eth0.5', '198.51.100.10') and not host.has_file(OURS), 'with nothing done'
    assert 'scratch' not in host.run('ls', '/run'), 'and nothing left of the trial'
    assert host.succeeds('netplan', 'generate'), 'so the next boot has a network'
