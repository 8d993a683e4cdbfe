"""A host that boots, and what it is asked; lab/machine makes it."""

import json
import re
import subprocess
import time
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
SERVICES = ('networking', 'systemd-networkd', 'NetworkManager')

# eth0 has a carrier, as its other end is up too. It is there before any manager looks.
ETH0 = """\
[Unit]
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target networking.service systemd-networkd.service NetworkManager.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=ip link add eth0 type veth peer name far
ExecStart=ip link set far up
"""

# Tasks that several managers are given.
LABELLED = {'name': 'eth0:1', 'address': '192.0.2.10/24'}
ON_LO = {'name': 'lo:0', 'address': '203.0.113.1/32'}
IPV6 = {'name': 'eth0', 'address': '2001:db8::10/64'}


def long(host):
    """Returns a row that is for the long tier."""
    return pytest.param(host, marks=pytest.mark.long)


def absent(task):
    """Returns the task that undoes a task."""
    return {**task, 'state': 'absent'}


def checked(task):
    """Returns a task in check mode."""
    return {**task, '_ansible_check_mode': True}


def soon(condition):
    """Returns whether a condition comes true: a manager needs a moment to set what it has read."""
    for _ in range(50):
        if condition():
            return True
        time.sleep(0.1)
    return False


class Machine:
    """A host of Debian, which is made in a directory of its own and named SUITE-CASE."""

    def __init__(self, name, directory):
        self.suite, self.case = name.split('-', 1)
        self.directory = directory
        self.answer = ''

    # --- before it boots ---

    def put(self, path, text, mode='644'):
        """Writes a file of the host."""
        target = self.directory / 'upper' / path
        subprocess.run(['install', '-D', '-m', mode, '/dev/stdin', target], input=text.encode(), check=True)

    def link(self, path, target):
        """Makes a symbolic link of the host."""
        link = self.make_directory(Path(path).parent) / Path(path).name
        link.symlink_to(target)

    def make_directory(self, path):
        """Makes a directory of the host, and returns where it is now."""
        directory = self.directory / 'upper' / path
        subprocess.run(['install', '-d', directory], check=True)
        return directory

    def prepare(self, *services, more=''):
        """Gives the host eth0, and these of the managers' services; more is what else its unit starts."""
        units = 'etc/systemd/system'
        self.put(f'{units}/eth0.service', ETH0 + more)
        self.link(f'{units}/sysinit.target.wants/eth0.service', '../eth0.service')
        for service in set(SERVICES) - set(services):
            self.link(f'{units}/{service}.service', '/dev/null')
        # Netplan tells udev of its rules, and a container has no udev.
        self.put('usr/local/bin/udevadm', '#!/bin/sh\n', '755')
        if 'systemd-networkd' in services:
            self.link(f'{units}/multi-user.target.wants/systemd-networkd.service', '/lib/systemd/system/systemd-networkd.service')

    # --- its life ---

    def boot(self, *ifup):
        """Boots it for the first time, with all managers or with one of the other programs named ifup."""
        self._lab('start', self.suite, *ifup, check=True)

    def reboot(self):
        """Boots it again."""
        self._lab('reboot', check=True)

    def stop(self):
        """Ends it."""
        self._lab('stop', check=True)

    def _lab(self, command, *arguments, **options):
        return subprocess.run([PROJECT / 'lab/machine', command, self.directory, *arguments], timeout=300, **options)

    # --- what is done on it ---

    def attempt(self, *command, text=''):
        """Runs a command with this input, and returns how it ended."""
        return self._lab('run', *command, input=text, capture_output=True, encoding='utf-8', errors='replace')

    def run(self, *command, text=''):
        """Runs a command that must succeed, and returns its output."""
        done = self.attempt(*command, text=text)
        if done.returncode:
            raise RuntimeError(f'{command} ended with {done.returncode}: {done.stdout}{done.stderr}')
        return done.stdout.rstrip('\n')

    def succeeds(self, *command):
        """Returns whether a command succeeds."""
        return self.attempt(*command).returncode == 0

    def has_file(self, path):
        """Returns whether there is such a file."""
        return self.succeeds('test', '-e', path)

    def write(self, path, text):
        """Writes a file while the host runs."""
        self.run('tee', path, text=text)

    # --- the module ---

    def alias(self, task, persist='auto'):
        """Has interface_alias do a task, and returns the answer."""
        task = json.dumps({**task, 'persist': persist}, ensure_ascii=False)
        self.answer = self.attempt('/opt/modules/interface_alias', text=task).stdout.rstrip('\n')
        return json.loads(self.answer)

    def changes(self, task, **how):
        """Returns whether the module says that a task has changed something."""
        return self.alias(task, **how).get('changed') is True

    def keeps(self, task):
        """Returns whether the module says that a task has found all as it should be."""
        answer = self.alias(task)
        return answer.get('changed') is False and answer.get('changes') == []

    def says(self, words, task, **how):
        """Returns whether the module's answer has these words."""
        self.alias(task, **how)
        return words in self.answer

    # --- its addresses ---

    def addresses(self, *which):
        """Returns what ip(8) shows, without who added an address, as only a newer one has that."""
        done = self.attempt('ip', '-oneline', *which, 'address', 'show')
        return done.stdout.replace('proto 0x4c ', '') + done.stderr

    def holds(self, interface, words):
        """Returns whether ip(8) shows these words of an interface now."""
        shown = self.attempt('ip', '-oneline', 'address', 'show', interface).stdout
        return words in shown.replace('proto 0x4c ', '')

    def has(self, interface, words):
        """Returns whether ip(8) shows these words of an interface soon."""
        return soon(lambda: self.holds(interface, words))

    def lacks(self, interface, words):
        """Returns whether ip(8) soon shows these words no more."""
        return soon(lambda: not self.holds(interface, words))

    def has_each(self, pairs):
        """Returns whether ip(8) soon shows all these words, each with its interface."""
        return all(self.has(*pair) for pair in pairs)

    def lacks_each(self, pairs):
        """Returns whether ip(8) soon shows none of these words."""
        return all(self.lacks(*pair) for pair in pairs)

    def labels(self):
        """Returns the IPv4 addresses, each with the label that it has."""
        return re.findall(r'^.* inet ([^ ]+) .* ([^ ]+)\\ +valid_lft', self.addresses('-4'), re.MULTILINE)
