"""Names that are more than names to a shell, a reader of lines or a program.

Each is refused in one sentence, or stored, and then the real manager brings exactly that address up; a command in one makes the
file c.
"""

import shutil
import subprocess
import uuid

import pytest
from machine import PROJECT, soon

HOSTILE = ['$(>c)', '`>c`', ';>c', '|>c', '&>c', '>c', '<c', 'a\\', "'", '"', '*', '?', '[a-z]', '{a,b}', '~', '$IFS', '#c', '!c', 'a=b']
PLAIN = ['eth0.100', 'br-lan', 'enp0s31f6np0', 'veth1@if5', 'a_b+c']
FOREIGN = 'größe'
PLAIN_LABELS = ['1', 'vip', 'a_b', 'a.b', 'a-b', 'a+b', 'a@b', '-x', '.x']
LABELS = [*HOSTILE, '%i', '%%', *PLAIN_LABELS]
NAMES = [*HOSTILE, '-x', '.x', *PLAIN, FOREIGN]
HARMLESS = len(PLAIN_LABELS) + len(PLAIN) + 1

INTERFACES = """\
source /etc/network/interfaces.d/*
auto lo
iface lo inet loopback
auto eth0
iface eth0 inet static
    address 192.0.2.1/24
"""
PROFILE = """\
[connection]
id={id}
uuid={uuid}
type=ethernet
interface-name={interface}

[ipv4]
address1={address}
method=manual

[ipv6]
method=disabled
"""


def prepare(host, service):
    """Gives the host a manager, and interfaces of all these names."""
    host.prepare(service, more='ExecStart=links\n')
    host.put('etc/names', ''.join(f'{name}\n' for name in NAMES))
    host.put('usr/local/sbin/links', (PROJECT / 'lab/boots/links.sh').read_text(), '755')
    host.make_directory('canary')


def survive(host, names, count):
    """Tries all names, and what a boot makes of them; as many as count are stored."""
    stored = try_names(host, names)
    assert len(stored) == count, 'as many as are harmless are stored'
    assert missing(host, stored) == set(), 'they are there'
    host.reboot()
    assert missing(host, stored) == set(), 'they are there after a boot'
    assert canaries(host) == '', 'nothing was run'
    assert host.has('eth0', '192.0.2.1/24'), 'eth0 has its own address'
    return stored


def try_names(host, names):
    """Returns the addresses that are stored, each with its label."""
    tries = [('eth0', {'label': label}) for label in LABELS] + [(name, {}) for name in names]
    stored = []
    for number, (name, label) in enumerate(tries, 30):
        address = f'192.0.2.{number}/32'
        answer = host.alias({'name': name, 'address': address, **label})
        if answer.get('changed') is True:
            stored.append((address, ':'.join([name, *label.values()])))
        else:
            assert is_sentence(host.answer, answer), f'it is refused in one sentence: {name} {label}'
    print(f'{len(stored)} stored, {len(tries) - len(stored)} refused')
    return stored


def is_sentence(text, answer):
    """Returns whether an answer is one line with a failure that says what could not be done."""
    return answer.get('failed') is True and answer['msg'].startswith('cannot ') and '\n' not in text


def missing(host, stored):
    """Returns what is stored and does not come."""
    soon(lambda: set(stored) <= set(host.labels()))
    return set(stored) - set(host.labels())


def canaries(host):
    """Returns the files that a command in a name has made."""
    return host.attempt('bash', '-c', 'shopt -s nullglob; ls /c /canary/*').stdout


# --- the managers ------------------------------------------------------------------------------------


