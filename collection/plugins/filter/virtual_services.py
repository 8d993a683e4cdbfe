# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Turns the services and the real servers of an inventory into services for lvs.host.virtual_service."""

from __future__ import annotations

import ipaddress

from ansible.errors import AnsibleFilterError
from ansible_collections.lvs.host.plugins.filter.vips import vips as read_vips

DOCUMENTATION = r'''
name: virtual_services
short_description: The services of an inventory as entries of virtual_service
version_added: 0.1.0
author: lvs.host founders (@lvs-host)
description:
  - Makes a list for the option O(lvs.host.virtual_service#module:services).
  - A service with a port is there for each virtual IP, unless it has the address of one. Each gets the real servers that have an address
    of its family, with their weights.
  - What a service does not say is set to the kernel's default, so that the list says all of it.
positional: _input
options:
  _input:
    description:
      - Dictionaries with V(port), or with V(fwmark) and perhaps V(family), and perhaps V(address), V(protocol), V(scheduler), V(flags),
        V(persistence) and V(real_port), all but the last as the module has them.
    type: list
    elements: dict
    required: true
  vips:
    description: The virtual IPs, as the filter P(lvs.host.vips#filter) takes them.
    type: list
    required: true
  method:
    description: How packets get to the real servers, V(dr), V(nat) or V(tun).
    type: str
    required: true
  real_servers:
    description: The names of the real servers.
    type: list
    elements: str
    required: true
  hostvars:
    description:
      - Their variables. V(lvs_rips) are the addresses, one of a family; V(ansible_host) where it is missing. V(lvs_weight) is the weight.
    type: dict
    required: true
  tunnel:
    description: How packets are packed with V(tun), as the module has it.
    type: dict
  state:
    description: The state of the real servers, as the module has it.
    type: str
'''

EXAMPLES = r'''
- name: Balance a web site
  lvs.host.virtual_service:
    services: >-
      {{ [{'port': 80}] | lvs.host.virtual_services(vips=['192.0.2.10'], method='dr', real_servers=groups['real_servers'], hostvars=hostvars) }}
'''

RETURN = r'''
_value:
  description: The entries.
  type: list
  elements: dict
'''

KNOWN = {'address', 'port', 'protocol', 'fwmark', 'family', 'scheduler', 'flags', 'persistence', 'real_port'}


def virtual_services(entries, vips, method, real_servers, hostvars, tunnel=None, state=None):
    """Returns one service for each entry and virtual IP."""
    if not isinstance(entries, list):
        raise AnsibleFilterError(f'lvs_services is no list: write [{entries}]')
    addresses = [vip['address'] for vip in read_vips(vips)]
    servers = [real_server(name, hostvars[name]) for name in real_servers]
    services = [service for entry in entries for service in expanded(entry, addresses)]
    refuse_twice(services)
    return [whole(service, servers, method, tunnel, state) for service in services]


def whole(service, servers, method, tunnel, state):
    """Returns the service with its real servers, as the module takes it."""
    # An address tells its family.
    own = {'real_port'} if 'fwmark' in service else {'real_port', 'family'}
    entry = {name: value for name, value in service.items() if name not in own}
    return {**entry, 'forward': method, 'real_servers': [whole_server(server, service, method, tunnel, state) for server in servers]}


def expanded(entry, vips):
    """Returns the services that one entry of the inventory stands for."""
    if not isinstance(entry, dict):
        raise AnsibleFilterError(f'lvs_services has "{entry}": write an entry like {{port: 80}}')
    if unknown := set(entry) - KNOWN:
        raise AnsibleFilterError(f'lvs_services has an entry with {sorted(unknown)[0]}: it takes {", ".join(sorted(KNOWN))}')
    if ('port' in entry) == ('fwmark' in entry):
        raise AnsibleFilterError(f'lvs_services has {entry}: give it a port, like 80, or a fwmark')
    said = {'scheduler': 'wlc', 'flags': [], 'persistence': 0, **entry}
    if 'fwmark' in entry:
        return [{'family': 'ipv4', **said}]
    if 'address' in entry:
        wanted = address(entry['address'], 'lvs_services')
        if str(wanted) not in vips:
            raise AnsibleFilterError(f'lvs_services has the address {wanted}, which is not in lvs_vips: add it there, or correct it')
        vips = [str(wanted)]
    return [{'protocol': 'tcp', **said, 'address': vip, 'family': 'ipv6' if ':' in vip else 'ipv4'} for vip in vips]


def refuse_twice(services):
    keys = [tuple(service.get(name) for name in ('address', 'port', 'protocol', 'fwmark', 'family')) for service in services]
    for key, service in zip(keys, services):
        if keys.count(key) > 1:
            raise AnsibleFilterError(f'lvs_services has {name_of(service)} twice: write it once')


def whole_server(server, service, method, tunnel, state):
    """Returns the entry of a real server of a service."""
    entry = {'address': rip(server, service, method), 'weight': server['weight']}
    if 'real_port' in service:
        if method != 'nat':
            raise AnsibleFilterError(f'lvs_services has a real_port for {name_of(service)}: with {method} packets are not changed, so leave it out')
        entry['port'] = service['real_port']
    if method == 'tun' and tunnel:
        entry['tunnel'] = tunnel
    return {**entry, 'state': state} if state else entry


def rip(server, service, method):
    """Returns the real server's address for a service: one of its family, or with tunnels any."""
    wanted = 6 if service['family'] == 'ipv6' else 4
    ordered = sorted(server['rips'], key=lambda found: found.version != wanted)
    if ordered and (ordered[0].version == wanted or method == 'tun'):
        return str(ordered[0])
    raise AnsibleFilterError(f"{server['name']} has no address of IPv{wanted} for {name_of(service)}: set lvs_rips of {server['name']} to the addresses"
                             ' that the directors reach it at, like [10.0.0.11, 2001:db8:1::11]')


def real_server(name, variables):
    """Returns what the inventory says of a real server."""
    given = variables.get('lvs_rips')
    if given is None:
        given = [text for text in (str(variables.get('ansible_host', name)),) if is_address(text)]
    if not isinstance(given, list):
        raise AnsibleFilterError(f'lvs_rips of {name} is no list: write [{given}]')
    weight = str(variables.get('lvs_weight', 1))
    if not weight.isdecimal() or int(weight) > 65535:
        raise AnsibleFilterError(f'lvs_weight of {name} is {weight}: set it to a number from 0 to 65535')
    return {'name': name, 'rips': [address(text, f'lvs_rips of {name}') for text in given], 'weight': int(weight)}


def address(text, variable):
    try:
        return ipaddress.ip_address(str(text))
    except ValueError:
        raise AnsibleFilterError(f'{variable} has "{text}", which is no IP address: write one like 10.0.0.11') from None


def is_address(text):
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def name_of(service):
    if 'fwmark' in service:
        return f"firewall mark {service['fwmark']}"
    return f"{service['address']} port {service['port']}"


class FilterModule:
    """Names the filter."""

    def filters(self):
        return {'virtual_services': virtual_services}
