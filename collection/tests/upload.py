"""Looks whether a damaged upload is refused in each shell, with each way to tell a hash: collection/tests/upload.py

What a target's shell does with an upload is run here, in homes of their own, as the user who runs this.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / 'target/collections'))

from ansible_collections.lvs.host.plugins.plugin_utils import script  # noqa: E402
from ansible_collections.lvs.host.plugins.plugin_utils.binary import read_binaries  # noqa: E402

SHELLS = [['dash'], ['bash', '--posix'], ['busybox', 'sh']]
BINARY = read_binaries('sysctl')[os.uname().machine]
CONTENT = BINARY.read()
MIDDLE = len(CONTENT) // 2

# What arrives, and what is said of it with a hash and without one.
UPLOADS = {
    'whole': (CONTENT, 'cannot use option nothing', 'cannot use option nothing'),
    'short': (CONTENT[:-1], 'it arrived with another size', 'it arrived with another size'),
    'one bit changed': (CONTENT[:MIDDLE] + bytes([CONTENT[MIDDLE] ^ 1]) + CONTENT[MIDDLE + 1:], 'it arrived with another hash', None),
}


def upload(shell, tool, content):
    """Returns what the script says of an upload, and what it leaves in the cache."""
    with tempfile.TemporaryDirectory() as home:
        text = script.install('sysctl', BINARY, CONTENT, tool, [f'{home}/.cache/lvs-host'], '')
        done = subprocess.run([*shell, '-c', text], input=b'{"nothing": 1}\n' + content, capture_output=True, check=False)
        return (done.stdout + done.stderr).decode(), [file.name for file in Path(home, '.cache/lvs-host').iterdir()]


def complaints():
    tools = [tool for tool in script.HASHES if shutil.which(tool.split()[0])]
    print(f"Uploads checked with {', '.join(tools)} and with nothing")
    if len(tools) < 3:
        yield 'there are fewer than three tools that tell a hash'
    for shell in SHELLS:
        for tool in [*tools, '']:
            for name, (content, *says) in UPLOADS.items():
                expected = says[not tool]
                said, left = upload(shell, tool, content)
                if expected and expected not in said:
                    yield f'{shell[0]}, {tool or "no tool"}, {name}: {said}'
                if expected and left != ([BINARY.name] if name == 'whole' else []):
                    yield f'{shell[0]}, {tool or "no tool"}, {name}: the cache has {left}'


if __name__ == '__main__':
    found = list(complaints())
    print(*found, sep='\n', end='')
    sys.exit(bool(found))
