"""What the runner makes of a process that listens where the master of an ssh connection would."""

import os
import resource
import socket
import struct
import threading

import pytest
from ansible_collections.lvs.host.plugins.plugin_utils import master

HELLO = master.message(master.HELLO, master.VERSION)
OPENED = master.message(master.SESSION_OPENED, 1, 1)


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
    return master.run(str(path), b'true', b'\n', None, 2)


@pytest.fixture
def little_memory():
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


@pytest.mark.parametrize('length', [0, 3, 256 * 1024 + 1, 0xffffffff])
def test_a_length_that_no_message_has_is_not_waited_for(tmp_path, length, little_memory):
    listen(tmp_path / 'a', struct.pack('>II', length, master.HELLO))
    assert run(tmp_path / 'a') is None
    listen(tmp_path / 'b', HELLO, OPENED + struct.pack('>II', length, master.EXIT_MESSAGE))
    with pytest.raises(master.Lost):
        run(tmp_path / 'b')


@pytest.mark.parametrize('content', [b'', b'\0', b'\0' * 5])
def test_an_end_without_a_status_is_a_lost_connection(tmp_path, content):
    exit_message = struct.pack('>II', len(content) + 4, master.EXIT_MESSAGE) + content
    listen(tmp_path / 'a', HELLO, OPENED + exit_message)
    with pytest.raises(master.Lost):
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
