# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks a task's arguments by the documentation of its module, and says what is wrong with them in one sentence."""

from __future__ import annotations

import difflib

from ansible.module_utils.common.validation import check_type_dict, check_type_list
from ansible.module_utils.common.yaml import yaml_load
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.lvs.host.plugins.plugin_utils.failure import Failure

# Options of other modules and commands, and what those of this collection are called that mean the same, the first that there is.
NAMES = {
    'dev': ('name',), 'device': ('name',), 'ifname': ('name',), 'interface': ('name',), 'iface': ('name',), 'conn_name': ('name',),
    'alias': ('label', 'name'), 'cidr': ('address',), 'ip4': ('address',), 'ip6': ('address',), 'ipaddr': ('address',), 'ip_address': ('address',),
    'mask': ('netmask',), 'prefixlen': ('prefix',), 'prefix_length': ('prefix',), 'mtr': ('metric',), 'namespace': ('netns',),
    'sysctl_name': ('name',), 'sysctl_key': ('name',), 'parameter': ('name',), 'sysctl_value': ('value',), 'values': ('settings',),
    'sysctls': ('settings',), 'ignore_errors': ('ignoreerrors',), 'file': ('sysctl_file',), 'dest': ('sysctl_file',), 'path': ('sysctl_file',),
    'vip': ('address',), 'virtual_ip': ('address',), 'lb_algo': ('scheduler',), 'algorithm': ('scheduler',), 'lb_kind': ('forward',),
    'method': ('forward',), 'mode': ('forward',), 'packet_forward_method': ('forward',), 'mark': ('fwmark',), 'servers': ('real_servers',),
    'destinations': ('real_servers',), 'realservers': ('real_servers',), 'rs': ('real_servers',), 'backends': ('real_servers',),
    'params': ('parameters',), 'persistent': ('persist',), 'permanent': ('persist',), 'save': ('persist',), 'timeout': ('timeouts', 'wait'),
}


class Arguments:
    """What a module takes: the options that its documentation describes, and how they go together."""

    def __init__(self, documentation, mappings=(), mutually_exclusive=(), required_one_of=()):
        """`mappings` names options that may be a list or a dictionary; their text, as key=value gives it, is a dictionary."""
        described = yaml_load(documentation)
        self.mappings = mappings
        self.mutually_exclusive = mutually_exclusive
        self.required_one_of = required_one_of
        self.options = described['options']

    def check(self, given):
        """Returns what is sent to the module.

        That is what the task says, since the module reads scalars by itself, as it does without this plugin: no default is filled
        in, and no path is taken for one of this host. Only the text of a list or dictionary, as key=value gives it, becomes one.
        """
        sent = read_options(self.options, given, '')
        for name in self.mappings:
            if isinstance(sent.get(name), str):
                sent[name] = mapping(sent[name], name, 'write it as NAME=VALUE,NAME=VALUE')
        self._relate({name for name, option in self.options.items() if {name, *option.get('aliases', ())} & sent.keys()})
        return sent

    def _relate(self, given):
        """Refuses what does not go together, and what lacks something; `given` has no aliases."""
        for names in self.mutually_exclusive:
            if set(names) <= given:
                raise Failure(f'cannot use {" and ".join(names)} together: take one of them out')
        for names in self.required_one_of:
            if not given.intersection(names):
                raise Failure(f'nothing says what this is about: give {listed(names)}')


def read_options(options, given, path):
    """Returns the options of a task, or of an entry at `path` in it, such as aliases[0]."""
    known = {name: option for key, option in options.items() for name in (key, *option.get('aliases', ()))}
    sent = {}
    for name, value in given.items():
        if name not in known:
            raise Failure(f'there is no option {inner(path, name)}; {advice(str(name), known)}')
        # As in a module: what is null was not given.
        if value is not None:
            sent[name] = read(known[name], value, inner(path, name))
    for name, option in options.items():
        if option.get('required') and not {name, *option.get('aliases', ())} & sent.keys():
            raise Failure(f'the option {inner(path, name)} is missing: {plain(option["description"])}')
    return sent


def read(option, value, path):
    """Returns a value, which stands at `path`, as the module reads it."""
    kind = option['type']
    if kind == 'raw':
        return value
    if kind == 'list':
        return read_list(option, value, path)
    if kind == 'dict':
        first = next(iter(option.get('suboptions', ('NAME',))))
        value = mapping(value, path, f'write it as {{{first}: VALUE}}')
        return read_options(option['suboptions'], value, path) if 'suboptions' in option else value
    if isinstance(value, (dict, list, tuple)):
        raise Failure(f'cannot use option {path}: it is a {"mapping" if isinstance(value, dict) else "list"}, where one value belongs')
    read_scalar(option, value, path)
    return value


def read_list(option, value, path):
    if isinstance(value, dict):
        raise Failure(f'cannot use option {path}: it is a mapping, where a list belongs; begin each entry with a dash')
    entry = {'type': option['elements'], **{key: option[key] for key in ('choices', 'suboptions') if key in option}}
    # Of a word, or of several with commas between them, as key=value gives them.
    return [read(entry, item, f'{path}[{number}]') for number, item in enumerate(check_type_list(value))]


def read_scalar(option, value, path):
    """Refuses what the module would; a value that is of a kind of Ansible's own is read as text."""
    if 'choices' in option and value not in option['choices']:
        raise Failure(f'cannot use option {path}: {value} is not {listed(option["choices"])}{near(str(value), option["choices"])}')
    try:
        if option['type'] == 'bool':
            boolean(value)
        elif option['type'] == 'int':
            int(str(value))
    except (TypeError, ValueError) as error:
        raise Failure(f'cannot use option {path}: {value} is not ' + ('true or false' if option['type'] == 'bool' else 'a whole number')) from error


def mapping(value, path, hint):
    """Returns a mapping, also of the text of one."""
    try:
        return check_type_dict(value)
    except (TypeError, ValueError) as error:
        said = 'a list' if isinstance(value, (list, tuple)) else 'no value' if value is None else value
        raise Failure(f'cannot use option {path}: {said} is not a mapping; {hint}') from error


def inner(path, name):
    return f'{path}.{name}' if path else name


def advice(name, known):
    """Returns what somebody may have meant by an option that there is not."""
    meant = next((other for other in NAMES.get(name.lower(), ()) if other in known), None)
    meant = meant or next(iter(difflib.get_close_matches(name.lower(), known, 1)), None)
    return f'did you mean {meant}?' if meant else f'there are {", ".join(sorted(known))}'


def near(word, choices):
    found = difflib.get_close_matches(word.lower(), map(str, choices), 1)
    return f'; did you mean {found[0]}?' if found else ''


def listed(names):
    """Returns names with an `or` before the last."""
    *first, last = map(str, names)
    return f'{", ".join(first)} or {last}' if first else last


def plain(description):
    """Returns the first sentence of a description."""
    return (description if isinstance(description, str) else description[0]).partition('. ')[0].rstrip('.')
