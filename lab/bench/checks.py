#!/usr/bin/env python3
"""Says what the checks of a cached task cost on the target: the script that looks for the binary, with them and without, in turn.

  lab/host run -- target/venv/bin/python lab/bench/checks.py [ROUNDS]

The binary is true(1). Without its checks the script only goes to the directory and starts what is there. Both are one command over SSH.
"""

import os
import shutil
import statistics
import sys
import time
from pathlib import Path
from types import SimpleNamespace

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT / 'target/collections'), str(PROJECT / 'collection/tests/unit')]
from ansible_collections.lvs.host.plugins.plugin_utils import script  # noqa: E402
from target import SHELLS, WORD  # noqa: E402

CHECKS = ('survey "$n" || {', 'is_trusted "$theirs" || return ;; *) return ;; esac\n')
OUTPUT = '/run/checks.out'


def prepare():
    """Returns the script with its checks and without, and puts a binary where both look."""
    cache = Path('/run/checks/.cache/lvs-host')
    cache.mkdir(parents=True, mode=0o700)
    shutil.copy(shutil.which('true'), cache / 'sysctl-0')
    binary = SimpleNamespace(name='sysctl-0', size=(cache / 'sysctl-0').stat().st_size)
    whole = script.look(WORD, {os.uname().machine: binary}, [script.PACKAGED, str(cache)], '{}', '')
    begin, end = whole.index(CHECKS[0]), whole.index(CHECKS[1]) + len(CHECKS[1])
    return whole, whole[:begin] + whole[end:]


def run(shell, text):
    """Returns the milliseconds that a script takes in a shell: of the clock, and of a processor."""
    start = time.monotonic()
    to_file = (os.POSIX_SPAWN_OPEN, 1, OUTPUT, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    child = os.posix_spawn(SHELLS[shell][0], [*SHELLS[shell], '-c', text], {'PATH': os.environ['PATH']}, file_actions=[to_file])
    usage = os.wait4(child, 0)[2]
    took = time.monotonic() - start
    if f'LVS-HOST-END {WORD} 0' not in Path(OUTPUT).read_text(encoding='utf-8'):
        sys.exit(f'{shell} did not start the binary')
    return took * 1e3, (usage.ru_utime + usage.ru_stime) * 1e3


def main(rounds):
    texts = prepare()
    for shell in SHELLS:
        pairs = []
        for number in range(rounds):
            # What the machine does besides meets both.
            order = texts if number % 2 else texts[::-1]
            times = [run(shell, text) for text in order]
            pairs.append(times if number % 2 else times[::-1])
        least = min(pair[0][0] for pair in pairs) - min(pair[1][0] for pair in pairs)
        wall, processor = (statistics.median(pair[0][which] - pair[1][which] for pair in pairs) for which in (0, 1))
        print(f'{shell:8} {least:5.2f} ms between the quickest of each, {wall:5.2f} in the median pair, {processor:5.2f} of a processor')


main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
