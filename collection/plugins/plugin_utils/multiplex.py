# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Has the master of an ssh connection run commands, without a further ssh for each.

Ansible starts an ssh for each command, which does nothing but hand it to the process that holds the connection open (ControlPersist).
To start it takes longer than all the rest of a task on a LAN. The protocol is version 4 of OpenSSH's PROTOCOL.mux, of 2010.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import select
import socket
import struct
import tempfile

from ansible import constants
from ansible.errors import AnsibleAuthenticationFailure, AnsibleError

HELLO, NEW_SESSION, EXIT_MESSAGE, SESSION_OPENED = 0x00000001, 0x10000002, 0x80000004, 0x80000006
VERSION = 4
NO_ESCAPE = 0xffffffff
# A private method of Ansible's plugin ssh, from ansible-core 2.16 or before to 2.21 at least: runs a command line, with data on standard input.
METHOD = '_bare_run'
RETRIES = 'reconnection_retries'  # of ansible_ssh_retries
LONGEST = 256 * 1024  # bytes of a message, as in OpenSSH's mux.c and packet.h


class Lost(AnsibleAuthenticationFailure):
    """A command that is over or is waited for no more, and may have done something.

    Of its kind, by which a host is unreachable, only this one is not tried again.
    """

    _default_message = ''  # not that of its kind, which Ansible would put before this one

    def __init__(self, msg='The connection ended before the task did, which may have changed something'):
        super().__init__(msg)


@contextlib.contextmanager
def multiplexed(connection, is_wanted, mark, display):
    """Has an ssh connection use its master in the meantime, where that can do it, else start ssh as ever: for a password, a terminal, the first command.

    With ansible_ssh_retries, Ansible runs a command again whose connection was lost. One that has output the mark, which says that a task
    has begun, is not; and without a look at outputs, none is.
    """
    start = getattr(connection, METHOD, None)
    if not is_ssh(connection):
        yield
    elif is_wanted and takes_commands(start):
        # Over that of its class, for this one connection.
        setattr(connection, METHOD, by_master(connection, start, mark, display))
        try:
            yield
        finally:
            delattr(connection, METHOD)
    else:
        if is_wanted:
            display.v(f'lvs.host does not use the process that holds the connection open: the connection has no {METHOD}(cmd, in_data, sudoable,'
                      ' checkrc) to stand in for', host=getattr(connection, 'host', None))
        with tried_once(connection):
            yield


def by_master(connection, start, mark, display):
    """Returns what stands in for the method, `start`, of a connection."""
    def bare_run(cmd, in_data, sudoable=True, checkrc=True):
        path = find_socket(cmd)
        output = None
        if in_data and path is not None and not needs_prompt(connection.become):
            display.vvv(f'SSH: EXEC by the master at {path}: {cmd[-1]!r}', host=connection.host)
            output = run(path, cmd[-1], in_data, connection.become, 2 + connection.get_option('timeout'))  # as Ansible waits for its ssh
        if output is None or not has_become(connection.become, output[1]):
            # Nothing was run, and ssh and Ansible know best how to say why.
            output = start(cmd, in_data, sudoable=sudoable, checkrc=checkrc and not in_data)
        if output[0] == 255 and mark in output[1]:
            raise Lost
        return output

    return bare_run


def is_ssh(connection):
    return connection.transport in ('ssh', 'ansible.builtin.ssh')


@contextlib.contextmanager
def tried_once(connection):
    """Has Ansible run each command of a connection once in the meantime."""
    try:
        retries = connection.get_option(RETRIES)
    except (AnsibleError, KeyError):
        # It is not Ansible's own ssh, but one such as Mitogen's.
        yield
        return
    connection.set_option(RETRIES, 0)
    try:
        yield
    finally:
        connection.set_option(RETRIES, retries)


def takes_commands(method):
    """Returns whether a method is there and can be called as Ansible calls it, as another version of Ansible may have another."""
    try:
        inspect.signature(method).bind(b'cmd', b'in_data', sudoable=True, checkrc=True)
    except (TypeError, ValueError):
        return False
    return True


