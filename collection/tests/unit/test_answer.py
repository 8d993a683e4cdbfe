"""What is taken for a module's answer, whatever a target prints."""

import importlib
import json
import time
from pathlib import Path

import pytest
from ansible_collections.lvs.host.plugins import action
from ansible_collections.lvs.host.plugins.plugin_utils.answer import Output, documented
from ansible_collections.lvs.host.plugins.plugin_utils.failure import Failure

WORD = '0123456789abcdef'
OK = '{"changed": false, "changes": []}'
FAILED = '{"changed": false, "failed": true, "msg": "cannot"}'


def output(stdout, rc=0, stderr=''):
    return Output(WORD, {'stdout': stdout, 'stderr': stderr, 'rc': rc})


def run(printed, status=0, before='', after=''):
    return output(f'{before}LVS-HOST-RUN {WORD}\n{printed}\n\nLVS-HOST-END {WORD} {status}\n{after}')


def answer(seen, sent='{"name": "a"}'):
    return seen.answer(frozenset({'changes', 'msg'}), sent)


@pytest.mark.parametrize('seen', [
    run(OK),
    run(FAILED, 1),
    run(OK, before='Welcome\n{"changed": true}\n', after='bye\n{"changed": true}\n'),
    run('{"name": "a"}\r\n' + OK + '\r'),  # what a terminal echoes
    run(OK, before=f'LVS-HOST-RUN {WORD}\n'),  # a first place where it could not be started
], ids=['ok', 'failed', 'noise around it', 'a terminal', 'a second place'])
def test_the_object_between_the_marks_of_the_run_is_the_answer(seen):
    assert answer(seen)['changed'] is False


@pytest.mark.parametrize('seen', [
    output(OK),
    output(f'LVS-HOST-RUN {WORD}\n{OK}\n'),
    output(f'LVS-HOST-RUN 0\n{OK}\n\nLVS-HOST-END 0 0\n'),
    run('', 3, before=OK + '\n'),
    run('', 139, after=OK + '\n'),
    run(OK, 1),
    run(OK, 3),
    run(OK, ''),
    run(FAILED, 0),
    run(f'{OK}\n{OK}'),
    run(f'x{OK}'),
    run('[]'),
    run('{}'),
    run('{"changes": []}'),
    run('{"changed": 0}'),
    run('{"changed": false, "ansible_facts": {"a": 1}}'),
    run('{"changed": false, "_ansible_no_log": false}'),
    run('{"changed": false, "failed": "no"}'),
    run('{"changed": false, "warnings": [[1]]}'),
    run('{"changed": false, "msg": 1}'),
    run('{"changed": false, "changes": ' + '[' * 30 + ']' * 30 + '}'),
    run('{"changed": false, "changes": ' + '[' * 100000 + ']' * 100000 + '}'),
    run('{"changed": false, "changes": ' + '9' * 5000 + '}'),
], ids=range(23))
def test_nothing_else_is_the_answer(seen):
    assert answer(seen) is None
    seen.describe()
    seen.details()


def test_a_mark_counts_with_the_word_of_the_run_only():
    noise = 'LVS-HOST-MISS x86_64\nLVS-HOST-FAIL 0 disk full\nLVS-HOST-NOTE\n'
    seen = run(OK, before=noise)
    assert [seen.said(mark) for mark in ('MISS', 'FAIL', 'NOTE')] == [None, None, None]
    assert output(f'{noise}LVS-HOST-MISS {WORD} x86_64; a: b\nbye').said('MISS').split('\n')[0] == 'x86_64; a: b'
    assert not output(noise + 'LVS-HOST-RUN\n').has_begun()


@pytest.mark.parametrize('noise', ['x' * 30_000_000, '{\n' * 10_000_000, f'LVS-HOST-RUN {WORD}\n' * 700_000, 'LVS-HOST-MISS ' * 2_000_000],
                         ids=['one line', 'many lines', 'marks', 'other marks'])
def test_megabytes_of_noise_take_a_moment_and_are_cut(noise):
    start = time.process_time()  # what else the machine does is not in it
    for seen in (run(OK, before=noise + '\n'), run(noise), output(noise, 1, noise)):
        answer(seen)
        assert len(seen.describe()) < 30_000
        assert sum(map(len, map(str, seen.details().values()))) < 30_000
        for mark in ('MISS', 'FAIL', 'NOTE'):
            seen.said(mark)
    assert time.process_time() - start < 10


def test_what_a_terminal_would_obey_is_shown():
    result = Failure('the shell said \x1b[2J\a\r\u202e\x9b, in lines\n\tor not: ü', module_stdout='\x1b', rc=1).result()
    assert result['msg'] == 'the shell said \\x1b[2J\\x07\\r\\u202e\\x9b, in lines\n\tor not: ü'
    assert result['module_stdout'] == '\\x1b'
    json.dumps(Failure('\udcff').result()).encode()


@pytest.mark.parametrize('name', sorted(path.stem for path in Path(action.__path__[0]).glob('[a-z]*.py')))
def test_an_action_takes_what_the_page_of_its_module_says(name):
    plugin = importlib.import_module(f'{action.__name__}.{name}').ActionModule
    page = importlib.import_module(f'ansible_collections.lvs.host.plugins.modules.{name}')
    assert plugin.BINARY == name and plugin.ANSWERS == documented(page.RETURN)
