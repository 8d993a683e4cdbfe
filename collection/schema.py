#!/usr/bin/env python3
# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes of each module's page the JSON Schema that its binary prints with `--schema`, and tells by with `--help`.

  collection/schema.py          writes modules/src/NOUN.json
  collection/schema.py --check  says which of them is not what the page says
"""

from __future__ import annotations

import json
import re
import runpy
import sys
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parent.parent
PAGES = PROJECT / 'collection/plugins/modules'
# As the binaries read scalars: see lib/src/ansible/scalar.rs.
SCALARS = {
    'text': {'type': ['string', 'number', 'boolean']},
    'flag': {'enum': [True, False, 1, 0, *'true false yes no on off t f y n 1 0'.split()]},
    'number': {'type': ['integer', 'string'], 'pattern': '^ *[0-9]+ *$'},
}
KINDS = {'str': 'text', 'path': 'text', 'bool': 'flag', 'int': 'number'}


def schema(page):
    """Returns the schema of a module's arguments."""
    return {
        '$schema': 'https://json-schema.org/draft/2020-12/schema',
        'title': f'lvs.host.{page["module"]}',
        'description': plain(page['short_description']),
        **fields(page['options']),
        # What Ansible itself adds, such as _ansible_check_mode.
        'patternProperties': {'^_ansible_': {}},
        '$defs': SCALARS,
    }


def fields(options):
    required = [name for name, option in options.items() if option.get('required')]
    return {'type': 'object', 'properties': {name: value(option) for name, option in options.items()}, 'additionalProperties': False} | (
        {'required': required} if required else {})


def value(option):
    described = {'description': plain(option['description'])} | {key: option[key] for key in ('default',) if key in option}
    return described | kind(option['type'], option)


def kind(name, option):
    if 'choices' in option:
        return {'enum': option['choices']}
    if name == 'list':
        return {'type': 'array', 'items': kind(option['elements'], {key: option[key] for key in ('suboptions',) if key in option})}
    if name == 'dict':
        return fields(option['suboptions']) if 'suboptions' in option else {'type': 'object'}
    return {'$ref': f'#/$defs/{KINDS[name]}'} if name in KINDS else {}


def plain(text):
    """Returns a description without the marks that pages have for fonts and links."""
    text = '\n'.join([text] if isinstance(text, str) else text)
    return re.sub(r'\b(?:RV|[BCEIMOPUV])\(([^)]*)\)', r'\1', text)


def main(check):
    different = []
    for path in sorted(PAGES.glob('*.py')):
        page = yaml.safe_load(runpy.run_path(path)['DOCUMENTATION'])
        text = json.dumps(schema(page), indent=1, ensure_ascii=False) + '\n'
        kept = PROJECT / 'modules/src' / f'{path.stem}.json'
        if check and (not kept.exists() or kept.read_text() != text):
            different.append(str(kept.relative_to(PROJECT)))
        elif not check:
            kept.write_text(text)
    if different:
        sys.exit(f'not what the pages say: {", ".join(different)}; write them anew with collection/schema.py')


if __name__ == '__main__':
    main(sys.argv[1:] == ['--check'])
