"""What the tests of the scripts have in common: a small program for a binary, and shells that run the scripts as a target does."""

import hashlib
import os
import shutil
import subprocess
from types import SimpleNamespace

from ansible_collections.lvs.host.plugins.plugin_utils import script

SHELLS = {name: [shutil.which(name) or name, *more] for name, *more in (('dash',), ('bash', '--posix'), ('busybox', 'sh'))}
WORD = '0123456789abcdef'
CONTENT = b'#!/bin/sh\necho "$0 $* $(cat)"\n'
STARTED = f'LVS-HOST-RUN {WORD}\n'


def binary(content):
    digest = hashlib.sha256(content).hexdigest()
    return SimpleNamespace(name=f'sysctl-{digest[:16]}', size=len(content), sha256=digest)


BINARY = binary(CONTENT)


def run(shell, text, data=b'', user=0, environment=None, before=()):
    """Returns what a script prints in a shell, as a user of this number."""
    become = [shutil.which('setpriv'), f'--reuid={user}', f'--regid={user}', '--clear-groups', '--'] if user else []
    surroundings = {'PATH': os.environ['PATH'], 'HOME': '/nowhere'} | (environment or {})
    done = subprocess.run([*before, *become, *SHELLS[shell], '-c', text], input=data, capture_output=True, env=surroundings, timeout=60, check=False)
    return (done.stdout + done.stderr).decode()


def look(home, arguments='{}', places=()):
    return script.look(WORD, {os.uname().machine: BINARY}, [*places, f'{home}/.cache/lvs-host'], arguments, '')


def install(home, places=(), environment=''):
    return script.install(WORD, 'sysctl', BINARY, home, [str(place) for place in places], environment)


def upload(content=CONTENT, arguments=b'{}'):
    return arguments + b'\n' + content
