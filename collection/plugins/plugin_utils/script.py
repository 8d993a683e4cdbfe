# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the target's shell does: look for a module's binary and run it, or take it in and run it.

Both scripts run in whatever sh is (dash, bash, BusyBox's ash). A task's arguments are in the first, or come as one line on standard input.
They say what the runner must know in lines that begin with LVS-HOST: RUN is said before a binary is started, MISS where
none could be, FAIL where none could be put, NOTE where it could not be kept.
"""

from __future__ import annotations

import shlex

from ansible_collections.lvs.host.plugins.plugin_utils.binary import cksum

STARTED = 'LVS-HOST-RUN'

# Where a distribution's package, or an administrator, may put the binaries for all users.
PACKAGED = '/usr/libexec/lvs-host'

# Characters of arguments that fit into a command: OpenSSH's server takes none of its standard input before it has started it, which
# would cost a round trip. Dropbear takes commands of up to 9000 bytes; the script and its quotes for several shells take some 1000.
INLINE = 4096

# What tells the hash of a file on standard input, best first, and what it must tell of a content.
HASHES = {
    'sha256sum': lambda binary, content: binary.sha256,
    'shasum -a 256': lambda binary, content: binary.sha256,
    'openssl dgst -sha256': lambda binary, content: binary.sha256,
    'busybox sha256sum': lambda binary, content: binary.sha256,
    'cksum': lambda binary, content: cksum(content),
}

# Linux 6.1 and newer have that file (kernel/utsname_sysctl.c); reading it is quicker than a process.
MACHINE = '{ read -r m </proc/sys/kernel/arch; } 2>/dev/null || m=$(uname -m)'

# One process, ls, tells mode, owner and size of the directory and of the file: 9 words each, see POSIX ls, with TIME_STYLE for GNU.
# Nobody else may write to either, and both are this user's own or root's; else another user could have put the file there.
# After 126 and 127 the file was not started, as POSIX has it for sh; whatever else came, it may have been.
RUN = '''run() {{
[ -x "$1/$n" ] || return
set -- "$1" $(cd "$1" && LC_ALL=C TIME_STYLE=locale ls -dln . "$n")
case "$2 ${{11}} ${{15}}" in d????-??-?*" -"????-??-?*" $s") ;; *) return ;; esac
[ "$4" = 0 ] || [ -O "$1" ] || return
[ "${{13}}" = 0 ] || [ -O "$1/$n" ] || return
echo {started}
{environment} "$1/$n" "$a"
r=$?
[ $r = 126 ] || [ $r = 127 ] || exit $r
}}'''

# What would have read the arguments is not there; some connections lose the output when nobody does.
MISS = '''[ "$a" != - ] || cat >/dev/null
for h in {hashes}; do $h </dev/null >/dev/null 2>&1 && break; h=; done
echo "LVS-HOST-MISS $m $h"
exit 127'''

# The binary follows the arguments on standard input. What cannot be done reads it to its end, or ssh would tell of a broken pipe.
# `fit` says why the directory d cannot take it: it must be this user's own, have room, and programs in it may be executed.
# The binary is tried before the task is: up to there, nothing was done.
INSTALL = '''umask 077
IFS= read -r arguments
clean() {{ rm -f "$t"; case $d in *.$$) [ ! -O "$d" ] || rm -rf "$d" ;; esac; }}
fail() {{ cat >/dev/null; echo "LVS-HOST-FAIL $1"; exit 1; }}
fit() {{
case $d in /*.$$) mkdir -p "${{d%/*}}" && mkdir "$d" ;; /*) mkdir -p "$d" ;; *) echo "there is no such home"; false ;; esac || return
[ -O "$d" ] || {{ echo "the directory $d belongs to another user"; return 1; }}
chmod 700 "$d" && echo "#!/bin/sh" >"$t" && chmod 700 "$t" || return
"$t" 2>/dev/null || {{ echo "programs in it may not be executed"; return 1; }}
head -c {size} /dev/zero >"$t"
}}
w=
for p in {places}; do
case $p in */.cache/lvs-host) d=$p ;; *) d=$p/lvs-host.$$ ;; esac
t=$d/.{name}.$$
m=$(fit 2>&1) && break
clean
w="$w; $p: $m" d=
done
[ -n "$d" ] || fail "no directory there can take it: ${{w#; }}"
trap clean EXIT
m=$({{ cat >"$t"; }} 2>&1) || fail "$m"
[ "$(wc -c <"$t")" -eq {size} ] || fail "it arrived with another size"
{verify}
m=$("$t" --version 2>&1) || fail "$t cannot be executed there: $m"
case $d in */.cache/lvs-host)
sync "$t" 2>/dev/null
(cd "$d" && rm -f $(ls -t {module}-* 2>/dev/null | tail -n +4) && find . -name ".*-*" -type f -mtime +0 -exec rm -f {{}} \\;) >/dev/null 2>&1 ;;
*) echo "LVS-HOST-NOTE ${{w#; }}" ;;
esac
m=$(mv -f "$t" "$d/{name}" 2>&1) || fail "$m"
echo {started}
printf "%s\\n" "$arguments" | {environment} "$d/{name}" -'''


def look(binaries, directories, arguments, environment):
    """Returns the script that runs the binary where one of the directories has it, else says LVS-HOST-MISS, the machine and a HASHES.

    Its arguments are JSON, or - if they come on standard input.
    """
    names = ' '.join(f'{machine}) n={binary.name} s={binary.size} ;;' for machine, binary in sorted(binaries.items()))
    return '\n'.join((
        f'a={shlex.quote(arguments)}',
        MACHINE,
        f'case $m in {names} *) n=- ;; esac',
        RUN.format(environment=environment, started=STARTED),
        *(f'run {directory}' for directory in directories),
        MISS.format(hashes=' '.join(shlex.quote(tool).replace("'", '"') for tool in HASHES)),
    ))


def install(module, binary, content, tool, places, environment):
    """Returns the script that puts the binary into the first place that can take it, and runs it."""
    verify = f'case " $({tool} <"$t") " in *" {HASHES[tool](binary, content)} "*) ;; *) fail "it arrived with another hash" ;; esac' if tool else ':'
    return INSTALL.format(module=module, name=binary.name, size=binary.size, places=' '.join(places), verify=verify, environment=environment,
                          started=STARTED)
