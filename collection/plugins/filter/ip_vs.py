# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the services of IPVS."""

from __future__ import annotations

import ipaddress

DOCUMENTATION = r'''
name: ip_vs
short_description: The virtual services of a director
version_added: 0.1.0
author: lvs.host founders (@lvs-host)
description: Reads the text of C(/proc/net/ip_vs), for directors that have no C(ipvsadm).
positional: _input
options:
  _input:
    description: The text.
    type: str
    required: true
'''

EXAMPLES = r'''
- name: Read the services
  ansible.builtin.raw: cat /proc/net/ip_vs
  changed_when: false
  register: proc

- name: Show where they send requests to
  ansible.builtin.debug:
    msg: "{{ proc.stdout | lvs.host.ip_vs | map(attribute='servers') | flatten }}"
'''

RETURN = r'''
_value:
  description:
    - The services. Each has V(protocol), V(name), V(scheduler), V(servers), their V(weight) in all, and V(vip) and V(port), or
      V(fwmark).
    - Each server has V(address), V(port), V(method), which is V(dr), V(nat), V(tun) or V(local), V(weight), and the connections
      that are V(active) and V(inactive).
  type: list
  elements: dict
'''

# net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_fwd_name().
METHODS = {'Masq': 'nat', 'Route': 'dr', 'Tunnel': 'tun', 'Local': 'local'}


def ip_vs(text):
    """Returns the services in the text, with their real servers."""
    services = []
    for words in map(str.split, text.splitlines()):
        if not words:
            continue
        if words[0] in ('TCP', 'UDP', 'SCTP'):
            vip, port = endpoint(words[1])
            services.append(service(words, f'{vip} port {port}', vip=vip, port=port))
        elif words[0] == 'FWM':
            mark = int(words[1], 16)
            services.append(service(words, f'firewall mark {mark}', fwmark=mark))
        elif words[0] == '->' and services:
            address, port = endpoint(words[1])
            server = {'address': address, 'port': port, 'method': METHODS.get(words[2], words[2]), 'weight': int(words[3]),
                      'active': int(words[4]), 'inactive': int(words[5])}
            services[-1]['servers'].append(server)
            services[-1]['weight'] += server['weight']
    return services


def service(words, name, **key):
    """Returns a service that has no servers yet."""
    return {'protocol': words[0], 'name': name, **key, 'scheduler': words[2], 'weight': 0, 'servers': []}


def endpoint(text):
    """Returns the address and the port of C000020A:0050 or [2001:0db8:...:0010]:0050."""
    address, _colon, port = text.rpartition(':')
    if address.startswith('['):
        return str(ipaddress.IPv6Address(address.strip('[]'))), int(port, 16)
    return str(ipaddress.IPv4Address(int(address, 16))), int(port, 16)


class FilterModule:
    """Names the filter."""

    def filters(self):
        return {'ip_vs': ip_vs}
