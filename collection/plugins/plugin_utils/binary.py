# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The binaries that this collection brings along, one for each module and machine."""

from __future__ import annotations

import hashlib
import json
import os

from ansible_collections.lvs.host.plugins.plugin_utils.failure import Failure

DIRECTORY = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'bin')


class Binary:
    """A module as this collection has it for one machine, as the manifest describes it."""

    def __init__(self, module, machine, size, sha256):
        self.machine = machine
        self.size = size
        self.sha256 = sha256
        self.path = os.path.join(DIRECTORY, f'{module}-{machine}')
        # What it is called on a target: two contents never share a name.
        self.name = f'{module}-{sha256[:16]}'

    def read(self):
        """Returns the content, never another one than the manifest promises."""
        try:
            with open(self.path, 'rb') as file:
                content = file.read()
        except OSError as error:
            raise Failure(f'cannot read the binary {self.path} of this collection: {error}') from error
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise Failure(f'cannot use the binary {self.path}: it is not the one that MANIFEST.json lists, so install the collection again')
        return content


def read_binaries(module):
    """Returns what the manifest has for a module, machine (as uname -m prints it) to binary."""
    path = os.path.join(DIRECTORY, 'MANIFEST.json')
    try:
        with open(path, encoding='utf-8') as file:
            manifest = json.load(file)
        files = {file[len(module) + 1:]: entry for file, entry in manifest.items() if file.startswith(module + '-')}
        return {machine: Binary(module, machine, entry['size'], entry['sha256']) for machine, entry in files.items()}
    except (OSError, ValueError, KeyError) as error:
        raise Failure(f'cannot read the list of binaries, {path}, of this collection: {error}') from error
