"""Configurations as installers and providers write them: what is stored beside them boots, leaves the source alone, and goes without a trace."""

from dataclasses import dataclass, field

import pytest
from machine import LABELLED, absent, long, soon

# What a provider has matched by the address of hardware is matched by name here: a veth has none that is permanent.
MAC = '02:00:00:00:00:01'
SINGLE = {'name': 'eth0:1', 'address': '198.51.100.10/32'}
BRIDGED = {**LABELLED, 'name': 'br0:1'}
SOURCE = 'source /etc/network/interfaces.d/*\n\n'
LO = 'auto lo\niface lo inet loopback\n\n'


@dataclass
class Shape:
    """What an installer or a provider writes, and the task that is tried there."""

    manager: str  # its service, or the one program that the host has
    files: dict
    task: dict
    refused: str = ''  # what the module says, where it keeps nothing
    neighbour: str = '192.0.2.9'  # to which the interface's own address is the source
    modes: dict = field(default_factory=lambda: {'yaml': '600', 'nmconnection': '600'})


SHAPES = {
    'bookworm-cloud_init_netplan': Shape('systemd-networkd', {'etc/netplan/50-cloud-init.yaml': """\
# This file is generated from information provided by the datasource.
network:
    ethernets:
        eth0:
            addresses:
            - 192.0.2.1/24
            match:
                name: eth0
            nameservers:
                addresses:
                - 192.0.2.53
            routes:
            -   to: default
                via: 192.0.2.254
            set-name: eth0
    version: 2
"""}, LABELLED),
    'bookworm-cloud_init_eni': Shape('networking', {'etc/network/interfaces': SOURCE, 'etc/network/interfaces.d/50-cloud-init': LO + """\
auto eth0
iface eth0 inet static
    address 192.0.2.1/24
    dns-nameservers 192.0.2.53
    gateway 192.0.2.254

# control-alias eth0
auto eth0:0
iface eth0:0 inet static
    address 192.0.2.3/24
"""}, LABELLED),
    'bookworm-debian_installer': Shape('networking', {'etc/network/interfaces': SOURCE + LO + """\
# The primary network interface
allow-hotplug eth0
iface eth0 inet static
    address 192.0.2.1/24
    gateway 192.0.2.254
"""}, LABELLED, refused='as our file is read before its stanza'),
    'trixie-hetzner_netplan': Shape('systemd-networkd', {'etc/netplan/01-netcfg.yaml': """\
### Hetzner Online GmbH installimage
network:
  version: 2
  renderer: networkd
  ethernets:
    eth0:
      addresses:
        - 192.0.2.1/32
        - 2001:db8::2/64
      routes:
        - on-link: true
          to: 0.0.0.0/0
          via: 172.31.1.1
"""}, SINGLE),
    'bookworm-hetzner_ifupdown': Shape('networking', {'etc/network/interfaces': SOURCE + LO + """\
auto eth0
iface eth0 inet static
  address 192.0.2.1
  netmask 255.255.255.255
  gateway 192.0.2.30
  pointopoint 192.0.2.30
"""}, SINGLE),
    'trixie-ovh_networkd': Shape('systemd-networkd', {'etc/systemd/network/50-default.network': f"""\
# This file sets the IP configuration of the primary (public) network device.
[Match]
MACAddress={MAC}

[Network]
Description=network interface on public network, with default route
DHCP=no
Address=192.0.2.1/24
Gateway=192.0.2.254
IPv6AcceptRA=no
NTP=ntp.example.com

[Address]
Address=2001:db8::1/64
"""}, LABELLED),
    'bookworm-proxmox': Shape('ifupdown2', {'etc/network/interfaces': """\
auto lo
iface lo inet loopback

iface eth0 inet manual

auto br0
iface br0 inet static
	address 192.0.2.1/24
	gateway 192.0.2.254
	bridge-ports eth0
	bridge-stp off
	bridge-fd 0

source /etc/network/interfaces.d/*
"""}, BRIDGED),
    'bookworm-alpine': Shape('ifupdown-ng', {'etc/network/interfaces': LO + """\
auto eth0
iface eth0 inet static
	address 192.0.2.1/24
	gateway 192.0.2.254
"""}, LABELLED, refused='add the line: source-directory /etc/network/interfaces.d'),
    'bookworm-raspberry': Shape('NetworkManager', {'etc/NetworkManager/system-connections/Wired connection 1.nmconnection': """\
[connection]
id=Wired connection 1
uuid=7b7a1f4e-0f0f-4a6c-9a41-d58c6a8f1d10
type=ethernet
interface-name=eth0

[ethernet]

[ipv4]
address1=192.0.2.1/24,192.0.2.254
dns=192.0.2.53;
method=manual

[ipv6]
addr-gen-mode=default
method=auto

[proxy]
"""}, {'name': 'eth0', 'address': '192.0.2.10/24'}),
    'trixie-ubuntu_installer': Shape('systemd-networkd', {'etc/netplan/00-installer-config.yaml': """\
# This is the network config written by 'subiquity'
network:
  ethernets:
    eth0:
      addresses: [192.0.2.1/24]
      nameservers: {addresses: [192.0.2.53], search: []}
      routes: [{to: default, via: 192.0.2.254}]
  version: 2
"""}, LABELLED),
    'trixie-ubuntu_bridge': Shape('systemd-networkd', {'etc/netplan/01-br0.yaml': """\
network:
  version: 2
  ethernets:
    eth0: {dhcp4: false}
  bridges:
    br0:
      interfaces: [eth0]
      addresses: [192.0.2.1/24]
      parameters: {stp: false, forward-delay: 0}
"""}, BRIDGED),
    'bookworm-networkd_bridge': Shape('systemd-networkd', {
        'etc/systemd/network/10-br0.netdev': '[NetDev]\nName=br0\nKind=bridge\n',
        'etc/systemd/network/20-eth0.network': '[Match]\nName=eth0\n[Network]\nBridge=br0\n',
        'etc/systemd/network/30-br0.network': '[Match]\nName=br0\n[Network]\nAddress=192.0.2.1/24\n',
    }, BRIDGED),
    'trixie-digitalocean': Shape('systemd-networkd', {'etc/netplan/50-cloud-init.yaml': """\
network:
    version: 2
    ethernets:
        eth0:
            match: {name: eth0}
            addresses: [192.0.2.1/24, 10.19.0.5/16]
            routes: [{{to: 0.0.0.0/0, via: 192.0.2.254}}]
            set-name: eth0
"""}, LABELLED),
}
EACH_RUN = ['bookworm-proxmox', 'bookworm-alpine']


