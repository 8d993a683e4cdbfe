"""What `make bench` says of a promise, and how it ends."""

import json
import subprocess
from pathlib import Path

import pytest

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
