"""What is sent of a task's arguments, and what is refused before anything is sent."""

import runpy
from pathlib import Path

import pytest
import yaml
from ansible_collections.lvs.host.plugins.plugin_utils.arguments import NAMES, Arguments
from ansible_collections.lvs.host.plugins.plugin_utils.failure import Failure

PROJECT = Path(__file__).resolve().parents[3]
PAGE = '''
module: some
options:
  name: {type: str, aliases: [key]}
  value: {type: raw}
  path: {type: path, default: /etc/some.conf}
  state: {type: str, choices: [absent, present], default: present}
  force: {type: bool}
  number: {type: int}
  settings: {type: raw}
  words: {type: list, elements: str}
  entries:
    type: list
    elements: dict
    suboptions:
      address: {type: str, required: true, description: The address of an entry. It has no default.}
'''
ARGUMENTS = Arguments(PAGE, mappings=('settings',), mutually_exclusive=[('name', 'settings')], required_one_of=[('name', 'settings')])


def test_scalars_are_sent_as_the_task_has_them_and_no_default_is_filled_in():
    given = {'name': 'a', 'value': 0o644, 'force': 'yes', 'number': '7', 'path': '~/some.conf'}
    assert ARGUMENTS.check(given) == given


def test_what_is_null_was_not_given():
    assert ARGUMENTS.check({'key': 'a', 'value': None, 'settings': None}) == {'key': 'a'}


@pytest.mark.parametrize('text', ['a=1,b=2', 'a=1 b=2', '{"a": "1", "b": "2"}'])
def test_the_text_of_a_mapping_is_one(text):
    assert ARGUMENTS.check({'settings': text}) == {'settings': {'a': '1', 'b': '2'}}


def test_lists_and_dictionaries_of_a_mapping_are_sent_in_their_order():
    for settings in ({'b': 1, 'a': [2]}, [{'b': 1}, {'a': 2}]):
        assert ARGUMENTS.check({'settings': settings}) == {'settings': settings}


def test_the_text_of_a_list_is_one():
    assert ARGUMENTS.check({'name': 'a', 'words': 'x,y'}) == {'name': 'a', 'words': ['x', 'y']}


@pytest.mark.parametrize('given, sentence', [
    ({'nam': 'a'}, 'there is no option nam; did you mean name?'),
    ({'interface': 'a'}, 'there is no option interface; did you mean name?'),
    ({'zzz': 'a'}, 'there is no option zzz; there are entries, force, key, name, number, path, settings, state, value, words'),
    ({3: 'a', 'name': 'a'}, 'there is no option 3; there are entries'),
    ({'name': 'a', 'entries': [{'adress': 'b'}]}, 'there is no option entries[0].adress; did you mean address?'),
    ({'name': 'a', 'entries': [{}]}, 'the option entries[0].address is missing: The address of an entry'),
    ({'name': 'a', 'entries': [{'address': None}]}, 'the option entries[0].address is missing: The address of an entry'),
    ({'name': 'a', 'entries': ['b']}, 'cannot use option entries[0]: b is not a mapping; write it as {address: VALUE}'),
    ({'name': 'a', 'entries': [['b']]}, 'cannot use option entries[0]: a list is not a mapping; write it as {address: VALUE}'),
    ({'name': 'a', 'entries': [None]}, 'cannot use option entries[0]: no value is not a mapping; write it as {address: VALUE}'),
    ({'name': 'a', 'entries': {'address': 'b'}}, 'cannot use option entries: it is a mapping, where a list belongs; begin each entry with a dash'),
    ({'name': ['a']}, 'cannot use option name: it is a list, where one value belongs'),
    ({'name': {'a': 1}}, 'cannot use option name: it is a mapping, where one value belongs'),
    ({'name': 'a', 'words': [['b']]}, 'cannot use option words[0]: it is a list, where one value belongs'),
    ({}, 'nothing says what this is about: give name or settings'),
    ({'key': None}, 'nothing says what this is about: give name or settings'),
    ({'name': 'a', 'settings': {'b': 1}}, 'cannot use name and settings together: take one of them out'),
    ({'key': 'a', 'settings': {'b': 1}}, 'cannot use name and settings together: take one of them out'),
    ({'name': 'a', 'state': 'gone'}, 'cannot use option state: gone is not absent or present'),
    ({'name': 'a', 'state': 'Present'}, 'cannot use option state: Present is not absent or present; did you mean present?'),
    ({'name': 'a', 'force': 'maybe'}, 'cannot use option force: maybe is not true or false'),
    ({'name': 'a', 'number': 'many'}, 'cannot use option number: many is not a whole number'),
    ({'settings': 'a'}, 'cannot use option settings: a is not a mapping; write it as NAME=VALUE,NAME=VALUE'),
])
def test_what_no_module_takes_is_refused_in_one_sentence(given, sentence):
    with pytest.raises(Failure) as failure:
        ARGUMENTS.check(given)
    assert str(failure.value).startswith(sentence)


def test_every_other_name_leads_to_an_option_that_there_is():
    pages = [runpy.run_path(path)['DOCUMENTATION'] for path in (PROJECT / 'collection/plugins/modules').glob('*.py')]
    options = {name for page in pages for name in yaml.safe_load(page)['options']}
    for name, meant in NAMES.items():
        assert set(meant) <= options, name
