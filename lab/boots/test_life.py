"""What a boot brings back, with the real managers.

Each has its host bring eth0 up. What shall survive is then tried: the manager's reload, the restart of its service, a boot.
"""

import time
from pathlib import Path

import pytest
from life import DRAFT, DRAFTED, ETH0_FIRST, LABELLED_SECOND, LO, NODAD, STANZA, V6, Life, leave_draft, live
from machine import IPV6, LABELLED, ON_LO, absent, long

IPV4 = {'name': 'eth0', 'address': '192.0.2.10/24'}

INTERFACES = """\
source /etc/network/interfaces.d/*
source-directory more.d
auto lo
iface lo inet loopback
auto eth0
iface eth0 inet static
    address 192.0.2.1/24
"""
NETWORK = '[Match]\nName=eth0\n[Network]\nAddress=192.0.2.1/24\n'
NETPLAN = """\
network:
  version: 2
  renderer: {}
  ethernets:
    eth0:
      addresses: [192.0.2.1/24]
"""
PROFILE = """\
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
"""
DRAFTED_PROFILE = PROFILE.replace('id=lan', 'id=drafted\nautoconnect-priority=9').replace('7b7a', '8c8b').replace('.1/', '.99/')
LAN = '/etc/NetworkManager/system-connections/lan.nmconnection'
KEEPALIVED = 'vrrp_instance a {\n  virtual_ipaddress {\n    192.0.2.50/24\n  }\n}\n'


def leave_keepalived_alone(host):
    """An address of keepalived is not ours."""
    host.run('mkdir', '-p', '/etc/keepalived')
    host.write('/etc/keepalived/keepalived.conf', KEEPALIVED)
    task = {'name': 'eth0:5', 'address': '192.0.2.50/24'}
    assert host.says('leave it to keepalived', task), 'an address of keepalived is refused'


# --- ifupdown ----------------------------------------------------------------------------------------


@pytest.mark.parametrize('host', ['bookworm-ifupdown', 'trixie-ifupdown'], indirect=True)
def test_ifupdown(host):
    """The interface's own address stays the first one, which is what the host sends from."""
    host.prepare('networking')
    host.put('etc/network/interfaces', INTERFACES)
    leave_draft(host, '/etc/network/more.d', STANZA)
    draft = leave_draft(host, '/etc/network/interfaces.d', STANZA)
    host.boot()
    live(host, Life(
        draft=draft,
        tasks=[LABELLED, ON_LO, NODAD],
        siblings=[ETH0_FIRST, LO],
        vips=[LABELLED_SECOND, ('lo', 'lo:0'), V6],
        files=['/etc/network/interfaces.d/lvs-host-eth0', '/etc/network/interfaces.d/lvs-host-lo'],
        commands=['systemctl restart networking', 'ifup eth0:1', 'ifdown eth0:1 && ifup eth0:1', 'systemctl restart networking'],
    ))
    take_the_alias_along(host)
    assert restart_fails_untold(host), 'the trap is one: what ifupdown does not know makes its restart fail'
    assert host.run('cat', '/proc/sys/net/ipv6/conf/eth0/autoconf') == '1', 'autoconfiguration stays on'
    task = {'name': 'eth0', 'address': '192.0.2.11/24'}
    assert host.says('give it a label', task), 'without a label it might come first'
    leave_a_stanza_alone(host)
    leave_keepalived_alone(host)
    have_ifquery_read_it(host)


def have_ifquery_read_it(host):
    """What the person has written so that ifupdown reads nothing any more is told, and does not stand in the way."""
    host.write('/etc/network/interfaces.d/broken', 'iface eth9 inet bogus\n')
    told = 'ifupdown does not take its files, with this change or without it: unknown or no method'
    assert host.says(told, LABELLED) and '"changed":true' in host.answer, 'a file that fails already is told'
    assert host.says(told, absent(LABELLED)) and '"changed":true' in host.answer, 'also where an address goes'
    host.run('rm', '/etc/network/interfaces.d/broken')


def take_the_alias_along(host):
    """What ifdown takes away is mended, and ifupdown knows of it."""
    assert host.changes(LABELLED), 'an alias comes once more'
    host.run('bash', '-c', 'ifdown eth0 2>/dev/null && ifup eth0')
    assert host.lacks('eth0', 'eth0:1'), 'which the interface takes with it'
    assert host.changes(LABELLED), 'it is mended'
    assert host.succeeds('systemctl', 'restart', 'networking'), 'and ifupdown goes on'
    assert host.has('eth0', 'eth0:1'), 'with the alias'
    assert host.changes(absent(LABELLED)), 'until it goes'


