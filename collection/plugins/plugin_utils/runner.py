# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a binary that stays on the target: one command a task, two when the target does not have it yet."""

from __future__ import annotations

import fnmatch
import json
import os
import pwd
import re
import secrets
import shlex

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.lvs.host.plugins.plugin_utils import script
from ansible_collections.lvs.host.plugins.plugin_utils.answer import Output
from ansible_collections.lvs.host.plugins.plugin_utils.binary import read_binaries
from ansible_collections.lvs.host.plugins.plugin_utils.failure import Failure, printable
from ansible_collections.lvs.host.plugins.plugin_utils.multiplex import is_ssh, multiplexed

# Variables of the inventory or of a play, and what they are where nobody sets them.
SETTINGS = {'lvs_host_upload': 'auto', 'lvs_host_multiplex': True}


class Runner(ActionBase):
    """An action that is a module of this collection: BINARY names it, ARGUMENTS says what it takes, ANSWERS the keys of its answer.

    SECRETS are what the last part of a name can be whose value nobody else may see.
    """

    TRANSFERS_FILES = False
    BINARY = ''
    ARGUMENTS = None
    ANSWERS = frozenset()
    SECRETS = ()
    _word = ''  # of this run

    def run(self, tmp=None, task_vars=None):
        self._supports_check_mode = True
        self._supports_async = True  # refused below, with the reason
        result = super().run(tmp, task_vars)
        try:
            may_upload, multiplex = self._settings(task_vars or {})
            with multiplexed(self._connection, multiplex, script.STARTED.encode(), self._display):
                result.update(self._answer(may_upload))
        except Failure as failure:
            result.update(failure.result())
        return result

    def _answer(self, may_upload):
        if self._task.async_val:
            raise Failure(f'cannot run {self.BINARY} with async, which needs Python on the target: a task takes milliseconds, so remove async and poll')
        binaries = read_binaries(self.BINARY)
        arguments = self._arguments()
        self._word = secrets.token_hex(8)
        output = self._look(binaries, may_upload, arguments)
        missing = output.said('MISS')
        if missing is not None:
            # Behind that line a terminal may be told how to look.
            machine, unused, notes = missing.partition('\n')[0].partition('; ')
            output = self._install(self._choose(binaries, machine, may_upload, notes), arguments)
        elif output.status != 0 and not output.has_begun():
            raise Failure(f'cannot run {self.BINARY}: the shell on the target {output.describe()}', rc=output.status)
        else:
            self._warn(output.said('NOTE'), f'has passed over a directory with {self.BINARY} in it')
        answer = output.answer(self.ANSWERS, arguments)
        if answer is None:
            if may_upload and missing is None:
                # The file may be damaged. The task is not tried again, since it may have been at work; the next one brings a new file.
                self._shell(script.forget(binaries, self._cache()))
            raise Failure(f'cannot get an answer from {self.BINARY}, which may have changed something: it {output.describe()}', **output.details())
        return answer

    def _settings(self, task_vars):
        """Returns whether this collection may put binaries on the target, and whether it may use an ssh connection's master."""
        upload, multiplex = (self._templar.template(task_vars.get(name, default)) for name, default in SETTINGS.items())
        if upload not in ('auto', 'never'):
            raise Failure(f'cannot use lvs_host_upload {upload}: it is auto or never')
        try:
            return upload == 'auto', boolean(multiplex)
        except TypeError as error:
            raise Failure(f'cannot use lvs_host_multiplex {multiplex}: it is true or false') from error

    def _look(self, binaries, may_upload, arguments):
        directories = [script.PACKAGED] + ([self._cache()] if may_upload else [])
        exports = self._exports()
        # What is hidden stays out of command lines, which other users can read.
        is_hidden = self._task.no_log or len(arguments) > script.INLINE or self._has_secret()
        text = script.look(self._word, binaries, directories, '-' if is_hidden else arguments, 'e' if exports else '')
        return self._run(text, (exports + (arguments + '\n' if is_hidden else '')).encode())

    def _has_secret(self):
        names = [self._task.args.get('name'), self._task.args.get('key'), *(self._task.args.get('settings') or ())]
        lasts = [re.split('[./]', str(name))[-1] for name in names]
        return any(fnmatch.fnmatchcase(secret, last) or '[' in last for last in lasts for secret in self.SECRETS)

    def _choose(self, binaries, machine, may_upload, notes):
        if machine not in binaries:
            raise Failure(f"cannot run {self.BINARY} on {machine}: this collection has it for {', '.join(sorted(binaries)) or 'no architecture'}")
        binary = binaries[machine]
        if not may_upload:
            raise Failure(f'cannot run {self.BINARY}: lvs_host_upload is never, and the target has no {script.PACKAGED}/{binary.name} that belongs to root,'
                          f' that nobody else can write to and that may be executed: put plugins/bin/{self.BINARY}-{machine} of this collection there'
                          + (f' ({notes})' if notes else ''))
        return binary

    def _install(self, binary, arguments):
        content = binary.read()
        exports = self._exports()
        text = script.install(self._word, self.BINARY, binary, self._home(), self._places(), 'e' if exports else '')
        output = self._run(text, f'{exports}{arguments}\n'.encode() + content)
        why = output.said('FAIL')
        if why is not None:
            raise Failure(f'cannot put {self.BINARY} on the target: {why}; make room or set ansible_remote_tmp to a directory that can take it,'
                          f' or install {script.PACKAGED}/{binary.name} there')
        self._warn(output.said('NOTE'), f'cannot keep {self.BINARY}, so each task takes it along; {script.PACKAGED}/{binary.name} would be used')
        return output

    def _warn(self, note, what):
        if note is not None:
            self._display.warning(printable(f'{self._task.delegate_to or self._play_context.remote_addr} {what} ({note})'))

    def _arguments(self):
        """Returns what the binary reads: the task's arguments, which ARGUMENTS has checked, and Ansible's wishes; one line of JSON."""
        task = self._task
        arguments = dict(self.ARGUMENTS.check(task.args), _ansible_check_mode=task.check_mode, _ansible_diff=task.diff,
                         _ansible_no_log=bool(task.no_log), _ansible_verbosity=self._display.verbosity)
        # str: vaulted values and dates. Each shell that a quote passes would need more quotes for it, and fish takes one of two backslashes.
        return json.dumps(arguments, default=str).replace("'", r'\u0027').replace(r'\\', r'\u005c')

    def _exports(self):
        """Returns the task's environment for the script's standard input: other users can read command lines."""
        environment = {}
        self._compute_environment_string(environment)
        return script.exports(environment, self._word)

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
        """Returns, for a shell, where a binary may go that cannot be kept: where Ansible would put a module."""
        remote_tmp = self.get_shell_option('remote_tmp', default='~/.ansible/tmp')
        if remote_tmp.startswith('~/'):
            remote_tmp = f'{self._home()}/{shlex.quote(remote_tmp[2:])}'
        else:
            remote_tmp = shlex.quote(remote_tmp)
        return [remote_tmp] + [shlex.quote(place) for place in self.get_shell_option('system_tmpdirs', default=['/var/tmp', '/tmp'])]

    def _run(self, text, data):
        return Output(self._word, self._shell(text, data))

    def _shell(self, text, data=b''):
        """Runs a script of sh, with data on its standard input if there are any."""
        command = f'/bin/sh -c {shlex.quote(text)}'
        if self._takes_input():
            # False: the user's own shell starts sh, and no further process is waited for, as for raw.
            # An empty line, as ssh would ask for a terminal without data; a container engine may lose the output over what nobody reads.
            output = self._low_level_execute_command(command, in_data=data or (b'\n' if is_ssh(self._connection) else None), executable=False)
            if script.STARTED in output['stdout'] or not (self._connection.become and output['rc'] == 1 and re.search(r'\b(tty|terminal)\b', output['stderr'])):
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
