# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads which gateways a host sends all else to."""

from __future__ import annotations

import ipaddress

DOCUMENTATION = r'''
name: gateways
short_description: The gateways of a host's default routes
version_added: 0.1.0
author: lvs.host founders (@lvs-host)
description: Reads the text of C(/proc/net/route) and C(/proc/net/ipv6_route), for hosts that have no C(ip).
positional: _input
options:
  _input:
    description: The text of both files, one after the other.
    type: str
    required: true
'''

EXAMPLES = r'''
- name: Read the routes
  ansible.builtin.raw: cat /proc/net/route /proc/net/ipv6_route
  changed_when: false
  register: proc

- name: Show the gateways
  ansible.builtin.debug:
    msg: "{{ proc.stdout | lvs.host.gateways }}"
'''

RETURN = r'''
_value:
  description: The gateways, each once.
  type: list
  elements: str
'''


def gateways(text):
    """Returns the gateways in the text, as the ipaddress module writes them."""
    found = {gateway(line.split()) for line in text.splitlines()}
    return sorted(str(address) for address in found if address)


def gateway(words):
    """Returns the gateway if the words are a default route by way of one."""
    # net/ipv4/fib_trie.c, fib_route_seq_show(): device, destination, gateway, flags, ..., mask is the eighth.
    if len(words) == 11 and words[1] == words[7] == '00000000':
        # The numbers are those of memory, which most machines have the lowest byte first in.
        return ipv4(words[2])
    # net/ipv6/route.c, rt6_info_route(): destination, its prefix, source, its prefix, gateway, ..., device.
    if len(words) == 10 and words[0] == '0' * 32 and words[1] == '00' and int(words[4], 16):
        return ipaddress.IPv6Address(int(words[4], 16))
    return None


def ipv4(word):
    number = int.from_bytes(bytes.fromhex(word), 'little')
    return ipaddress.IPv4Address(number) if number else None


class FilterModule:
    """Names the filter."""

    def filters(self):
        return {'gateways': gateways}
