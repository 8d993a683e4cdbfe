# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Turns the virtual IPs of an inventory into aliases for lvs.host.interface_alias."""

from __future__ import annotations

import ipaddress

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r'''
name: vips
short_description: Virtual IPs as entries of interface_alias
version_added: 0.1.0
author: lvs.host founders (@lvs-host)
description:
  - Makes a list for the option O(lvs.host.interface_alias#module:aliases) from a list of virtual IPs.
  - A virtual IP without a prefix gets that of a single address, C(/32) or C(/128).
  - A single IPv6 address is deprecated, so that no connection of the host itself starts from it.
positional: _input
options:
  _input:
    description: Addresses, V(192.0.2.10), or dictionaries with V(address) and perhaps V(label).
    type: list
    required: true
  single:
    description: Whether a virtual IP with the prefix of a network is refused, as on a real server.
    type: bool
    default: false
  interface:
    description: Where the virtual IPs are.
    type: str
  interface6:
    description: Where those of IPv6 are, if somewhere else.
    type: str
  state:
    description: Whether they are there. With V(absent) they go whatever their labels and prefixes are.
    type: str
  former:
    description: Virtual IPs that are given up. One that is in both lists is refused.
    type: list
  variable:
    description: What a message calls the list.
    type: str
    default: lvs_vips
'''

EXAMPLES = r'''
- name: Hold the virtual IPs on lo
  lvs.host.interface_alias:
    aliases: "{{ ['192.0.2.10', '2001:db8::10'] | lvs.host.vips(single=true, interface='lo') }}"
'''

RETURN = r'''
_value:
  description: The entries.
  type: list
  elements: dict
'''


def vips(entries, single=False, interface=None, interface6=None, state=None, former=(), variable='lvs_vips'):
    """Returns one alias for each virtual IP."""
    if not isinstance(entries, list):
        raise AnsibleFilterError(f'{variable} is no list: write [{entries}]')
    aliases = [alias(entry, single, variable) for entry in entries]
    if state == 'absent':
        # Whatever its label and its prefix are: what stays of a real server's would be answered for.
        aliases = [{'address': item['address']} for item in aliases]
    for item in aliases:
        name = interface6 if interface6 and ':' in item['address'] else interface
        item.update({key: value for key, value in {'name': name, 'state': state}.items() if value})
    addresses = [item['address'] for item in aliases]
    for address in addresses:
        if addresses.count(address) > 1:
            raise AnsibleFilterError(f'{variable} has {address} twice: write it once')
    for item in vips(former, variable='lvs_former_vips') if former else []:
        if item['address'] in addresses:
            raise AnsibleFilterError(f"{item['address']} is in {variable} and in lvs_former_vips: take it out of one")
    return aliases


def alias(entry, single, variable):
    """Returns the alias for one virtual IP."""
    entry = dict(entry) if isinstance(entry, dict) else {'address': entry}
    if unknown := set(entry) - {'address', 'label'}:
        raise AnsibleFilterError(f'{variable} has an entry with {sorted(unknown)[0]}: it takes address and label')
    text = str(entry.get('address', ''))
    try:
        vip = ipaddress.ip_interface(text)
    except ValueError:
        raise AnsibleFilterError(f'{variable} has "{text}", which is no IP address: write one like 192.0.2.10') from None
    if vip.ip.is_link_local or vip.ip.is_loopback or vip.ip.is_multicast or vip.ip.is_unspecified:
        raise AnsibleFilterError(f'{variable} has {text}, which no client reaches: write one like 192.0.2.10')
    length = vip.network.prefixlen
    if single and length != vip.max_prefixlen:
        raise AnsibleFilterError(f'{variable} has {text}: on a real server the prefix makes all of {vip.network} '
                                 f'its own, and cuts it off from that network; write {vip.ip}')
    deprecated = {'preferred_lft': '0'} if vip.version == 6 and length == vip.max_prefixlen else {}
    return {**entry, 'address': str(vip.ip), 'prefix': length, **deprecated}


class FilterModule:
    """Names the filter."""

    def filters(self):
        return {'vips': vips}
