"""ifupdown2 and ifupdown-ng, which read the files of ifupdown in ways of their own."""

import pytest
from life import DRAFT, LABELLED_SECOND, LO, NODAD, STANZA, V6, Life, live
from machine import LABELLED, ON_LO, absent, long

MAIN = """\
{}
auto lo
iface lo inet loopback
auto eth0
iface eth0 inet static
    address 192.0.2.1/24
"""
NETWORKING_NG = '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=ifup-ng -a\n'
LVS_HOST_ETH0 = '/etc/network/interfaces.d/lvs-host-eth0'
AGAIN = {
    'ifupdown2': ['ifreload -a', 'ifdown eth0 && ifup eth0', 'sed -i "s|^auto eth0|&\\n|" /etc/network/interfaces && ifreload -a'],
    'ifupdown-ng': ['suffix=$(type -P ifup >/dev/null || echo -ng); ifdown$suffix eth0 && ifup$suffix eth0'],
}


@pytest.mark.parametrize('host', [long('bookworm-ifupdown2'), 'trixie-ifupdown2', long('bookworm-ifupdown-ng'), 'trixie-ifupdown-ng'], indirect=True)
def test_another_ifupdown(host):
    """Both keep labels, and the interface's own address stays the first one, though our file is read before its stanza."""
    boot_with(host)
    live(host, Life(
        draft=leave_draft_now(host, '/etc/network/interfaces.d'),
        tasks=[LABELLED, ON_LO, NODAD],
        siblings=[('eth0', '192.0.2.1/24 scope global eth0'), LO],
        vips=[LABELLED_SECOND, ('lo', 'lo:0'), V6],
        files=[LVS_HOST_ETH0, '/etc/network/interfaces.d/lvs-host-lo'],
        commands=AGAIN[host.case],
    ))
    remove_what_is_stored(host)


def boot_with(host):
    """Boots the host with the program that its case names."""
    host.prepare('networking')
    # That of Debian 13 brings nothing up by itself.
    if (host.suite, host.case) == ('trixie', 'ifupdown-ng'):
        host.put('etc/systemd/system/networking.service', NETWORKING_NG)
        host.link('etc/systemd/system/multi-user.target.wants/networking.service', '../networking.service')
    # Neither reads what the other does.
    source = 'source /etc/network/interfaces.d/*' if host.case == 'ifupdown2' else 'source-directory /etc/network/interfaces.d'
    host.put('etc/network/interfaces', MAIN.format(source))
    host.make_directory('etc/network/interfaces.d')
    host.boot(host.case)


def leave_draft_now(host, directory):
    """Leaves a draft on a host that runs, and returns its path."""
    host.write(f'{directory}/{DRAFT}', STANZA)
    return f'{directory}/{DRAFT}'


def remove_what_is_stored(host):
    """What a version stored that took the program for ifupdown is told, and can be removed."""
    host.write(LVS_HOST_ETH0, 'auto eth0 eth0:1\niface eth0:1 inet static\n    address 192.0.2.10/24\n')
    host.run('ip', 'address', 'replace', '192.0.2.10/24', 'broadcast', '+', 'dev', 'eth0', 'label', 'eth0:1')
    warning = f'puts the next boot at risk, and state absent removes it: this host has {host.case}, '
    assert host.says(warning, LABELLED), 'what is stored is told'
    assert host.changes(absent(LABELLED)), 'it can be removed'
    assert not host.has_file(LVS_HOST_ETH0), 'from the file'
    assert host.lacks('eth0', '192.0.2.10'), 'and the kernel'
    assert host.keeps(absent(LABELLED)), 'and gone it stays'
