"""Enters a host that lab/host made, and loses all output where input is left over.

So does podman's service, which docker can be told to use, when a command ends before it has read what was sent.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: engine
short_description: loses the output where input is left over
description: As a container engine does.
author: lvs.host founders
options:
  directory:
    description: Where lab/host made the host.
    vars: [{name: directory}]
"""


class Connection(ConnectionBase):
    transport = 'engine'
    has_pipelining = True

    def _connect(self):
        return self

    def exec_command(self, cmd, in_data=None, sudoable=True):
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        first_process = Path(self.get_option('directory'), 'pid').read_text(encoding='utf-8').split()[0]
        with tempfile.TemporaryFile() as stdin:
            stdin.write(in_data or b'')
            stdin.seek(0)
            done = subprocess.run(['nsenter', '--target', first_process, '--all', '--', '/bin/sh', '-c', cmd],
                                  stdin=stdin, capture_output=True, check=False)
            # The command has moved it too.
            if stdin.tell() != len(in_data or b''):
                return 0, b'', b'connection reset by peer'
        return done.returncode, done.stdout, done.stderr

    def put_file(self, in_path, out_path):
        raise NotImplementedError

    def fetch_file(self, in_path, out_path):
        raise NotImplementedError

    def close(self):
        pass
