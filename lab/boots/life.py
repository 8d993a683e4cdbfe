"""The life of a host with addresses, whichever its manager: what must survive, and what must not come back."""

import time
from dataclasses import dataclass, field

from machine import IPV6, absent, checked

ETH0_FIRST = ('eth0', '192.0.2.1/24 brd 192.0.2.255 scope global eth0')
LABELLED_SECOND = ('eth0', '192.0.2.10/24 brd 192.0.2.255 scope global secondary eth0:1')
LO = ('lo', '127.0.0.1/8')
V6 = ('eth0', '2001:db8::10/64')
NODAD = {**IPV6, 'nodad': True}

# As a killed run leaves it, with what a manager would read if the name were another one.
DRAFT = '.0123456789abcdef.lvs-host-draft'
DRAFTED = ('eth0', '192.0.2.99')
STANZA = 'auto eth0:9\niface eth0:9 inet static\n    address 192.0.2.99/32\n'


@dataclass
class Life:
    """What the module is told, and what ip(8) then shows: siblings are there without it, vips with it, each after its interface."""

    tasks: list
    siblings: list
    vips: list
    files: list  # that the module makes, and removes
    draft: str  # that a killed run has left
    commands: list  # that must not lose anything
    heed: list = field(default_factory=list)  # what the module says is to do when an address has gone

    def all(self):
        """Returns all that is there after the tasks."""
        return self.siblings + self.vips


def live(host, life):
    """Has a host that has just booted live a whole life."""
    come(host, life)
    host.reboot()
    assert host.has_each(life.all()), 'they are there after a boot'
    for task in life.tasks:
        assert host.keeps(task), 'after a boot nothing is to do'
    go_and_come_back(host, life)
    for command in life.commands:
        go_on(host, life, command)
    for task in life.tasks:
        assert host.keeps(task), 'what the manager did is no drift'
    go(host, life)


def come(host, life):
    """The addresses come; a draft beside their files never does."""
    assert host.has_each(life.siblings), 'the manager has brought eth0 up'
    assert host.lacks(*DRAFTED), 'no manager reads a draft'
    for task in life.tasks:
        assert host.changes(checked(task)), 'check mode predicts a change'
        assert host.changes(task), 'the address comes'
        assert 'was not asked' not in host.answer, "the manager's own reader has taken it"
    assert host.has_each(life.all()), 'they are there'
    for task in life.tasks:
        assert host.keeps(task), 'once more changes nothing'
    assert not host.has_file(life.draft), 'the draft went with the next write beside it'


def go_and_come_back(host, life):
    """The addresses go, stay away, and come back."""
    for task in life.tasks:
        assert host.changes(absent(task)), 'it goes'
    if life.heed:
        assert ' '.join(life.heed[:-1]) in host.answer, 'what NetworkManager may do is said'
        host.run(*life.heed)
    assert host.lacks_each(life.vips), 'they are gone'
    for task in life.tasks:
        assert host.keeps(absent(task)), 'gone it stays'
        assert host.changes(task), 'it comes back'


def go_on(host, life, command):
    """The manager does something else."""
    assert host.succeeds('bash', '-c', command), 'the manager goes on'
    time.sleep(1)
    assert host.has_each(life.all()), f'all is there after: {command}'


def go(host, life):
    """The addresses go for good."""
    for task in life.tasks:
        assert host.changes(absent(task)), 'it goes again'
    host.reboot()
    assert host.has_each(life.siblings), 'eth0 is as before'
    assert host.lacks_each(life.vips), 'the boot brings none back'
    for file in life.files:
        assert not host.has_file(file), 'no file is left'


def leave_draft(host, directory, text, mode='600'):
    """Leaves a draft in a directory of a host that does not run yet, and returns its path."""
    host.put(f'{directory[1:]}/{DRAFT}', text, mode)
    return f'{directory}/{DRAFT}'
