# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a binary that stays on the target: one command a task, two when the target does not have it yet."""

from __future__ import annotations

import json
import os
import pwd
import re
import shlex
import signal

from ansible.plugins.action import ActionBase
from ansible_collections.lvs.host.plugins.plugin_utils import script
from ansible_collections.lvs.host.plugins.plugin_utils.binary import read_binaries
from ansible_collections.lvs.host.plugins.plugin_utils.failure import Failure
from ansible_collections.lvs.host.plugins.plugin_utils.master import is_ssh, prefer_master


def read_answer(output):
    """Returns the last line that is a module's answer, for a login shell may print before it, or None."""
    for line in reversed(output['stdout'].split('\n')):
        try:
            answer = json.loads(line) if line.startswith('{') else None
        except ValueError:
            continue
        # What a terminal echoes of the arguments is an object as well.
        if isinstance(answer, dict) and 'changed' in answer:
            return {key: value for key, value in answer.items() if not key.startswith('_ansible_')}
    return None


def read_mark(mark, output):
    """Returns what a script said under a mark, or None."""
    found = re.search(rf'^LVS-HOST-{mark}\b[ ]*(.*?)\s*(?=^\{{|^LVS-HOST-|\Z)', output['stdout'], re.MULTILINE | re.DOTALL)
    return found.group(1) if found else None


def describe(output):
    """Returns how a command ended and what it said last, for a person."""
    status = output['rc']
    # As sh has it.
    name = next((number.name for number in signal.Signals if number == status - 128), None)
    lines = (output['stderr'] or output['stdout']).strip().splitlines()
    said = [line for line in lines if not line.startswith('LVS-HOST-')][-2:] or ['it printed nothing']
    return f"{'was ended by ' + name if name else f'ended with status {status}'}: {'; '.join(said)}"


