# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what a target prints: a module's answer between the marks of its run, and nothing else. No output may trip it, nor take long."""

from __future__ import annotations

import json
import signal

from ansible.module_utils.common.yaml import yaml_load
from ansible_collections.lvs.host.plugins.plugin_utils.script import STARTED

# What every module may answer beside what its page says.
COMMON = {'changed', 'diff', 'failed', 'msg', 'warnings'}

# Answers are five levels deep; Ansible goes through them by recursion.
DEEPEST = 20

# Characters of an output that are quoted in a failure.
QUOTED = 10000


class Output:
    """What a command with scripts in it printed, and how it ended; `word` is that of its run."""

    def __init__(self, word, output):
        self.word = word
        self.status = output['rc']
        # Line ends are those of a terminal where one was needed.
        self.stdout = output['stdout'].replace('\r\n', '\n')
        self.stderr = output['stderr']

    def has_begun(self):
        return f'{STARTED} {self.word}\n' in self.stdout

    def said(self, mark):
        """Returns what a script said under a mark, or None."""
        unused, found, rest = self.stdout.partition(f'LVS-HOST-{mark} {self.word} ')
        return rest.partition('\nLVS-HOST-')[0].strip() if found else None

    def answer(self, known, sent):
        """Returns the answer, or None if what stands between the marks is none; `sent` is what a terminal may have echoed."""
        rest = self.stdout.rpartition(f'{STARTED} {self.word}\n')[2]
        printed, unused, rest = rest.partition(f'\nLVS-HOST-END {self.word} ')
        lines = [line for line in printed.split('\n') if line.strip() not in ('', sent)]
        answer = read_object(lines[0]) if len(lines) == 1 else None
        status = rest.partition('\n')[0]
        return answer if answer is not None and is_answer(answer, known, status) else None

    def describe(self):
        """Returns how the binary or the shell ended and what it said last, for a person."""
        unused, ended, rest = self.stdout.rpartition(f'\nLVS-HOST-END {self.word} ')
        status = rest.partition('\n')[0] if ended else str(self.status)
        # As sh has it.
        name = next((number.name for number in signal.Signals if status == str(number + 128)), None)
        lines = (self.stderr or self.stdout)[-QUOTED:].strip().splitlines()
        said = [line for line in lines if line and not line.startswith('LVS-HOST-')][-2:] or ['it printed nothing']
        return f"{'was ended by ' + name if name else f'ended with status {status}'}: {'; '.join(said)}"

    def details(self):
        return {'module_stdout': self.stdout[-QUOTED:], 'module_stderr': self.stderr[-QUOTED:], 'rc': self.status}


def read_object(text):
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and is_shallow(value, DEEPEST) else None


def is_shallow(value, deepest):
    if not isinstance(value, (dict, list)):
        return True
    return deepest > 0 and all(is_shallow(item, deepest - 1) for item in (value.values() if isinstance(value, dict) else value))


def is_answer(answer, known, status):
    """Returns whether an object is what a module answers that ends with this status."""
    kinds = {'changed': bool, 'diff': list, 'failed': bool, 'msg': str, 'warnings': list}
    return ('changed' in answer and answer.keys() <= known | COMMON and status == str(int(answer.get('failed') is True))
            and all(isinstance(answer[key], kind) for key, kind in kinds.items() if key in answer)
            and all(isinstance(text, str) for text in answer.get('warnings', [])))


def documented(page):
    """Returns the keys of an answer that a module's page has."""
    return frozenset(yaml_load(page))
