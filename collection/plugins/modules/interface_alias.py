#!/usr/bin/python
# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The documentation only: the module is the binary plugins/bin/interface_alias-ARCH, started by the action plugin of the same name.

from __future__ import annotations

DOCUMENTATION = r'''
module: interface_alias
short_description: Manage an IP address with a label
version_added: 0.1.0
author:
  - lvs.host founders (@lvs-host)
description:
  - Adds an IP address to an interface of the running kernel, or removes it, as C(ifconfig eth0:1 192.0.2.10) or
    C(ip address add 192.0.2.10/24 dev eth0 label eth0:1) does.
  - The other addresses of the interface stay as they are.
options:
  name:
    description:
      - The interface, V(eth0), or the interface with the label of the address, V(eth0:1).
    type: str
    required: true
  address:
    description:
      - The IP address, V(192.0.2.10), or the address with the length of its prefix, V(192.0.2.10/24).
      - Required with O(state=present), and with O(state=absent) unless O(name) or O(label) gives a label.
      - Without a prefix an address on C(lo) is a single one, C(/32) or C(/128); on any other interface O(state=present)
        requires one.
    type: str
    aliases: [ip]
  netmask:
    description:
      - The netmask of an IPv4 address, such as V(255.255.255.0).
      - Not together with O(prefix).
    type: str
  prefix:
    description:
      - The length of the prefix, such as V(24).
      - Not together with O(netmask).
    type: int
  label:
    description:
      - The label of an IPv4 address, whole, V(eth0:1), or only the part after the colon, V(1).
      - By default the label in O(name). Where neither is given, a new address gets the interface's name for a label, as the
        kernel has it, and the label of one that is there is left as it is.
      - Another address that holds the label is replaced, as C(ifconfig) does.
    type: str
  state:
    description:
      - With V(present) the interface has the address, with the label if one is given.
      - With V(absent) the interface does not have it.
    type: str
    choices: [absent, present]
    default: present
extends_documentation_fragment: []
attributes:
  check_mode:
    support: full
    description: Predicts the changes and writes nothing.
  diff_mode:
    support: full
    description: Shows the address before and after.
seealso:
  - module: lvs.host.sysctl
'''

EXAMPLES = r'''
- name: Hold the virtual IP of the director
  lvs.host.interface_alias:
    name: eth0:1
    address: 192.0.2.10
    netmask: 255.255.255.0

- name: Accept packets for the virtual IP on a real server
  lvs.host.interface_alias:
    name: lo
    label: '0'
    address: 192.0.2.10/32

- name: Give the virtual IP away
  lvs.host.interface_alias:
    name: eth0:1
    address: 192.0.2.10/24
    state: absent
'''

RETURN = r'''
changes:
  description: What was changed, or in check mode would be changed. Empty when nothing is to be done.
  returned: success
  type: list
  elements: dict
  contains:
    interface:
      description: The interface.
      type: str
      sample: eth0
    address:
      description: The address.
      type: str
      sample: 192.0.2.10
    prefix:
      description: The length of the prefix, which tells IPv4 addresses apart. Not given for IPv6.
      type: int
      sample: 24
    before:
      description: The attributes found, such as C(label), C(prefix), C(broadcast) and C(scope). Null where there was no such address.
      type: dict
    after:
      description: The attributes now in force. Null where there is no such address any more.
      type: dict
msg:
  description: What could not be done, and why.
  returned: failure
  type: str
  sample: 'cannot find the interface eth7: there is none of that name; check the name with `ip link`'
'''
