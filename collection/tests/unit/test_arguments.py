"""What is sent of a task's arguments, and what is refused before anything is sent."""

import pytest
from ansible_collections.lvs.host.plugins.plugin_utils.arguments import Arguments
from ansible_collections.lvs.host.plugins.plugin_utils.failure import Failure

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
      address: {type: str, required: true}
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
    ({'nam': 'a'}, 'Unsupported parameters for (lvs.host.some) module: nam'),
    ({'name': 'a', 'entries': [{'adress': 'b'}]}, 'Unsupported parameters for (lvs.host.some) module: entries.adress'),
    ({}, 'one of the following is required: name, settings'),
    ({'name': 'a', 'settings': {'b': 1}}, 'parameters are mutually exclusive: name|settings'),
    ({'key': 'a', 'settings': {'b': 1}}, 'parameters are mutually exclusive: name|settings'),
    ({'name': 'a', 'state': 'gone'}, 'value of state must be one of: absent, present, got: gone'),
    ({'name': 'a', 'force': 'maybe'}, 'unable to convert to bool'),
    ({'name': 'a', 'entries': [{}]}, 'missing required arguments: address found in entries'),
    ({'settings': 'a'}, 'cannot use option settings: a is not a dictionary; write it as NAME=VALUE,NAME=VALUE'),
])
def test_what_no_module_takes_is_refused(given, sentence):
    with pytest.raises(Failure) as failure:
        ARGUMENTS.check(given)
    assert sentence in str(failure.value)
