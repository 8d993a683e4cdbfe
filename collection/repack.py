#!/usr/bin/env python3
# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packs what `ansible-galaxy collection build` made once more, so that the same files give the same bytes.

It leaves the time of the build in the archive, and lists the files as the file system happens to have them.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path


def main(path):
    members = read(path)
    sort_the_list(members)
    write(path, members)


def read(path):
    """Returns the archive's members, name to header and content."""
    with tarfile.open(path) as archive:
        return {member.name: (member, archive.extractfile(member).read() if member.isfile() else b'') for member in archive}


def sort_the_list(members):
    """Sorts FILES.json, the hash of which is in MANIFEST.json."""
    files = json.loads(members['FILES.json'][1])
    files['files'].sort(key=lambda entry: entry['name'])
    listed = replace(members, 'FILES.json', files)
    manifest = json.loads(members['MANIFEST.json'][1])
    manifest['file_manifest_file']['chksum_sha256'] = hashlib.sha256(listed).hexdigest()
    replace(members, 'MANIFEST.json', manifest)


def replace(members, name, data):
    content = json.dumps(data, indent=True).encode()
    members[name] = (members[name][0], content)
    return content


def write(path, members):
    packed = io.BytesIO()
    with gzip.GzipFile(filename='', fileobj=packed, mode='wb', mtime=0) as stream, \
            tarfile.open(fileobj=stream, mode='w', format=tarfile.GNU_FORMAT) as archive:
        for name, (member, content) in sorted(members.items()):
            member.mtime, member.uid, member.gid, member.uname, member.gname = 0, 0, 0, '', ''
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    Path(path).write_bytes(packed.getvalue())


if __name__ == '__main__':
    main(sys.argv[1])
