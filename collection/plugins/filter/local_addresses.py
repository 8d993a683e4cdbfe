# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads which addresses a host takes for its own."""

from __future__ import annotations

import ipaddress
import re

DOCUMENTATION = r'''
name: local_addresses
short_description: The addresses that a host takes for its own
version_added: 0.1.0
author: lvs.host founders (@lvs-host)
description: Reads the text of C(/proc/net/fib_trie) and C(/proc/net/if_inet6), for hosts that have no C(ip).
positional: _input
options:
  _input:
    description: The text of both files, one after the other.
    type: str
    required: true
'''

EXAMPLES = r'''
- name: Read the addresses
  ansible.builtin.raw: cat /proc/net/fib_trie /proc/net/if_inet6
  changed_when: false
  register: proc

- name: Show them
  ansible.builtin.debug:
    msg: "{{ proc.stdout | lvs.host.local_addresses }}"
'''

RETURN = r'''
_value:
  description: The addresses, each once.
  type: list
  elements: str
'''

# net/ipv4/fib_trie.c, fib_trie_seq_show(): a leaf, and on lines of their own its prefixes and what they are.
LEAF = re.compile(r'\|-- (\S+)')
LOCAL = re.compile(r'/32 host LOCAL')
# net/ipv6/addrconf.c, if6_seq_show(): address, index, prefix, scope, flags, device.
INET6 = re.compile(r'([0-9a-f]{32}) [0-9a-f]+ [0-9a-f]{2,} [0-9a-f]{2,} [0-9a-f]{2,} +\S+')


def local_addresses(text):
    """Returns the addresses in the text, as the ipaddress module writes them."""
    found, leaf = set(), None
    for line in text.splitlines():
        if match := LEAF.search(line):
            leaf = match[1]
        elif leaf and LOCAL.search(line):
            found.add(leaf)
        elif match := INET6.fullmatch(line.strip()):
            found.add(str(ipaddress.IPv6Address(int(match[1], 16))))
    return sorted(found)


class FilterModule:
    """Names the filter."""

    def filters(self):
        return {'local_addresses': local_addresses}
