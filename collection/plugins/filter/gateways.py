# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads by which gateways a host sends packets."""

from __future__ import annotations

import ipaddress
import re

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r'''
name: gateways
short_description: The gateways of a host's routes
version_added: 0.1.0
author: lvs.host founders (@lvs-host)
description: Reads the text of C(/proc/net/route) and C(/proc/net/ipv6_route), for hosts that have no C(ip).
positional: _input
options:
  _input:
    description: The text of both files, one after the other.
    type: str
    required: true
  to:
    description: The network that the packets go to, as V(192.0.2.0/24). By default it is all that has no route of its own, of both families.
    type: str
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


def gateways(text, to=None):
    """Returns the gateways in the text for a network, as the ipaddress module writes them."""
    networks = [network(to)] if to else [ipaddress.ip_network('0.0.0.0/0'), ipaddress.ip_network('::/0')]
    routes = [route for route in map(read_route, map(str.split, text.splitlines())) if route]
    return sorted(str(gateway) for wanted in networks for gateway in nearest(routes, wanted))


def network(text):
    try:
        return ipaddress.ip_network(str(text))
    except ValueError:
        raise AnsibleFilterError(f'"{text}" is no network: write one like 192.0.2.0/24') from None


def nearest(routes, wanted):
    """Returns the gateways of the routes that cover a network with the longest prefix."""
    covering = [(to, gateway) for to, gateway in routes if to.version == wanted.version and wanted.subnet_of(to)]
    longest = max((to.prefixlen for to, _gateway in covering), default=0)
    return {gateway for to, gateway in covering if to.prefixlen == longest and gateway}


def read_route(words):
    """Returns the network and the gateway, or None, of a route. One that refuses its packets has no gateway either."""
    # net/ipv4/fib_trie.c, fib_route_seq_show(): device, destination, gateway, flags, ..., mask is the eighth.
    if len(words) == 11 and re.fullmatch('[0-9A-F]{8}', words[1]):
        return ipaddress.ip_network(f'{ipv4(words[1])}/{ipv4(words[7])}'), ipv4(words[2]) if int(words[2], 16) else None
    # net/ipv6/route.c, rt6_info_route(): destination, its prefix, source, its prefix, gateway, ..., device. The kernel's own
    # `unreachable default` is on lo.
    if len(words) == 10 and len(words[0]) == 32 and words[9] != 'lo':
        gateway = int(words[4], 16)
        return ipaddress.IPv6Network((int(words[0], 16), int(words[1], 16)), strict=False), ipaddress.IPv6Address(gateway) if gateway else None
    return None


def ipv4(word):
    # The numbers are those of memory, which most machines have the lowest byte first in.
    return ipaddress.IPv4Address(int.from_bytes(bytes.fromhex(word), 'little'))


class FilterModule:
    """Names the filter."""

    def filters(self):
        return {'gateways': gateways}
