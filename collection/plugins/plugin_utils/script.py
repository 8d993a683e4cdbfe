# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the target's shell does: look for a module's binary and run it, or take it in and run it.

The scripts are the files of sh beside this, for whatever sh is (dash, bash, BusyBox's ash). They say what the runner must know in lines
that begin with LVS-HOST and the word of the run, which nothing else on the target can guess: RUN is said before a binary is started, END
and its status after, MISS where none could be, FAIL where none could be put, NOTE where it could not be kept.
"""

from __future__ import annotations

import os
import re
import shlex

from ansible_collections.lvs.host.plugins.plugin_utils.failure import Failure

STARTED = 'LVS-HOST-RUN'

# Where a distribution's package, or an administrator, may put the binaries for all users.
PACKAGED = '/usr/libexec/lvs-host'

# Characters of arguments that fit into a command: OpenSSH's server takes none of its standard input before it has started it, which
# would cost a round trip. Dropbear takes commands of up to 9000 bytes; the script and its quotes for several shells take some 4300.
INLINE = 4096


def read(name):
    """Returns a file of sh without its comments, which a command has no room for."""
    with open(os.path.join(os.path.dirname(__file__), name), encoding='utf-8') as file:
        lines = [line.strip() for line in file]
    return '\n'.join(line for line in lines if line and not line.startswith('#'))


SAFE, LOOK, INSTALL, FORGET = (read(name) for name in ('safe.sh', 'look.sh', 'install.sh', 'forget.sh'))


def look(word, binaries, directories, arguments, environment):
    """Returns the script that runs the binary where one of the directories, which a shell expands, has it.

    Its arguments are JSON, or - if they come on standard input; there, the environment goes before them.
    """
    return script(LOOK, directories, word=word, a=arguments, e=environment, binaries=described(binaries))


def install(word, module, binary, home, places, environment):
    """Returns the script that puts the binary into the cache of a home, else the first place that can take it, and runs it."""
    head = script('', places, word=word, e=environment, module=module, n=binary.name, size=str(binary.size), sha256=binary.sha256)
    return f'home={home}\n{head}{INSTALL}'


def forget(binaries, cache):
    """Returns the script that removes the binaries from a cache."""
    return script(FORGET, [cache], binaries=described(binaries))


def script(text, directories, **values):
    head = ' '.join(f'{name}={shlex.quote(value)}' for name, value in values.items())
    return f"{head}\nset -- {' '.join(directories)}\n{SAFE}\n{text}"


def described(binaries):
    return ' '.join(f'{machine} {binary.name} {binary.size}' for machine, binary in sorted(binaries.items()))


def exports(environment, word):
    """Returns what a script reads on standard input of a task's environment, name to value."""
    if not environment:
        return ''
    for name in environment:
        if not re.fullmatch('[A-Za-z_][A-Za-z0-9_]*', name):
            raise Failure(f'cannot set {name!r} in the environment: a name is letters, digits and underscores, so correct or remove it')
    lines = ''.join(f'export {name}={shlex.quote(str(value))}\n' for name, value in environment.items())
    return f'{lines}{word}\n'