def restart_fails_untold(host):
    """Returns whether a restart fails where ifupdown is not told of an address that a stanza has."""
    host.write('/etc/network/interfaces.d/untold', 'auto lo:9\niface lo:9 inet static\n    address 203.0.113.9/32\n\n')
    host.run('ip', 'address', 'add', '203.0.113.9/32', 'dev', 'lo', 'label', 'lo:9')
    failed = not host.succeeds('systemctl', 'restart', 'networking')
    host.run('ip', 'address', 'del', '203.0.113.9/32', 'dev', 'lo')
    host.run('rm', '/etc/network/interfaces.d/untold')
    host.run('systemctl', 'restart', 'networking')
    return failed


def leave_a_stanza_alone(host):
    """A person's own stanza is not ours."""
    host.write('/etc/network/interfaces.d/mine', 'iface eth0:7 inet static\n    address 192.0.2.17/24\n\n')
    task = {'name': 'eth0:3', 'address': '192.0.2.17/24'}
    assert host.says('interfaces.d/mine, which we did not write', task), "the person's own stanza is left alone"
    assert not host.has_file('/etc/network/interfaces.d/lvs-host-eth0'), 'nothing was written for it'


HOTPLUG = """\
auto lo
iface lo inet loopback
allow-hotplug eth0
iface eth0 inet static
    address 192.0.2.1/24
source /etc/network/interfaces.d/*
"""
# A container has no udev, which would have ifupdown told of eth0.
PLUGGED = '[Unit]\nAfter=networking.service\n[Service]\nType=oneshot\nExecStart=ifup --allow=hotplug eth0\n'


@pytest.mark.parametrize('host', [long('bookworm-hotplug'), 'trixie-hotplug'], indirect=True)
def test_ifupdown_with_hotplug(host):
    """An interface that auto does not start is not started by it, and its alias comes and goes with it."""
    host.prepare('networking')
    host.put('etc/network/interfaces', HOTPLUG)
    host.put('etc/systemd/system/plugged.service', PLUGGED)
    host.link('etc/systemd/system/multi-user.target.wants/plugged.service', '../plugged.service')
    host.boot()
    assert host.has(*ETH0_FIRST), 'it is plugged in'
    assert host.changes(LABELLED), 'the alias comes'
    host.reboot()
    assert host.has_each([ETH0_FIRST, LABELLED_SECOND]), 'they are there after a boot, in that order'
    assert host.keeps(LABELLED), 'nothing is to do'
    host.run('systemctl', 'restart', 'networking')
    host.run('ifdown', 'eth0')
    assert host.succeeds('ifup', '-a') and host.lacks('eth0', '192.0.2.1'), 'auto does not start it'
    host.run('ifup', '--allow=hotplug', 'eth0')
    assert host.has_each([ETH0_FIRST, LABELLED_SECOND]), 'they come back together'
    assert host.changes(absent(LABELLED)), 'the alias goes'
    assert not host.has_file('/etc/network/interfaces.d/lvs-host-eth0'), 'with its file'


# --- networkd ----------------------------------------------------------------------------------------


@pytest.mark.parametrize('host', ['bookworm-networkd', 'trixie-networkd'], indirect=True)
def test_networkd(host):
    """It drops what it does not know, and keeps what it is told to keep."""
    host.prepare('systemd-networkd')
    host.put('etc/systemd/network/10-lan.network', NETWORK)
    draft = leave_draft(host, '/etc/systemd/network', NETWORK.replace('192.0.2.1/', '192.0.2.99/'), '644')
    host.boot()
    life = Life(
        draft=draft,
        tasks=[LABELLED, ON_LO, NODAD],
        siblings=[ETH0_FIRST, LO],
        vips=[LABELLED_SECOND, ('lo', 'lo:0'), V6],
        files=['/etc/systemd/network/10-lan.network.d', '/etc/systemd/network/20-lvs-host-lo.network'],
        commands=['systemctl restart systemd-networkd', 'networkctl reload', 'networkctl reconfigure eth0',
                  'systemctl restart systemd-networkd'],
    )
    live(host, life)
    lose_what_is_not_stored(host)
    keep_the_primary(host)
    leave_keepalived_alone(host)


def lose_what_is_not_stored(host):
    """The trap: what is only in the kernel is gone with a reload after a change."""
    host.alias({'name': 'eth0:8', 'address': '192.0.2.18/32'}, persist='none')
    assert host.changes(LABELLED), 'the address of networkd comes'
    host.write(f'/etc/systemd/network/10-lan.network.d/{DRAFT}', '[Address]\nAddress=192.0.2.99/32\n')
    host.run('networkctl', 'reload')
    assert host.lacks('eth0', 'eth0:8'), 'a reload drops what is not stored'
    assert host.has('eth0', 'eth0:1'), 'and keeps what is'
    assert host.lacks(*DRAFTED), 'and reads no draft'
    assert host.says('networkctl reload', absent(LABELLED)), 'that networkd may bring it back is said'