@pytest.mark.parametrize('host', [name if name in EACH_RUN else long(name) for name in SHAPES], indirect=True)
def test_shape(host):
    """The source is the interface's own address after each step."""
    shape = SHAPES[f'{host.suite}-{host.case}']
    boot(host, shape)
    before = configuration(host)
    assert soon(lambda: has_source(host, shape)), 'it is up'
    if shape.refused:
        assert host.says(shape.refused, shape.task), 'it says what to do'
        assert configuration(host) == before, 'with nothing written'
        return
    assert host.changes(shape.task) and host.keeps(shape.task), 'the address comes'
    assert has_source(host, shape), 'beside it'
    host.reboot()
    interface, words = shape.task['name'].split(':')[0], shape.task['address']
    assert host.has(interface, words), 'a boot brings it back'
    assert soon(lambda: has_source(host, shape)), 'beside it'
    assert host.keeps(shape.task), 'nothing is to do'
    assert host.changes(absent(shape.task)), 'it goes'
    assert configuration(host) == before, 'without a trace'


def boot(host, shape):
    """Boots the host with the files of a shape."""
    for path, text in shape.files.items():
        host.put(path, text, shape.modes.get(path.rsplit('.', 1)[-1], '644'))
    is_program = shape.manager.startswith('ifupdown')
    address = f'ExecStart=ip link set dev eth0 address {MAC}\n'
    host.prepare('networking' if is_program else shape.manager, more=address)
    host.make_directory('etc/network/interfaces.d')
    host.boot(*[shape.manager] * is_program)
    if host.case == 'debian_installer':
        # A container has no udev, which would have ifupdown told of eth0.
        host.run('ifup', '--allow=hotplug', 'eth0')


def has_source(host, shape):
    """Returns whether the host's own address is the source of what it sends to a neighbour."""
    return 'src 192.0.2.1 ' in host.attempt('ip', 'route', 'get', shape.neighbour).stdout


def configuration(host):
    """Returns the managers' files, byte for byte, with modes and owners."""
    return host.run('bash', '-c', 'tar --create --sort=name --mtime=@0 /etc/network /etc/systemd/network /etc/netplan'
                    ' $(ls -d /etc/NetworkManager/system-connections 2>/dev/null) 2>/dev/null | sha256sum')
