# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a binary that stays on the target: one command a task, two when the target does not have it yet."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import re
import shlex

from ansible.plugins.action import ActionBase

BIN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'bin')

# -O: what another user could have put there is never run. exec: the exit status is the binary's own.
FIND = '''f={directory}/{name}; if [ -x "$f" ] && [ -O "$f" ]; then exec "$f" -; fi; echo "LVS-HOST-MISS $(uname -m)"; exit 127'''

# The task's arguments are the first line of standard input and the binary is the rest. A failure reads that rest to its end,
# or ssh would report a broken pipe instead. mv makes the file appear whole, so that tasks may install it at the same time.
INSTALL = '; '.join((
    'umask 077',
    'd={directory}; t="$d/.{name}.$$"; trap \'rm -f "$t"\' EXIT',
    'fail() {{ cat >/dev/null; echo "LVS-HOST-FAIL $1"; exit 1; }}',
    'IFS= read -r arguments',
    'case $d in /*) ;; *) fail "there is no home directory for $d" ;; esac',
    'm=$(mkdir -p "$d" 2>&1 && chmod 700 "$d" 2>&1) || fail "$m"',
    '[ -O "$d" ] || fail "the directory $d belongs to another user"',
    'm=$({{ cat >"$t"; }} 2>&1) || fail "$m"',
    '[ "$(wc -c <"$t")" -eq {size} ] || fail "the file arrived with another size"',
    'if command -v sha256sum >/dev/null; then'
    ' [ "$(sha256sum <"$t" | cut -c1-64)" = {sha256} ] || fail "the file arrived with another hash"; fi',
    'm=$(chmod 700 "$t" 2>&1 && mv -f "$t" "$d/{name}" 2>&1) || fail "$m"',
    'printf "%s\\n" "$arguments" | "$d/{name}" -',
))


class Failure(Exception):
    """A sentence for the person who reads the result, and further keys of that result."""

    def __init__(self, msg, **details):
        super().__init__(msg)
        self.details = details


def read_builds(name):
    """Returns what the manifest has for a module: architecture to file, size and sha256."""
    path = os.path.join(BIN, 'MANIFEST.json')
    try:
        with open(path, encoding='utf-8') as file:
            manifest = json.load(file)
        return {file[len(name) + 1:]: dict(entry, file=file) for file, entry in manifest.items() if file.startswith(name + '-')}
    except (OSError, ValueError) as error:
        raise Failure(f'cannot read the list of binaries, {path}, of this collection: {error}') from error


def read_binary(build):
    """Returns the bytes of a build, never others than the manifest promises."""
    path = os.path.join(BIN, build['file'])
    try:
        with open(path, 'rb') as file:
            content = file.read()
    except OSError as error:
        raise Failure(f'cannot read the binary {path} of this collection: {error}') from error
    if hashlib.sha256(content).hexdigest() != build['sha256']:
        raise Failure(f'cannot use the binary {path}: it is not the one that MANIFEST.json lists, so install the collection again')
    return content


def read_answer(output):
    """Returns the last line that is a JSON object, for a login shell may print before it, or None."""
    for line in reversed(output['stdout'].split('\n')):
        try:
            answer = json.loads(line) if line.startswith('{') else None
        except ValueError:
            continue
        if isinstance(answer, dict):
            return answer
    return None


def read_mark(mark, output):
    found = re.search(rf'^LVS-HOST-{mark} (.*?)\s*\Z', output['stdout'], re.MULTILINE | re.DOTALL)
    return found.group(1) if found else None


class Runner(ActionBase):
    TRANSFERS_FILES = False
    BINARY = ''
    ARGUMENTS = None

    def run(self, tmp=None, task_vars=None):
        self._supports_check_mode = True
        self._supports_async = False
        result = super().run(tmp, task_vars)
        try:
            result.update(self._answer())
        except Failure as failure:
            result.update(failure.details, failed=True, msg=str(failure))
        return result

    def _answer(self):
        if not self._connection.has_pipelining:
            raise Failure(f'cannot run {self.BINARY} over the connection {self._connection.transport}, which carries no standard input: use ssh')
        builds = read_builds(self.BINARY)
        place = {'name': self.BINARY, 'directory': self._directory(builds)}
        find, arguments = FIND.format(**place), self._arguments()
        output = self._shell(find, arguments)
        # The binary ends with 0 or 1 and an answer. Anything else is a file that is damaged: replace it, once. 1 without an answer
        # is become that was refused.
        if read_answer(output) is None and read_mark('MISS', output) is None and output['rc'] != 1:
            output = self._shell('rm -f {directory}/{name}; '.format(**place) + find, arguments)
        machine = read_mark('MISS', output) if read_answer(output) is None else None
        if machine is not None:
            output = self._install(builds, machine, place, arguments)
        answer = read_answer(output)
        if answer is None:
            said = (output['stderr'] or output['stdout']).strip().splitlines()[-2:] or ['it printed nothing']
            raise Failure(f"cannot get an answer from {self.BINARY}, which ended with status {output['rc']}: {'; '.join(said)}",
                          module_stdout=output['stdout'], module_stderr=output['stderr'], rc=output['rc'])
        return answer

    def _install(self, builds, machine, place, arguments):
        if machine not in builds:
            raise Failure(f"cannot run {self.BINARY} on {machine}: this collection has it for {', '.join(sorted(builds)) or 'no architecture'}")
        build = builds[machine]
        output = self._shell(INSTALL.format(**place, **build), arguments + read_binary(build))
        why = read_mark('FAIL', output)
        if why is not None:
            raise Failure(f'cannot install {self.BINARY} on the target: {why}')
        return output

    def _arguments(self):
        task = self._task
        arguments = dict(self.ARGUMENTS.check(task.args), _ansible_check_mode=task.check_mode, _ansible_diff=task.diff, _ansible_no_log=bool(task.no_log),
                         _ansible_verbosity=self._display.verbosity)
        # str: vaulted values and dates.
        return json.dumps(arguments, default=str).encode() + b'\n'

    def _directory(self, builds):
        """Returns the cache of the user who executes: in a directory of the user who logs in, that user could become root."""
        user = None
        if self._connection.become:
            user = self.get_become_option('become_user')
        elif self._connection.transport in ('local', 'ansible.builtin.local'):
            # HOME may be that of the user who called sudo.
            try:
                user = pwd.getpwuid(os.geteuid()).pw_name
            except KeyError:
                pass  # a container without an entry for its user
        # Quotes would keep the shell from expanding the home, so only a plain name is taken; else become's HOME decides.
        home = '~' + user if user and re.fullmatch(r'[A-Za-z0-9_][A-Za-z0-9._-]*', user) else '~'
        content = ' '.join(sorted(build['sha256'] for build in builds.values()))
        return f'{home}/.cache/lvs-host/{hashlib.sha256(content.encode()).hexdigest()[:16]}'

    def _shell(self, script, data):
        command = f'{self._compute_environment_string()} /bin/sh -c {shlex.quote(script)}'.strip()
        return self._low_level_execute_command(command, in_data=data)
