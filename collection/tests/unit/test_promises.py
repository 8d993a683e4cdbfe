<<<<<<< HEAD
"""What `make bench` says of a promise, and how it ends."""

import json
import subprocess
=======
"""Each promise of docs/security.md names a test, and that test is there."""

import re
>>>>>>> h12
from pathlib import Path

import pytest

<<<<<<< HEAD
COMPARE = Path(__file__).resolve().parents[3] / 'lab' / 'bench' / 'compare.py'


def compared(tmp_path, ours, other, *promise, codes=(0,)):
    """Returns how the comparison of a module with another command ends, by the times of each."""
    result = tmp_path / 'result.json'
    rows = [{'command': name, 'times': times, 'median': sorted(times)[len(times) // 2], 'user': 0, 'system': 0, 'exit_codes': list(codes)}
            for name, times in (('target/modules/sysctl task', ours), ('sysctl -p', other))]
    result.write_text(json.dumps({'results': rows}))
    return subprocess.run([COMPARE, result, *promise], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(('ours', 'word', 'status'), [
    ([0.8, 0.9, 0.7, 0.8, 0.9], 'kept', 0),
    ([2.0, 2.1, 1.9, 2.0, 2.2], 'NOT KEPT', 1),
    # The median is on the wrong side, and so is not all of what it may be.
    ([0.9, 1.1, 0.8, 1.2, 1.1], 'unsure', 0),
])
def test_a_promise_is_broken_if_all_of_the_interval_is_on_the_wrong_side(tmp_path, ours, word, status):
    done = compared(tmp_path, ours, [1.0] * 5, 'all that is checked', '1.0', '0', '1')
    assert (done.stdout.split('  ')[1].strip(), done.returncode) == (word, status), done
    assert ('all that is checked' in done.stderr) == bool(status), 'which one is broken is said'


def test_a_module_that_fails_is_not_timed_as_one_that_works(tmp_path):
    assert compared(tmp_path, [1.0], [1.0]).returncode == 0
    done = compared(tmp_path, [1.0], [1.0], codes=(1,))
    assert done.returncode == 1 and 'sysctl task ends with [1]' in done.stderr, done
=======
PROJECT = Path(__file__).resolve().parents[3]
PAGE = (PROJECT / 'docs/security.md').read_text(encoding='utf-8')
PLACES = ('collection', 'docs', 'fuzz', 'lab', 'lib', 'modules', 'molecule')


def find(name):
    """Returns the files of a name, a path or the end of one, or those in a directory of that path."""
    if (PROJECT / name).is_dir():
        return [path for path in (PROJECT / name).rglob('*') if path.is_file()]
    return [path for place in PLACES for path in (PROJECT / place).rglob(name.rpartition('/')[2]) if str(path).endswith(f'/{name}')]


def promises():
    """Returns the last cell of each row of the tables of promises."""
    tables = re.findall(r'^\| promise \| test \|\n\|[-|]+\|\n((?:\|.*\n)+)', PAGE, re.MULTILINE)
    return [line.strip('|').rpartition(' | ')[2] for table in tables for line in table.splitlines()]


@pytest.mark.parametrize('tests', promises())
def test_the_test_of_a_promise_is_there(tests):
    words = re.findall('`([^`]+)`', tests)
    files = {word: find(word) for word in words if '/' in word or word.endswith('.rs')}
    assert files and all(files.values()), files
    text = '\n'.join(path.read_text(encoding='utf-8', errors='replace') for paths in files.values() for path in paths)
    for word in words:
        if re.fullmatch('[a-z0-9_]{10,}…?', word):
            name = word.rstrip('…') + ('' if word.endswith('…') else r'\b')
            assert re.search(rf'(fn|def) (test_)?{name}', text), word


def test_there_are_promises():
    assert len(promises()) > 30
>>>>>>> h12
