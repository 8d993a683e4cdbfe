#!/usr/bin/env python3
# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Puts the collection and its binaries together, ready for ansible-playbook and `ansible-galaxy collection build`."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import sys
from pathlib import Path

import provenance

HERE = Path(__file__).resolve().parent
SKIPPED = {'__pycache__', 'assemble.py', 'provenance.py', 'repack.py', 'schema.py', 'tests'}


def main():
    options = parse()
    files = sources()
    files.update(group(files))
    parts = provenance.parts()
    files[Path('NOTICES.txt')] = (provenance.notices(parts).encode(), 0o644)
    files.update(binaries(options.modules, parts))
    write(options.out, files)
    print(f'{options.out}:', *sorted(path.name for path in files if path.parts[:2] == ('plugins', 'bin') and path.suffix != '.json'))


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--modules', nargs='+', type=Path, required=True, metavar='modules-ARCH',
                        help='the directories of built modules, one for each architecture, named as uname -m prints it')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR',
                        help='where the collection goes; ends with ansible_collections/lvs/host to be usable in place')
    options = parser.parse_args()
    if options.out.exists() and any(options.out.iterdir()) and not (options.out / 'galaxy.yml').exists():
        parser.error(f'{options.out} is no collection: what is in it would be removed')
    return options


def sources():
    """Returns the files of this directory and the playbooks, path in the collection to content and mode."""
    files = {}
    for path in HERE.rglob('*'):
        relative = path.relative_to(HERE)
        if path.is_file() and not SKIPPED.intersection(relative.parts):
            files[relative] = (path.read_bytes(), 0o644)
    playbooks = HERE.parent / 'playbooks'
    for path in playbooks.rglob('*'):
        if path.suffix in ('.yml', '.md', '.svg'):
            files[Path('playbooks') / path.relative_to(playbooks)] = (path.read_bytes(), 0o644)
    license_file = HERE.parent / 'LICENSE'
    if license_file.is_file():
        files[Path('LICENSE')] = (license_file.read_bytes(), 0o644)
    return files


def names():
    """Returns the names of the modules: each has a page."""
    return sorted(path.stem for path in (HERE / 'plugins' / 'modules').glob('*.py'))


def group(files):
    """Returns the file that says what the collection is for Ansible, with a group of all modules, by which a play gives them defaults."""
    path = Path('meta', 'runtime.yml')
    content, mode = files[path]
    lines = ['action_groups:', '  host:', *(f'    - {name}' for name in names())]
    return {path: (content + '\n'.join(lines).encode() + b'\n', mode)}


def binaries(modules, parts):
    """Returns one binary a module and architecture, each with the bill of what is in it, and the list that the action plugins read."""
    files, manifest = {}, {}
    for directory in modules:
        arch = directory.name.removeprefix('modules-')
        for name in names():
            path = directory / name
            if not path.is_file():
                sys.exit(f'there is no {path}: build the modules for {arch} first')
            content = path.read_bytes()
            bill = as_json(provenance.bill(parts, f'{name}-{arch}', version(), content))
            files[Path('plugins', 'bin', f'{name}-{arch}')] = (content, 0o755)
            files[Path('plugins', 'bin', f'{name}-{arch}.cdx.json')] = (bill, 0o644)
            manifest[f'{name}-{arch}'] = {'sha256': sha256(content), 'size': len(content), 'sbom_sha256': sha256(bill)}
    files[Path('plugins', 'bin', 'MANIFEST.json')] = (as_json(manifest), 0o644)
    return files


def version():
    return re.search(r'(?m)^version: (.*)$', (HERE / 'galaxy.yml').read_text())[1]


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def as_json(value):
    return json.dumps(value, indent=2, sort_keys=True).encode() + b'\n'


def write(out, files):
    """Makes `out` hold these files and no others. A file that is right already is not touched."""
    for relative, (content, mode) in sorted(files.items()):
        path = out / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.is_symlink() or path.read_bytes() != content:
            path.unlink(missing_ok=True)
            path.write_bytes(content)
        if path.stat().st_mode & 0o7777 != mode:
            path.chmod(mode)
    wanted = {out / relative for relative in files}
    kept = {parent for path in wanted for parent in path.parents}
    for path in sorted(out.rglob('*'), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if path not in kept:
                shutil.rmtree(path)
        elif path not in wanted:
            path.unlink()


if __name__ == '__main__':
    main()
