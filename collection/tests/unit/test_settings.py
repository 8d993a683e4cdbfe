"""What the variables that say how a module is run may be."""

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.lvs.host.plugins.plugin_utils.failure import Failure
from ansible_collections.lvs.host.plugins.plugin_utils.runner import Runner


def settings(**variables):
    """Returns what a runner makes of variables: whether it may upload, and whether it may multiplex."""
    runner = object.__new__(Runner)
    runner._templar = Templar(loader=DataLoader(), variables=variables)
    return runner._settings(variables)


def test_without_variables_binaries_are_uploaded_and_the_master_is_used():
    assert settings() == (True, True)


@pytest.mark.parametrize('value, is_on', [(True, True), ('yes', True), ('on', True), (1, True), ('1', True),
                                          (False, False), ('no', False), ('False', False), (0, False)])
def test_the_switch_is_what_ansible_takes_for_a_boolean(value, is_on):
    assert settings(lvs_host_multiplex=value) == (True, is_on)


def test_uploads_can_be_switched_off():
    assert settings(lvs_host_upload='never') == (False, True)


@pytest.mark.parametrize('name, value, sentence', [
    ('lvs_host_upload', 'maybe', 'cannot use lvs_host_upload maybe: it is auto or never'),
    ('lvs_host_upload', False, 'cannot use lvs_host_upload False: it is auto or never'),
    ('lvs_host_multiplex', 'maybe', 'cannot use lvs_host_multiplex maybe: it is true or false'),
    ('lvs_host_multiplex', None, 'cannot use lvs_host_multiplex None: it is true or false'),
    ('lvs_host_multiplex', 2, 'cannot use lvs_host_multiplex 2: it is true or false'),
    ('lvs_host_multiplex', '', 'cannot use lvs_host_multiplex : it is true or false'),
])
def test_another_value_is_refused(name, value, sentence):
    with pytest.raises(Failure) as failure:
        settings(**{name: value})
    assert str(failure.value) == sentence
