"""What the runner makes of a process that listens where the master of an ssh connection would."""

import os
import resource
import socket
import struct
import threading

import pytest
from ansible.playbook.play_context import PlayContext
from ansible.plugins.connection import ssh
from ansible.plugins.loader import connection_loader
from ansible_collections.lvs.host.plugins.plugin_utils import multiplex

HELLO = multiplex.message(multiplex.HELLO, multiplex.VERSION)
OPENED = multiplex.message(multiplex.SESSION_OPENED, 1, 1)
MARK = b'has begun'


def listen(path, *says):
    """Lets a thread take one connection, say this, and end it."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve():
        with server, server.accept()[0] as client:
            for data in says:
                client.recv(1 << 16)
                client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            while client.recv(1 << 16):
                pass

    threading.Thread(target=serve, daemon=True).start()


def run(path):
    return multiplex.run(str(path), b'true', b'\n', None, 2)


@pytest.fixture
def little_memory():
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


@pytest.mark.parametrize('length', [0, 3, 256 * 1024 + 1, 0xffffffff])
def test_a_length_that_no_message_has_is_not_waited_for(tmp_path, length, little_memory):
    listen(tmp_path / 'a', struct.pack('>II', length, multiplex.HELLO))
    assert run(tmp_path / 'a') is None
    listen(tmp_path / 'b', HELLO, OPENED + struct.pack('>II', length, multiplex.EXIT_MESSAGE))
    with pytest.raises(multiplex.Lost):
        run(tmp_path / 'b')


@pytest.mark.parametrize('content', [b'', b'\0', b'\0' * 5])
def test_an_end_without_a_status_is_a_lost_connection(tmp_path, content):
    exit_message = struct.pack('>II', len(content) + 4, multiplex.EXIT_MESSAGE) + content
    listen(tmp_path / 'a', HELLO, OPENED + exit_message)
    with pytest.raises(multiplex.Lost):
        run(tmp_path / 'a')


@pytest.mark.skipif(os.geteuid() != 0, reason='needs root: only it can become another user')
@pytest.mark.parametrize('user, heard', [(2001, b''), (os.geteuid(), HELLO)])
def test_a_socket_of_another_user_is_told_nothing(tmp_path, user, heard):
    # The kernel remembers who listened (unix(7), SO_PEERCRED).
    ready, listening = os.pipe()
    child = os.fork()
    if not child:
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(tmp_path / 'a'))
        os.setresuid(user, user, user)
        server.listen()
        os.write(listening, b'1')
        client = server.accept()[0]
        os._exit(client.recv(100) != heard)
    os.read(ready, 1)
    assert run(tmp_path / 'a') is None
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class Display:
    """Keeps what is shown."""

    def __init__(self):
        self.lines = []

    def v(self, text, host=None):
        self.lines.append(f'-v {host}: {text}')

    def vvv(self, text, host=None):
        self.lines.append(f'-vvv {host}: {text}')


class Host:
    """A connection of Ansible's own plugin ssh, whose ssh is a program that notes each start; its master is a thread."""

    def __init__(self, path, says='echo by ssh'):
        self.display = Display()
        self.path = path
        self.program = path / 'ssh'
        self.program.write_text(f'#!/bin/sh\ncat >/dev/null\necho >>{path}/started\n{says}\n', encoding='utf-8')
        self.program.chmod(0o755)
        self.connection = connection_loader.get('ssh', PlayContext())
        self.connection.host = 'target'
        self.connection.set_options(direct={'host': 'target', 'reconnection_retries': 2})
        listen(path / 'master', HELLO, OPENED + multiplex.message(multiplex.EXIT_MESSAGE, 1, 7))

    def run(self, is_wanted=True):
        """Returns the status of a command as Ansible's plugin has it, with all its retries."""
        command = [str(self.program).encode(), b'-o', f'ControlPath={self.path}/master'.encode(), b'target', b'true']
        with multiplex.multiplexed(self.connection, is_wanted, MARK, self.display):
            return self.connection._run(command, b'\n')[0]

    def starts(self):
        started = self.path / 'started'
        return len(started.read_text(encoding='utf-8').splitlines()) if started.exists() else 0


def test_switched_on_the_master_runs_the_command_and_no_ssh_is_started(tmp_path):
    host = Host(tmp_path)
    assert host.run() == 7
    assert host.starts() == 0
    assert [line.split(' at ')[0] for line in host.display.lines] == ['-vvv target: SSH: EXEC by the master']


def test_switched_off_an_ssh_is_started_and_nothing_is_said(tmp_path):
    host = Host(tmp_path)
    assert host.run(is_wanted=False) == 0
    assert host.starts() == 1
    assert host.display.lines == []


def test_what_stands_in_for_the_method_is_gone_after_the_task(tmp_path):
    host = Host(tmp_path, 'exit 3')
    assert host.run() == 7
    assert host.run(is_wanted=False) == 3
    with pytest.raises(ZeroDivisionError), multiplex.multiplexed(host.connection, True, MARK, host.display):
        assert '_bare_run' in vars(host.connection)
        print(1 / 0)
    assert '_bare_run' not in vars(host.connection)


@pytest.mark.parametrize('other', [None, lambda self, command, data: None, 'text'], ids=['none', 'other parameters', 'not a method'])
def test_without_the_method_a_note_says_so_and_ssh_is_started(tmp_path, monkeypatch, other):
    host = Host(tmp_path)
    # What Ansible's own _run does without it is not known yet; here it starts the program.
    monkeypatch.setattr(ssh.Connection, '_run', lambda self, cmd, data: self._start(cmd, data, checkrc=False))
    monkeypatch.setattr(ssh.Connection, '_start', ssh.Connection._bare_run, raising=False)
    if other is None:
        monkeypatch.delattr(ssh.Connection, '_bare_run')
    else:
        monkeypatch.setattr(ssh.Connection, '_bare_run', other)
    assert host.run() == 0
    assert host.starts() == 1
    assert host.display.lines == ['-v target: lvs.host does not use the process that holds the connection open: the connection has no'
                                  ' _bare_run(cmd, in_data, sudoable, checkrc) to stand in for']


@pytest.mark.parametrize('says, is_wanted, starts', [
    ('echo has begun; exit 255', True, 1),
    ('exit 255', True, 3),
    ('echo has begun; exit 255', False, 1),
    ('exit 255', False, 1),
], ids=['begun', 'not begun', 'begun, switched off', 'not begun, switched off'])
def test_a_command_that_may_have_begun_is_not_tried_again(tmp_path, says, is_wanted, starts, monkeypatch):
    monkeypatch.setattr(ssh.time, 'sleep', lambda seconds: None)
    host = Host(tmp_path, says)
    (tmp_path / 'master').unlink()
    with pytest.raises(Exception, match='connection ended|Failed to connect|Data could not be sent'):
        host.run(is_wanted)
    assert host.starts() == starts
    assert host.connection.get_option('reconnection_retries') == 2


def test_a_connection_of_mitogen_is_left_alone_with_a_note():
    """It says that it is ssh, and has neither the method, nor its option, nor a host."""
    class Connection:
        transport = 'ssh'

        def get_option(self, name):
            raise KeyError(name)

    display = Display()
    with multiplex.multiplexed(Connection(), True, MARK, display):
        pass
    assert display.lines[0].startswith('-v None: lvs.host does not use the process')


def test_a_connection_that_is_no_ssh_is_left_alone(tmp_path):
    display, connection = Display(), connection_loader.get('local', PlayContext())
    with multiplex.multiplexed(connection, True, MARK, display):
        assert '_bare_run' not in vars(connection)
    assert display.lines == []