class Runner(ActionBase):
    """An action that is a module of this collection: BINARY names it, ARGUMENTS says what it takes."""

    TRANSFERS_FILES = False
    BINARY = ''
    ARGUMENTS = None

    def run(self, tmp=None, task_vars=None):
        self._supports_check_mode = True
        self._supports_async = True  # refused below, with the reason
        result = super().run(tmp, task_vars)
        try:
            result.update(self._answer(task_vars or {}))
        except Failure as failure:
            result.update(failure.details, failed=True, msg=str(failure))
        return result

    def _answer(self, task_vars):
        if self._task.async_val:
            raise Failure(f'cannot run {self.BINARY} with async, which needs Python on the target: a task takes milliseconds, so remove async and poll')
        prefer_master(self._connection, script.STARTED.encode(), self._display)
        may_upload = self._may_upload(task_vars)
        binaries = read_binaries(self.BINARY)
        arguments = self._arguments()
        output = self._look(binaries, may_upload, arguments)
        answer = read_answer(output)
        missing = read_mark('MISS', output)
        if answer is None and missing is not None:
            # Behind that line a terminal may be told how to look.
            machine, unused, tool = missing.splitlines()[0].partition(' ')
            binary = self._choose(binaries, machine, may_upload)
            output = self._install(binary, tool, arguments.encode() + b'\n')
            answer = read_answer(output)
        elif answer is None and output['rc'] != 0 and script.STARTED not in output['stdout']:
            raise Failure(f'cannot run {self.BINARY}: the shell on the target {describe(output)}', rc=output['rc'])
        elif answer is None and may_upload:
            # The file may be damaged. The task is not tried again, since it may have been at work; the next one brings a new file.
            self._shell('rm -f ' + ' '.join(f'{self._cache()}/{binary.name}' for binary in binaries.values()))
        if answer is None:
            raise Failure(f'cannot get an answer from {self.BINARY}, which may have changed something: it {describe(output)}',
                          module_stdout=output['stdout'], module_stderr=output['stderr'], rc=output['rc'])
        return answer

    def _may_upload(self, task_vars):
        """Returns whether this collection may put binaries on the target."""
        choice = self._templar.template(task_vars.get('lvs_host_upload', 'auto'))
        if choice not in ('auto', 'never'):
            raise Failure(f'cannot use lvs_host_upload {choice}: it is auto or never')
        return choice == 'auto'

    def _look(self, binaries, may_upload, arguments):
        directories = [script.PACKAGED] + ([self._cache()] if may_upload else [])
        environment = self._environment()
        # What is hidden stays out of command lines, which other users can read.
        if self._task.no_log or len(arguments) > script.INLINE:
            return self._shell(script.look(binaries, directories, '-', environment), arguments.encode())
        return self._shell(script.look(binaries, directories, arguments, environment))

    def _choose(self, binaries, machine, may_upload):
        if machine not in binaries:
            raise Failure(f"cannot run {self.BINARY} on {machine}: this collection has it for {', '.join(sorted(binaries)) or 'no architecture'}")
        binary = binaries[machine]
        if not may_upload:
            raise Failure(f'cannot run {self.BINARY}: lvs_host_upload is never, and the target has no {script.PACKAGED}/{binary.name} that belongs to root,'
                          f' that nobody else can write to and that may be executed: put plugins/bin/{self.BINARY}-{machine} of this collection there')
        return binary

    def _install(self, binary, tool, arguments):
        content = binary.read()
        environment = self._environment()
        output = self._shell(script.install(self.BINARY, binary, content, tool, self._places(), environment), arguments + content)
        why = read_mark('FAIL', output)
        if why is not None:
            raise Failure(f'cannot put {self.BINARY} on the target: {why}; make room or set ansible_remote_tmp to a directory that can take it,'
                          f' or install {script.PACKAGED}/{binary.name} there')
        note = read_mark('NOTE', output)
        if note is not None:
            self._display.warning(f'{self._task.delegate_to or self._play_context.remote_addr} cannot keep {self.BINARY},'
                                  f' so each task takes it along ({note}); {script.PACKAGED}/{binary.name} would be used')
        return output

    def _arguments(self):
        """Returns what the binary reads: the task's arguments, which ARGUMENTS has checked, and Ansible's wishes; one line of JSON."""
        task = self._task
        arguments = dict(self.ARGUMENTS.check(task.args), _ansible_check_mode=task.check_mode, _ansible_diff=task.diff,
                         _ansible_no_log=bool(task.no_log), _ansible_verbosity=self._display.verbosity)
        # str: vaulted values and dates. Each shell that a quote passes would need more quotes for it.
        return json.dumps(arguments, default=str).replace("'", r'\u0027')

    def _environment(self):
        """Returns the task's environment for sh, which the scripts are for; the user's own shell may be fish."""
        environment = {}
        self._compute_environment_string(environment)
        return ' '.join(f'{name}={shlex.quote(str(value))}' for name, value in environment.items())

    def _home(self):
        """Returns, for a shell, the home of the user who executes: in one of the user who logs in, that user could become root."""
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
        return '~' + user if user and re.fullmatch(r'[A-Za-z0-9_][A-Za-z0-9._-]*', user) else '~'

    def _cache(self):
        return self._home() + '/.cache/lvs-host'

    def _places(self):
        """Returns, for a shell, where a binary may go: the cache, and where Ansible would put a module for the moment."""
        remote_tmp = self.get_shell_option('remote_tmp', default='~/.ansible/tmp')
        if remote_tmp.startswith('~/'):
            remote_tmp = f'{self._home()}/{shlex.quote(remote_tmp[2:])}'
        else:
            remote_tmp = shlex.quote(remote_tmp)
        return [self._cache(), remote_tmp] + [shlex.quote(place) for place in self.get_shell_option('system_tmpdirs', default=['/var/tmp', '/tmp'])]

    def _shell(self, text, data=b''):
        """Runs a script of sh, with data on its standard input if there are any."""
        command = f'/bin/sh -c {shlex.quote(text)}'
        if self._takes_input():
            # False: the user's own shell starts sh, and no further process is waited for, as for raw.
            # An empty line, as ssh would ask for a terminal without data; a container engine may lose the output over what nobody reads.
            output = self._low_level_execute_command(command, in_data=data or (b'\n' if is_ssh(self._connection) else None), executable=False)
            if not (self._connection.become and output['rc'] == 1 and re.search(r'\b(tty|terminal)\b', output['stderr'])):
                return output
        # With data on it, standard input is no terminal, and there are a sudo (requiretty), a su and connections that want one.
        return self._shell_with_file(text, data) if data else self._low_level_execute_command(command)

    def _takes_input(self):
        """Returns whether a command can get data on its standard input: not where becoming a user takes a terminal."""
        become = self._connection.become
        # su can read it as well as sudo, although Ansible does not make use of that. run0 is said to, but wants a terminal.
        # Before ansible-core 2.19, `pipelining` was said of no way to become a user.
        return self._connection.has_pipelining and (
            not become or become.name == 'su' or getattr(become, 'pipelining', True) and not getattr(become, 'require_tty', False))

    def _shell_with_file(self, text, data):
        """Runs a script with data that goes ahead in a file of its own."""
        directory = self._connection._shell.tmpdir or self._make_tmp_path()  # removed by Ansible when the task is done
        file = self._connection._shell.join_path(directory, 'input')
        self._transfer_data(file, data)
        self._fixup_perms2((directory, file), execute=False)
        return self._low_level_execute_command(f'/bin/sh -c {shlex.quote(f"exec <{shlex.quote(file)}{chr(10)}{text}")}')
