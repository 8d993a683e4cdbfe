#!/usr/bin/python
# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The documentation only: the module is the binary plugins/bin/sysctl-ARCH, started by the action plugin of the same name.

from __future__ import annotations

DOCUMENTATION = r'''
module: sysctl
short_description: Manage kernel parameters, now and at the next boot
version_added: 0.1.0
author:
  - lvs.host founders (@lvs-host)
description:
  - Sets kernel parameters in the running kernel and stores them in a file for the next boot.
  - All options of M(ansible.posix.sysctl) are here with their meaning, so that a task only needs the other name.
  - The kernel is written first and read again. A value that the kernel refuses, or makes another value of, is never stored,
    and a file that cannot be written puts the kernel back.
  - Only the lines of the named parameters are edited. All else in the file stays as it is, and no other parameter is applied.
  - Parameters that the kernel changes along with one of the task, as C(net.ipv4.ip_forward) changes
    C(net.ipv4.conf.*.forwarding), are shown among the changes.
options:
  name:
    description:
      - The parameter, such as V(net.ipv4.ip_forward), or a pattern, V(net.ipv4.conf.*.rp_filter), which is set wherever it
        matches now and stored as it is. A name beats a pattern that matches it.
      - The first separator counts, as in C(sysctl.d(5)). The interface C(eth0.100) is V(net.ipv4.conf.eth0/100.rp_filter) or
        V(net/ipv4/conf/eth0.100/rp_filter). All dots will do where only one parameter can be meant.
      - Required, unless O(settings) is given.
    type: str
    aliases: [key]
  value:
    description:
      - The value wanted, as text, a number, a boolean or a list.
      - Required with O(name) and O(state=present).
      - V(true), V(yes) and V(on) mean V(1); V(false), V(no) and V(off) mean V(0).
      - Values are compared as the kernel reads them, so white space, V(0x10) for V(16) or V(1,2,3) for V(1-3) change nothing.
      - YAML reads V(0644) as an octal number. Quote a value whose digits have to stay as they are.
    type: raw
    aliases: [val]
  settings:
    description:
      - Many parameters at once, each with its value, as O(name) and O(value). They are read, planned, written and undone
        as one, and replace a file once.
      - A value may be empty here, V(''), for a parameter that is to be cleared.
      - With O(state=absent) the values do not matter.
    type: dict
  state:
    description:
      - With V(present) the parameters have the values.
      - With V(absent) the file has no line for them, in whatever spelling. The running kernel keeps its values, for there are
        none to go back to.
    type: str
    choices: [absent, present]
    default: present
  sysctl_file:
    description:
      - The file that stores the values.
      - By default C(/etc/sysctl.conf) where the boot of this host reads it, else C(/etc/sysctl.d/99-lvs-host.conf). By default
        O(state=absent) takes the parameters out of both, and O(state=present) takes them out of the other one.
      - Refused where another user could exchange it, so every directory on the way, also behind links, belongs to root or to the
        executing user and cannot be written by others. In a directory of everybody, like C(/tmp), what is on the way belongs to
        one of the two.
      - It holds at most 1 MiB.
    type: path
  persist:
    description:
      - Whether to store the values in a file. With V(false) only the running kernel is managed.
      - The default is V(true), and V(false) with O(netns).
    type: bool
  reload:
    description:
      - Whether to set the running kernel too. Only the named parameters are set.
      - With V(false), and without O(sysctl_set), the file alone is managed and the kernel is neither read nor written.
    type: bool
    default: true
  sysctl_set:
    description:
      - Whether to set the running kernel even with O(reload=false).
    type: bool
    default: false
  ignoreerrors:
    description:
      - Whether a parameter that this kernel does not have is stored all the same, with a warning that it is not in force.
      - A value that the kernel refuses still fails.
    type: bool
    default: false
  backup:
    description:
      - Whether to keep a copy of the file beside it before it is replaced.
    type: bool
    default: false
  netns:
    description:
      - The network namespace to work in, by the name that C(ip netns) gave it or by a path that begins with C(/).
      - Only parameters that begin with C(net.) belong to one, and no boot sets them, so nothing is stored.
    type: str
  exclusive:
    description:
      - Whether O(sysctl_file) holds the parameters of O(settings) and no others. Comments stay.
    type: bool
    default: false
notes:
  - A parameter that can be written and not read, such as C(net.ipv4.route.flush), is an act. It is done last, always reported as
    changed, and never stored or undone.
  - A warning tells the file and line of another assignment that wins at the next boot, with systemd or with procps.
  - A warning tells that C(arp_ignore) and C(arp_announce) have no effect on C(lo) or C(default) alone.
  - Switching IPv6 forwarding on where the default route comes from a router advertisement is refused unless C(accept_ra) is 2,
    as that route would be lost.
attributes:
  async:
    support: none
    description: A task takes milliseconds. What would run it in the background needs Python on the target.
  check_mode:
    support: full
    description: Predicts the changes and writes nothing.
  diff_mode:
    support: full
    description: Shows the value in the kernel and in the file, before and after.
  platform:
    support: full
    platforms: linux
    description: The target needs a POSIX shell, and neither Python nor other programs.
seealso:
  - module: ansible.posix.sysctl
  - module: lvs.host.interface_alias
'''

EXAMPLES = r'''
- name: Forward packets, now and after a boot
  lvs.host.sysctl:
    name: net.ipv4.ip_forward
    value: 1

- name: Make a real server keep silent about its virtual IP
  lvs.host.sysctl:
    settings:
      net.ipv4.conf.all.arp_ignore: 1
      net.ipv4.conf.all.arp_announce: 2
    sysctl_file: /etc/sysctl.d/90-lvs.conf

- name: Check the source of packets on every interface but one
  lvs.host.sysctl:
    settings:
      net.ipv4.conf.*.rp_filter: 1
      net.ipv4.conf.lo.rp_filter: 0

- name: Set buffers, in the running kernel only
  lvs.host.sysctl:
    name: net.ipv4.tcp_rmem
    value: [4096, 131072, 6291456]
    persist: false

- name: Store what the kernel has once ip_vs is loaded
  lvs.host.sysctl:
    name: net.ipv4.vs.conntrack
    value: 1
    ignoreerrors: true

- name: Store no value for source address checks any more
  lvs.host.sysctl:
    name: net.ipv4.conf.lo.rp_filter
    state: absent
'''

RETURN = r'''
changes:
  description: What was changed, or in check mode would be changed. Empty when nothing is to be done.
  returned: success
  type: list
  elements: dict
  contains:
    layer:
      description: V(kernel) is what is in force now, V(file) what a boot brings back.
      type: str
      sample: kernel
    file:
      description: The file.
      returned: when RV(changes[].layer=file)
      type: str
      sample: /etc/sysctl.d/99-lvs-host.conf
    item:
      description: The parameter.
      type: str
      sample: net.ipv4.ip_forward
    before:
      description: The value found. Null where there was none.
      type: str
      sample: '0'
    after:
      description: The value now in force. Null where there is none any more.
      type: str
      sample: '1'
settings:
  description: Every parameter of the task with its value before and after, also where nothing changed; the kernel's values
    where the kernel is managed, else the file's.
  returned: success
  type: dict
  sample: {"net.ipv4.ip_forward": {"before": "0", "after": "1"}}
backup_file:
  description: The copy of the file.
  returned: when O(backup=true) and the file was replaced
  type: str
  sample: /etc/sysctl.conf.4711.1795372992588~
msg:
  description: What could not be done, and why.
  returned: failure
  type: str
  sample: 'cannot set net.ipv4.ip_forward to 7x: Invalid argument (os error 22)'
'''
