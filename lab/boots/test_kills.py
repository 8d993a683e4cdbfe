"""What a kill leaves: at each instant of a task, the next run brings what an undisturbed one does, and each state that is left boots."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from machine import LABELLED, PROJECT, absent, long, soon
from test_life import INTERFACES, LAN, NETPLAN, NETWORK, PROFILE
from test_other_ifupdowns import boot_with

UNLABELLED = {'name': 'eth0', 'address': '192.0.2.10/24'}
FIRST = '192.0.2.1/24'
MOST_STATES = 30


def prepare(host):
    """Boots the host with the manager that its case names."""
    put_strace(host)
    host.put('usr/local/sbin/kills', (PROJECT / 'lab/boots/kills.sh').read_text(), '755')
    host.manager = host.case.removeprefix('kills_')
    if host.manager in ('ifupdown2', 'ifupdown-ng'):
        host.case = host.manager
        boot_with(host)
        return
    host.prepare({'ifupdown': 'networking', 'networkmanager': 'NetworkManager'}.get(host.manager, 'systemd-networkd'))
    path, text, mode = {
        'ifupdown': ('etc/network/interfaces', INTERFACES, '644'),
        'networkd': ('etc/systemd/network/10-lan.network', NETWORK, '644'),
        'netplan': ('etc/netplan/50-lan.yaml', NETPLAN.format('networkd'), '600'),
        'networkmanager': (LAN[1:], PROFILE, '600'),
    }[host.manager]
    host.put(path, text, mode)
    host.make_directory('etc/network/interfaces.d')
    host.boot()


def put_strace(host):
    """Gives the host strace with the libraries that it is linked with."""
    place = host.make_directory('opt/strace')
    strace = shutil.which('strace')
    shutil.copy(strace, place)
    for library in re.findall(r'/\S+', subprocess.run(['ldd', strace], capture_output=True, text=True, check=True).stdout):
        name = Path(library).name
        shutil.copy(library, place / ('ld' if name.startswith('ld-') else name))


@pytest.mark.parametrize('host', [
    'trixie-kills_networkd',
    *(long(f'{suite}-kills_{manager}') for suite, managers in {
        'bookworm': ['ifupdown', 'networkd', 'netplan', 'networkmanager', 'ifupdown2', 'ifupdown-ng'],
        'trixie': ['ifupdown', 'netplan', 'networkmanager', 'ifupdown2', 'ifupdown-ng'],
    }.items() for manager in managers),
], indirect=True)
def test_kills(host):
    """Of present and of absent."""
    prepare(host)
    assert host.has('eth0', FIRST), 'eth0 is up'
    task = UNLABELLED if host.manager == 'networkmanager' else LABELLED
    for number, one in enumerate([task, absent(task)]):
        kill(host, number, one)
    states = {Path(path).name: path for path in host.run('bash', '-c', 'ls /var/tmp/states[01]/*.tar').split()}
    for path in states.values():
        boot(host, path)
    print(f'{host.suite} {host.manager}: {len(states)} boots')


def kill(host, number, task):
    """Kills a task at each instant; the states that a boot would find are archives then."""
    place, text = f'/var/tmp/states{number}', f'/var/tmp/task{number}'
    host.write(text, json.dumps({**task, 'persist': 'auto'}))
    said = host.run('kills', text, place)
    print(f'{host.suite} {host.manager} {task.get("state", "present")}: {said}')
    points, states = (int(re.search(rf'^{word} (\d+)$', said, re.MULTILINE).group(1)) for word in ('points', 'states'))
    assert said.count('\n') == 1, f'each point was reached, and the next run made it good: {said}'
    assert points > 50 and 1 < states < MOST_STATES, said


def boot(host, state):
    """Boots a state."""
    host.run('bash', '-c', 'rm -rf /etc/network /etc/systemd/network /etc/netplan /etc/NetworkManager/system-connections'
             f' && tar --extract --directory=/ --file={state}')
    host.reboot()
    assert host.has('eth0', FIRST), f'the boot of {state} brings the network'
    assert soon(lambda: is_first(host)), f"the boot of {state} leaves the interface's own address the first"
    others = {address for address, _ in host.labels()} - {FIRST, '192.0.2.10/24', '127.0.0.1/8'}
    assert not others, f'the boot of {state} brings {others}'


def is_first(host):
    """Returns whether the interface's own address is the source of what is sent to its network."""
    return 'src 192.0.2.1 ' in host.attempt('ip', 'route', 'get', '192.0.2.9', 'oif', 'eth0').stdout