def keep_the_primary(host):
    """The other trap: what networkd is told to keep and does not know becomes the primary of its prefix."""
    host.run('sed', '-i', r'/^\[Network\]/a KeepConfiguration=static', '/etc/systemd/network/10-lan.network')
    host.run('networkctl', 'reload')
    assert host.changes(LABELLED), 'an address to keep comes'
    host.run('networkctl', 'reload')
    host.run('networkctl', 'reconfigure', 'eth0')
    time.sleep(2)
    assert host.has_each([ETH0_FIRST, LABELLED_SECOND]), "the interface's own stays the primary, and the alias a secondary"


# --- Netplan -----------------------------------------------------------------------------------------


@pytest.mark.parametrize('host', ['bookworm-netplan_networkd', 'trixie-netplan_networkd'], indirect=True)
def test_netplan_with_networkd(host):
    """Netplan keeps labels for networkd, and no scope."""
    host.prepare('systemd-networkd')
    host.put('etc/netplan/50-lan.yaml', NETPLAN.format('networkd'), '600')
    draft = leave_draft(host, '/etc/netplan', NETPLAN.format('networkd').replace('192.0.2.1/', '192.0.2.99/'))
    host.boot()
    live(host, Life(
        draft=draft,
        tasks=[LABELLED, ON_LO, IPV6],
        siblings=[ETH0_FIRST, LO],
        vips=[LABELLED_SECOND, ('lo', 'lo:0'), V6],
        files=['/etc/netplan/90-lvs-host-eth0.yaml', '/etc/netplan/90-lvs-host-lo.yaml'],
        commands=['netplan apply', 'systemctl restart systemd-networkd'],
    ))
    assert host.says('keeps no scope', {**LABELLED, 'scope': 'link'}), 'an option that Netplan lacks is refused'


@pytest.mark.parametrize('host', ['bookworm-netplan_networkmanager', 'trixie-netplan_networkmanager'], indirect=True)
def test_netplan_with_networkmanager(host):
    """For NetworkManager it keeps no labels."""
    host.prepare('NetworkManager')
    host.put('etc/netplan/50-lan.yaml', NETPLAN.format('NetworkManager'), '600')
    draft = leave_draft(host, '/etc/netplan', NETPLAN.format('NetworkManager').replace('192.0.2.1/', '192.0.2.99/'))
    host.boot()
    live(host, Life(
        draft=draft,
        tasks=[IPV4],
        siblings=[('eth0', '192.0.2.1/24 brd 192.0.2.255 scope global noprefixroute eth0')],
        vips=[('eth0', '192.0.2.10/24 brd 192.0.2.255 scope global secondary')],
        files=['/etc/netplan/90-lvs-host-eth0.yaml'],
        commands=['netplan apply', 'systemctl restart NetworkManager'],
    ))
    assert host.says('keeps no label', LABELLED), 'a label is refused'
    assert not host.has_file('/etc/netplan/90-lvs-host-eth0.yaml'), 'with nothing written'


# --- NetworkManager ----------------------------------------------------------------------------------


@pytest.mark.parametrize('host', ['bookworm-networkmanager', 'trixie-networkmanager'], indirect=True)
def test_networkmanager(host):
    """It sets an IPv6 address again that it had set and that was taken away, whenever another comes or goes. The module says so."""
    host.prepare('NetworkManager')
    host.put(LAN[1:], PROFILE, '600')
    draft = leave_draft(host, str(Path(LAN).parent), DRAFTED_PROFILE)
    host.boot()
    live(host, Life(
        draft=draft,
        tasks=[IPV4, IPV6, {'name': 'lo', 'address': '203.0.113.1/32'}],
        siblings=[('eth0', '192.0.2.1/24 brd 192.0.2.255 scope global noprefixroute eth0'), ('eth0', '2001:db8::1/64'), LO],
        vips=[('eth0', '192.0.2.10/24 brd 192.0.2.255 scope global secondary'), V6, ('lo', '203.0.113.1/32')],
        files=['/etc/NetworkManager/system-connections/lvs-host-lo.nmconnection'],
        commands=['nmcli connection reload', 'nmcli device reapply eth0', 'nmcli connection up lan',
                  'systemctl restart NetworkManager', 'nmcli connection modify lan ipv4.dns 192.0.2.53', 'nmcli connection up lan'],
        heed=['nmcli', 'device', 'reapply', 'eth0'],
    ))
    leave_the_profile_as_it_was(host)


def leave_the_profile_as_it_was(host):
    """A profile that NetworkManager has written anew is ours no less; one with comments keeps them."""
    assert host.changes(IPV4), 'NetworkManager wrote our address down again'
    assert host.says('keeps no label', LABELLED), 'a label is refused'
    host.run('nmcli', 'connection', 'modify', 'lan', 'ipv4.dns', '')
    assert host.changes(absent(IPV4)), 'the address goes'
    before = host.run('cat', LAN)
    assert host.changes(IPV4), 'an address comes into the profile'
    assert host.changes(absent(IPV4)), 'and goes'
    assert host.run('cat', LAN) == before, 'which leaves the profile as it was'
    assert host.run('stat', '-c', '%a', LAN) == '600', 'for root alone'
