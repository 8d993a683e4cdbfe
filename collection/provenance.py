#!/usr/bin/env python3
# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Says what is linked into the binaries, and under which licenses: for the collection, and for `--licenses` of each binary.

  collection/provenance.py list       one line each, as lib/src/ansible/licenses.txt has it
  collection/provenance.py notices    the texts of the licenses
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
TARGETS = ('x86_64-unknown-linux-musl', 'aarch64-unknown-linux-musl')
LICENSE_FILE = re.compile(r'(?i)(licen[sc]e|copying|copyright|notice|unlicense)')
MIT = """Copyright (c) {}

Permission is hereby granted, free of charge, to any person obtaining
a copy of this software and associated documentation files (the
"Software"), to deal in the Software without restriction, including
without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of the Software, and to
permit persons to whom the Software is furnished to do so, subject to
the following conditions:

The above copyright notice and this permission notice shall be
included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND,
EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT.
IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY
CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT,
TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE
SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


class Part:
    """Something that is linked into the binaries."""

    def __init__(self, name, version, license, texts):
        self.name, self.version, self.texts = name, version, texts
        # Crates of old wrote a slash for OR.
        self.license = license.replace('/', ' OR ')

    def __str__(self):
        return f'{self.name} {self.version}'.strip()


def output(*command):
    return subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout


def parts():
    """Returns the crates that are linked into the binaries, and what Rust itself brings along."""
    crates = linked()
    metadata = json.loads(output('cargo', 'metadata', '--locked', '--offline', '--format-version', '1'))
    found = [
        Part(package['name'], package['version'], package['license'], texts(Path(package['manifest_path']).parent))
        for package in metadata['packages'] if (package['name'], package['version']) in crates and package['source']
    ]
    return sorted(found, key=lambda part: (part.name, part.version)) + rust()


def linked():
    """Returns name and version of every crate in the binaries: for each target, without what only runs when they are built."""
    tree = ('cargo', 'tree', '--locked', '--offline', '--package', 'lvs-host-modules', '--edges', 'normal,no-proc-macro', '--prefix', 'none')
    lines = '\n'.join(output(*tree, '--target', target) for target in TARGETS)
    return set(re.findall(r'(?m)^(\S+) v(\S+)', lines))


def texts(directory):
    """Returns the texts of the licenses in the directory of a crate."""
    return [path.read_text() for path in sorted(directory.iterdir()) if path.is_file() and LICENSE_FILE.match(path.name)]


def rust():
    return [Part('Rust standard library', '', 'MIT OR Apache-2.0', [MIT.format('The Rust Project Contributors')]),
            Part('musl libc', '', 'MIT', [MIT.format('2005-2020 Rich Felker, et al.')])]


def listed(found):
    return ''.join(f'{part}: {part.license}\n' for part in found)


def notices(found):
    """Returns each text once, under the names of those that come with it."""
    by_text = {}
    for part in found:
        for text in part.texts:
            by_text.setdefault(text.strip(), []).append(str(part))
    heads = ['The binaries of this collection are linked with:\n\n' + listed(found)]
    return f'\n{"=" * 72}\n\n'.join(heads + [f'{", ".join(names)}:\n\n{text}\n' for text, names in by_text.items()])


def bill(found, binary, version, content):
    """Returns what is in one binary, in the form of CycloneDX 1.5 (https://cyclonedx.org/docs/1.5/json/)."""
    def component(part):
        return {'type': 'library', 'name': part.name, 'licenses': [{'expression': part.license}]} | (
            {'version': part.version, 'purl': f'pkg:cargo/{part.name}@{part.version}'} if part.version else {})
    whole = {'type': 'application', 'name': binary, 'version': version, 'licenses': [{'expression': 'GPL-3.0-or-later'}],
             'hashes': [{'alg': 'SHA-256', 'content': hashlib.sha256(content).hexdigest()}]}
    return {'bomFormat': 'CycloneDX', 'specVersion': '1.5', 'version': 1, 'metadata': {'component': whole},
            'components': [component(part) for part in found]}


if __name__ == '__main__':
    commands = {'list': listed, 'notices': notices}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    sys.stdout.write(commands[sys.argv[1]](parts()))
