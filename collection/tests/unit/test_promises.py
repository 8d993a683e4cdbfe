"""Each promise of docs/security.md names a test, and that test is there."""

import re
from pathlib import Path

import pytest

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
