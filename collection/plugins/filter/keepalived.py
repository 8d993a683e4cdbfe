# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what keepalived is told of virtual IPs and virtual services."""

from __future__ import annotations

import ipaddress
import re

DOCUMENTATION = r'''
name: keepalived
short_description: The virtual IPs and services of a keepalived.conf
version_added: 0.1.0
author: lvs.host founders (@lvs-host)
description: Reads the text of C(keepalived.conf) and of the files that it includes, one after the other.
positional: _input
options:
  _input:
    description: The text.
    type: str
    required: true
'''

EXAMPLES = r'''
- name: Read the configuration
  ansible.builtin.raw: cat /etc/keepalived/keepalived.conf
  changed_when: false
  register: conf

- name: Show its virtual IPs
  ansible.builtin.debug:
    msg: "{{ (conf.stdout | lvs.host.keepalived).instances | map(attribute='vips') | flatten }}"
'''

RETURN = r'''
_value:
  description:
    - The C(instances), each with V(name), V(router), which is the virtual_router_id, and V(vips); and the C(services), each with V(name),
      V(method), which is V(dr), V(nat) or V(tun), and V(vip) and V(port), or V(fwmark).
  type: dict
'''


def keepalived(text):
    """Returns the VRRP instances and the virtual services of a configuration."""
    found = {'instances': [], 'services': []}
    blocks, header = [], []
    # keepalived.conf(5): a comment begins with # or !, and goes to the end of the line.
    for words in map(str.split, re.sub(r'[#!].*', '', text).replace('{', '\n{\n').replace('}', '\n}\n').splitlines()):
        if words == ['{']:
            blocks.append(header)
            begin(found, header)
        elif words == ['}']:
            del blocks[-1:]
        elif words and blocks:
            setting([block[:1] for block in blocks], words, found)
        header = words or header
    return found


def begin(found, header):
    """Notes the instance or the service that begins with a header."""
    if header[:1] == ['vrrp_instance']:
        found['instances'].append({'name': ' '.join(header[1:]), 'router': None, 'vips': []})
    elif header[:2] == ['virtual_server', 'fwmark'] and len(header) > 2:
        found['services'].append({'name': f'firewall mark {header[2]}', 'fwmark': int(header[2]), 'method': 'nat'})
    elif header[:1] == ['virtual_server'] and len(header) > 2 and (vip := address(header[1])):
        found['services'].append({'name': f'{vip} port {header[2]}', 'vip': vip, 'port': int(header[2]), 'method': 'nat'})


def setting(blocks, words, found):
    """Takes one line within blocks, each the first word of its header."""
    if blocks == [['vrrp_instance']] and words[0] == 'virtual_router_id':
        found['instances'][-1]['router'] = int(words[1])
    elif blocks[:1] == [['vrrp_instance']] and blocks[1:] in ([['virtual_ipaddress']], [['virtual_ipaddress_excluded']]) and address(words[0]):
        found['instances'][-1]['vips'].append(address(words[0]))
    elif blocks == [['virtual_server']] and found['services'] and words[0] in ('lvs_method', 'lb_kind') and len(words) > 1:
        found['services'][-1]['method'] = words[1].lower()


def address(word):
    """Returns the address of a word such as 192.0.2.10/24, or None."""
    try:
        return str(ipaddress.ip_interface(word).ip)
    except ValueError:
        return None


class FilterModule:
    """Names the filter."""

    def filters(self):
        return {'keepalived': keepalived}