def find_socket(cmd):
    """Returns where the master of an ssh command listens, or None where only ssh can tell or where it is no ssh."""
    paths = [word.partition(b'=')[2].strip(b'"') for word in cmd if word.startswith(b'ControlPath=')]
    if os.path.basename(cmd[0]) != b'ssh' or len(paths) != 1 or not paths[0].startswith(b'/') or b'%' in paths[0]:
        return None
    return paths[0]


def needs_prompt(become):
    return become is not None and bool(become.prompt)


def has_become(become, stdout):
    """Returns whether the command was run as the user that the task wants: those who bring that about say so first."""
    return become is None or not become.success or become.success.encode() in stdout


def run(path, command, data, become, patience):
    """Returns exit status, standard output and standard error, or None if nothing was run.

    It takes as long as it takes, but another user must have been become within some seconds.
    """
    with socket.socket(socket.AF_UNIX) as master, temporary() as stdout, temporary() as stderr:
        source, stdin = os.pipe()
        with open(source, 'rb') as source, open(stdin, 'wb') as stdin:
            try:
                master.connect(path)
                if not is_trusted(master):
                    return None
                said = messages(master, lambda: has_become(become, os.pread(stdout.fileno(), 1 << 16, 0)), patience)
                if not open_session(master, said, command, (source, stdout, stderr)):
                    return None
            except OSError:
                return None
            source.close()
            feed(stdin, data)
        # The master says no more when it has written all of the output.
        statuses = [struct.unpack_from('>I', content, 4)[0] for kind, content in said if kind == EXIT_MESSAGE and len(content) >= 8]
        if not statuses:
            raise Lost
        stdout.seek(0)
        stderr.seek(0)
        return statuses[0], stdout.read(), stderr.read()


def is_trusted(master):
    """Returns whether this user or root listens there: another user could have made a socket of that name."""
    if not hasattr(socket, 'SO_PEERCRED'):
        return False
    user = struct.unpack('3i', master.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize('3i')))[1]  # of pid, uid, gid
    return user in (0, os.geteuid())


def temporary():
    """Returns a file for output, in memory where the system has that: a disk may be full, and the answer would be lost."""
    if hasattr(os, 'memfd_create'):
        return open(os.memfd_create('lvs.host'), 'w+b')
    return tempfile.TemporaryFile(dir=constants.DEFAULT_LOCAL_TMP)


def open_session(master, said, command, files):
    """Has the master run a command with files as its standard ones; returns whether it does."""
    master.sendall(message(HELLO, VERSION))
    if next(said, None) != (HELLO, struct.pack('>I', VERSION)):
        return False
    # Reserved; no terminal, no X11, no agent, no subsystem; no name of a terminal; no environment behind the command.
    master.sendall(message(NEW_SESSION, 0, b'', 0, 0, 0, 0, NO_ESCAPE, b'', command))
    for file in files:
        socket.send_fds(master, [b'\0'], [file.fileno()])
    kind, unused = next(said, (None, b''))
    return kind == SESSION_OPENED


def feed(stdin, data):
    try:
        with stdin:
            stdin.write(data)
    except BrokenPipeError:
        pass  # The command ended without it; how, its status tells.


def message(kind, *fields):
    """Returns a message of numbers and strings."""
    content = b''.join(struct.pack('>I', field) if isinstance(field, int) else struct.pack('>I', len(field)) + field for field in (kind, *fields))
    return struct.pack('>I', len(content)) + content


def messages(master, may_wait, patience):
    """Yields what the master says, kind and content, until it has no more to say, and may be waited for."""
    while True:
        while not select.select([master], [], [], patience)[0]:
            if not may_wait():
                raise Lost(f'Timeout ({patience}s) waiting for privilege escalation')
        header = receive(master, 8)
        length, kind = struct.unpack('>II', header) if len(header) == 8 else (0, 0)
        if not 4 <= length <= LONGEST:
            return
        yield kind, receive(master, length - 4)


def receive(master, length):
    try:
        return master.recv(length, socket.MSG_WAITALL)
    except ConnectionError:
        return b''  # as where it has ended
