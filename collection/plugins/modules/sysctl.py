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
      - With a list of mappings of one name each, the parameters are written in that order, in the kernel and in a file that does not
        have them yet. Without one, what changes others comes first.
      - With O(state=absent) and O(state=read) the values do not matter, and a list may have names alone.
    type: raw
  state:
    description:
      - With V(present) the parameters have the values.
      - With V(absent) the file has no line for them, in whatever spelling. The running kernel keeps its values, for there are
        none to go back to.
      - With V(read) nothing is set or stored. RV(settings) has what the kernel holds. A secret, C(net.ipv4.tcp_fastopen_key) or
        C(stable_secret), is not read by a pattern, and what cannot be read is in RV(unreadable).
    type: str
    choices: [absent, present, read]
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
  comment:
    description:
      - >-
        A comment for the line in the file, which stands above it as C(# net.ipv4.ip_forward: the comment). It moves with the line and is
        removed with it.
    type: str
  at_least:
    description:
      - Whether a greater number will do, in the kernel and in a file. Where the kernel holds more and no file names the parameter,
        nothing is stored.
      - Only for values that are one number from 0 on, and not for patterns.
    type: bool
    default: false
extends_documentation_fragment: [lvs.host.runner]
notes:
  - A parameter that can be written and not read, such as C(net.ipv4.route.flush), is an act. It is done last, always reported as
    changed, and never stored or undone.
  - The next boot is simulated, with systemd, procps or BusyBox, whichever the host has. A boot writes lines in their order, and some
    parameters change others. So a new line is added where it neither undoes another one nor is undone, and one of the task's lines that a boot would undo
    is moved. A file that already boots to what is wanted is not rewritten. What cannot be reached so is told in a warning with file
    and line.
  - A pattern is stored as it is, so that a boot sets interfaces that come later too. Where BusyBox boots, whose sysctl does not know patterns,
    the names that it matches are stored in its place; run the task again when an interface has been added.
  - What cannot be taken back, like C(disable_ipv6=1), which removes addresses, or C(kernel.modules_disabled=1), is written when all else has
    gone well.
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

- name: Have room for many connections, and say why
  lvs.host.sysctl:
    name: net.core.somaxconn
    value: 8192
    at_least: true
    comment: the proxy takes bursts

- name: Read what the kernel does with source addresses
  lvs.host.sysctl:
    name: net.ipv4.conf.*.rp_filter
    state: read
  register: filters
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
unreadable:
  description: The parameters that were to be read and cannot be, as they can only be written.
  returned: when O(state=read)
  type: list
  elements: str
  sample: [net.ipv4.route.flush]
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
