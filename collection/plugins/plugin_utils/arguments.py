# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks a task's arguments by the documentation of its module, with the errors that Ansible has for every module."""

from __future__ import annotations

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.validation import check_type_dict
from ansible.module_utils.common.yaml import yaml_load
from ansible.module_utils.errors import UnsupportedError
from ansible_collections.lvs.host.plugins.plugin_utils.failure import Failure

FIELDS = ('aliases', 'choices', 'default', 'elements', 'required', 'type')


class Arguments:
    """What a module takes: the options that its documentation describes, and how they go together."""

    def __init__(self, documentation, mappings=(), **relations):
        """`mappings` names options that may be a list or a dictionary; their text, as key=value gives it, is a dictionary."""
        described = yaml_load(documentation)
        self.mappings = mappings
        self.module = described['module']
        self.options = specification(described['options'])
        self.validator = ArgumentSpecValidator(self.options, **relations)

    def check(self, given):
        """Returns what is sent to the module.

        That is what the task says, since the module reads scalars by itself, as it does without this plugin: no default is filled
        in, and no path is taken for one of this host. Only the text of a list or dictionary, as key=value gives it, becomes one.
        """
        # As in a module: what is null was not given.
        given = {name: value for name, value in given.items() if value is not None}
        result = self.validator.validate(given)
        # A name that was mistyped explains the others.
        for error in result.errors:
            if isinstance(error, UnsupportedError):
                raise Failure(f'Unsupported parameters for (lvs.host.{self.module}) module: {error.msg}')
        for error in result.errors:
            raise Failure(error.msg)
        return {name: self._read(name, value, result.validated_parameters[name]) for name, value in given.items()}

    def _read(self, name, value, validated):
        if name in self.mappings and isinstance(value, str):
            try:
                return check_type_dict(value)
            except TypeError as error:
                raise Failure(f'cannot use option {name}: {value} is not a dictionary; write it as NAME=VALUE,NAME=VALUE') from error
        return validated if self._is_container(name) else value

    def _is_container(self, name):
        return self.options.get(name, {}).get('type') in ('dict', 'list')


def specification(options):
    """Returns documented options as Ansible's argument specification."""
    return {name: {field: option[field] for field in FIELDS if field in option}
            | ({'options': specification(option['suboptions'])} if 'suboptions' in option else {})
            for name, option in options.items()}
