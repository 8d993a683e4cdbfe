#!/usr/bin/python
# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The documentation only: the module is the binary plugins/bin/sysctl-ARCH, started by the action plugin of the same name.

from __future__ import annotations

DOCUMENTATION = r'''
module: sysctl
short_description: Manage a kernel parameter
version_added: 0.1.0
author:
  - lvs.host founders (@lvs-host)
description:
  - Sets a kernel parameter in the running kernel and stores it in a file for the next boot.
  - The kernel is written first and read again. A value that the kernel refuses is never stored.
  - Only the lines of the named parameter are edited. All else in the file stays as it is, and no other parameter is applied.
options:
  name:
    description:
      - The parameter, such as V(net.ipv4.ip_forward).
      - Where a part of the name holds a dot, such as the interface V(eth0.100), write the others with slashes,
        V(net/ipv4/conf/eth0.100/rp_filter).
    type: str
    required: true
    aliases: [key]
  value:
    description:
      - The value wanted, as text, a number or a boolean.
      - Required with O(state=present).
      - V(true), V(yes) and V(on) mean V(1); V(false), V(no) and V(off) mean V(0).
      - Values are compared as the kernel reads them, so white space, V(0x10) for V(16) or V(1,2,3) for V(1-3) change nothing.
      - YAML reads V(0644) as an octal number. Quote a value whose digits have to stay as they are.
    type: raw
    aliases: [val]
  state:
    description:
      - With V(present) the parameter has the value.
      - With V(absent) the file has no line for the parameter. The running kernel keeps its value, for there is no value
        to go back to.
    type: str
    choices: [absent, present]
    default: present
  sysctl_file:
    description:
      - The file that stores the value.
      - By default C(/etc/sysctl.conf) where the boot of this host reads it, else C(/etc/sysctl.d/99-lvs-host.conf).
    type: path
  persist:
    description:
      - Whether to store the value in the file. With V(false) only the running kernel is managed.
    type: bool
    default: true
  reload:
    description:
      - Whether to set the running kernel too. Only the named parameter is set.
      - With V(false), and without O(sysctl_set), only the file is managed.
    type: bool
    default: true
  sysctl_set:
    description:
      - Whether to set the running kernel even with O(reload=false).
    type: bool
    default: false
  ignoreerrors:
    description:
      - Whether a parameter that this kernel does not have is a warning instead of a failure.
    type: bool
    default: false
extends_documentation_fragment: []
attributes:
  check_mode:
    support: full
    description: Predicts the changes and writes nothing.
  diff_mode:
    support: full
    description: Shows the value in the kernel and in the file, before and after.
seealso:
  - module: ansible.posix.sysctl
  - module: lvs.host.interface_alias
'''

EXAMPLES = r'''
- name: Forward packets, now and after a boot
  lvs.host.sysctl:
    name: net.ipv4.ip_forward
    value: 1

- name: Answer no ARP request for a virtual IP of the loopback device
  lvs.host.sysctl:
    name: "{{ item.name }}"
    value: "{{ item.value }}"
    sysctl_file: /etc/sysctl.d/90-lvs.conf
  loop:
    - {name: net.ipv4.conf.all.arp_ignore, value: 1}
    - {name: net.ipv4.conf.all.arp_announce, value: 2}

- name: Change the running kernel only
  lvs.host.sysctl:
    name: net.ipv4.vs.conntrack
    value: 1
    persist: false

- name: Store no value for source address checks any more
  lvs.host.sysctl:
    name: net.ipv4.conf.all.rp_filter
    state: absent
'''

RETURN = r'''
changes:
  description: What was changed, or in check mode would be changed. Empty when nothing is to be done.
  returned: success
  type: list
  elements: dict
  contains:
    key:
      description: The parameter.
      type: str
      sample: net.ipv4.ip_forward
    layer:
      description: V(runtime) is the running kernel, V(persistent) the file.
      type: str
      sample: runtime
    file:
      description: The file.
      returned: when RV(changes[].layer=persistent)
      type: str
      sample: /etc/sysctl.d/99-lvs-host.conf
    before:
      description: The value found. Null where there was none.
      type: str
      sample: '0'
    after:
      description: The value now in force. Null where there is none any more.
      type: str
      sample: '1'
msg:
  description: What could not be done, and why.
  returned: failure
  type: str
  sample: 'cannot set net.ipv4.ip_forward to 7x: Invalid argument (os error 22)'
'''
