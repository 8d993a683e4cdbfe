"""What a host with a leased address sends from after a boot, and that the module tells before when that changes."""

import pytest
from machine import absent, checked, long

FAR = """\
[Match]
Name=far
[Network]
Address=198.51.100.1/24
DHCPServer=yes
[DHCPServer]
PoolOffset=100
PoolSize=20
"""
NETWORK = '[Match]\nName=eth0\n[Network]\nDHCP=ipv4\n'
NETPLAN = 'network: {version: 2, renderer: networkd, ethernets: {eth0: {dhcp4: true}}}\n'
PROFILE = """\
[connection]
id=lan
uuid=7b7a1f4e-0f0f-4a6c-9a41-d58c6a8f1d10
type=ethernet
interface-name=eth0

[ipv4]
method=auto
"""
UNMANAGED = '[keyfile]\nunmanaged-devices=interface-name:far\n'
FIRST = {'name': 'eth0', 'address': '198.51.100.10/24'}
SINGLE = {**FIRST, 'address': '198.51.100.10/32'}
WARNING = "before the interface's own address"


@pytest.mark.parametrize(
    'host', ['bookworm-dhcp_networkd', 'trixie-dhcp_netplan', long('bookworm-dhcp_networkmanager'), 'trixie-dhcp_networkmanager'], indirect=True,
)
def test_dhcp(host):
    """An alias in the network of the lease takes the place of the leased address; one of prefix 32 does not."""
    prepare(host)
    host.boot()
    assert host.has('eth0', '/24'), 'the address is leased'
    assert host.says(WARNING, checked(FIRST)) and host.says(WARNING, FIRST), 'what a boot will do is told before'
    host.reboot()
    assert host.has('eth0', 'dynamic') and is_source(host), 'the trap is one: the alias is the first address'
    assert host.changes(absent(FIRST)), 'it goes'
    assert host.changes(SINGLE) and WARNING not in host.answer, 'as a single address it comes without a warning'
    host.reboot()
    assert host.has('eth0', 'dynamic') and not is_source(host), 'and leaves the source alone'
    assert host.keeps(SINGLE), 'nothing is to do'


def prepare(host):
    """Gives the host a server that leases addresses, and the manager that its case names."""
    host.put('etc/systemd/network/05-far.network', FAR)
    if host.case == 'dhcp_networkmanager':
        host.prepare('systemd-networkd', 'NetworkManager')
        host.put('etc/NetworkManager/conf.d/far.conf', UNMANAGED)
        host.put('etc/NetworkManager/system-connections/lan.nmconnection', PROFILE, '600')
        return
    host.prepare('systemd-networkd')
    if host.case == 'dhcp_netplan':
        host.put('etc/netplan/50-lan.yaml', NETPLAN, '600')
    else:
        host.put('etc/systemd/network/10-lan.network', NETWORK)


def is_source(host):
    """Returns whether the alias is the source of what is sent to its network."""
    return 'src 198.51.100.10 ' in host.run('ip', 'route', 'get', '198.51.100.9', 'oif', 'eth0')