@pytest.mark.parametrize('host', ['bookworm-names_ifupdown', 'trixie-names_ifupdown'], indirect=True)
def test_ifupdown(host):
    """It hands names to a shell, of which there are several."""
    prepare(host, 'networking')
    # An address alone brings no interface up.
    auto = ''.join(f'auto {name}\n' for name in [*PLAIN, FOREIGN])
    host.put('etc/network/interfaces', INTERFACES + auto + ''.join(f'iface {name} inet manual\n' for name in NAMES))
    busybox = host.make_directory('usr/local/bin') / 'busybox'
    subprocess.run(['install', '-m', '755', shutil.which('busybox'), busybox], check=True)
    host.boot()
    stored = survive(host, NAMES, HARMLESS)
    for shell in 'dash', 'bash', 'busybox':
        bring_up_with(host, shell, stored)


def bring_up_with(host, shell, stored):
    """Has another shell be the one that ifupdown calls."""
    host.run('ln', '-sf', host.run('bash', '-c', f'command -v {shell}'), '/bin/sh')
    assert ifup_in_canary(host), f'{shell} takes down and brings up what is stored'
    assert missing(host, stored) == set(), f'with {shell} all is there'
    assert canaries(host) == '', f'{shell} has run nothing'
    assert traps(host), f'the trap is one: {shell} runs what stands in a name'


def ifup_in_canary(host):
    """Returns whether all goes down and up; a command in a name makes files where it is."""
    return host.succeeds('bash', '-c', 'cd /canary && ifdown --all --force --exclude=lo --exclude=eth0.100 && ifup --all')


def traps(host):
    """Returns whether the same with a stanza that we would not write runs the command."""
    return host.succeeds('bash', '-c', r"""
        cd /canary && printf "iface eth0:\$(>c) inet static\n    address 192.0.2.9/32\n" >/tmp/trap &&
        ifup --interfaces=/tmp/trap "eth0:\$(>c)"; test -e c && rm c""")


@pytest.mark.parametrize('host', ['bookworm-names_networkd', 'trixie-names_networkd'], indirect=True)
def test_networkd(host):
    """It finds an interface by its hardware address."""
    prepare(host, 'systemd-networkd')
    host.put('etc/systemd/network/10-lan.network', '[Match]\nName=eth0\n[Network]\nAddress=192.0.2.1/24\n')
    for number in range(len(NAMES)):
        host.put(f'etc/systemd/network/30-{number}.network', f'[Match]\nMACAddress=02:00:00:00:00:{number:02}\n')
    host.boot()
    survive(host, NAMES, HARMLESS)


@pytest.mark.parametrize('host', ['bookworm-names_netplan', 'trixie-names_netplan'], indirect=True)
def test_netplan(host):
    """It finds an interface by an address that veth has not, or by a name of ASCII that is a pattern, so all have such names."""
    prepare(host, 'systemd-networkd')
    lan = 'network:\n  version: 2\n  renderer: networkd\n  ethernets:\n    eth0: {addresses: [192.0.2.1/24]}\n'
    for number, name in enumerate(PLAIN):
        lan += f'    h{number}: {{match: {{name: "{name}"}}}}\n'
    host.put('etc/netplan/50-lan.yaml', lan, '600')
    host.boot()
    survive(host, PLAIN, HARMLESS - 1)
    assert host.succeeds('netplan', 'generate'), 'Netplan takes all of it'


@pytest.mark.parametrize('host', ['bookworm-names_networkmanager', 'trixie-names_networkmanager'], indirect=True)
def test_networkmanager(host):
    """No name gets into its files, so it keeps the addresses of any interface, and no label."""
    prepare(host, 'NetworkManager')
    up = [(name, f'198.51.100.{number}/32') for number, name in enumerate(NAMES, 1)]
    for number, (name, address) in enumerate(up):
        put_profile(host, f'h{number}', name.replace('\\', '\\\\'), address)
    put_profile(host, 'lan', 'eth0', '192.0.2.1/24')
    host.boot()
    assert host.has_each(up), 'all are up'
    survive(host, NAMES, len(NAMES))


def put_profile(host, name, interface, address):
    """Writes a profile of NetworkManager."""
    text = PROFILE.format(id=name, uuid=uuid.uuid4(), interface=interface, address=address)
    host.put(f'etc/NetworkManager/system-connections/{name}.nmconnection', text, '600')
