#!/usr/bin/python
# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The documentation only: the module is the binary plugins/bin/ipvs-ARCH, started by the action plugin of the same name.

from __future__ import annotations

DOCUMENTATION = r'''
module: ipvs
short_description: Manage the timeouts and sync daemons of a director
version_added: 0.1.0
author:
  - lvs.host founders (@lvs-host)
description:
  - Sets what IPVS has once in a network namespace - how long it remembers connections, and the daemons that tell another director of
    them. C(ipvsadm --set) and C(ipvsadm --start-daemon) do the same, and are not needed.
  - What the task does not name is left as it is.
options:
  timeouts:
    description: For how many seconds a connection is remembered after its last packet, each to V(2147483).
    type: dict
    suboptions:
      tcp:
        description: One of TCP that is established. The kernel begins with V(900).
        type: int
      tcpfin:
        description: One of TCP that is being closed. The kernel begins with V(120).
        type: int
      udp:
        description: All of UDP. The kernel begins with V(300).
        type: int
  master:
    description: The daemon that tells other directors of connections.
    type: dict
    suboptions:
      state:
        description: Whether it runs. The default is V(present).
        type: str
        choices: [absent, present]
      interface:
        description: The interface that it talks on, which has to be up. Required for one that does not run yet.
        type: str
      syncid:
        description: A number from V(0) to V(255) that directors have in common which belong together. A new daemon gets V(0).
        type: int
      group:
        description: The multicast address. A new daemon gets V(224.0.0.81).
        type: str
      port:
        description: The port of UDP. A new daemon gets V(8848).
        type: int
      ttl:
        description: How far packets go, to V(255). A new daemon gets V(1).
        type: int
      maxlen:
        description:
          - How many bytes a packet has at most. It is not over what packets of the interface have room for. A new daemon gets V(1472),
            with IPv6 V(1452).
        type: int
  backup:
    description: The daemon that is told by another director. It may run beside O(master).
    type: dict
    suboptions:
      state:
        description: Whether it runs. The default is V(present).
        type: str
        choices: [absent, present]
      interface:
        description: The interface that it talks on, which has to be up. Required for one that does not run yet.
        type: str
      syncid:
        description: A number from V(0) to V(255) that directors have in common which belong together. A new daemon gets V(0), which listens to all.
        type: int
      group:
        description: The multicast address. A new daemon gets V(224.0.0.81).
        type: str
      port:
        description: The port of UDP. A new daemon gets V(8848).
        type: int
      ttl:
        description: How far packets go, to V(255). A new daemon gets V(1).
        type: int
      maxlen:
        description: How many bytes a packet has at most. It is V(1024) at least. A new daemon gets what packets of the interface have room for.
        type: int
  netns:
    description: The network namespace to work in, by the name that C(ip netns) gave it or by a path that begins with C(/).
    type: str
extends_documentation_fragment: [lvs.host.runner]
notes:
  - All of it is the running kernel's alone, and gone after a boot. Have the play run again after one.
  - A daemon that runs takes no other settings, so it is stopped and started to be changed. A failure starts it as it was.
  - A daemon outlives its interface and then talks with nobody. One on an interface that is not there is refused.
  - A daemon cannot know services with real servers of another family. Both together are refused by the kernel.
  - IPVS needs C(CAP_NET_ADMIN) of the host, also in check mode where it is loaded. Check mode loads no module.
  - Other settings of IPVS are kernel parameters, C(net.ipv4.vs.*), such as C(net.ipv4.vs.sync_threshold). M(lvs.host.sysctl) sets them.
attributes:
  async:
    support: none
    description: A task takes milliseconds. What would run it in the background needs Python on the target.
  check_mode:
    support: full
    description: Predicts the changes, writes nothing and loads nothing.
  diff_mode:
    support: full
    description: Shows the timeouts, and the daemons as C(ipvsadm) takes them.
  platform:
    support: full
    platforms: linux
    description: The target needs a POSIX shell and IPVS in its kernel, and neither Python nor other programs.
seealso:
  - module: lvs.host.virtual_service
  - module: lvs.host.sysctl
'''

EXAMPLES = r'''
- name: Remember idle connections for an hour
  lvs.host.ipvs:
    timeouts:
      tcp: 3600

- name: Tell the other director of connections, and be told
  lvs.host.ipvs:
    master:
      interface: eth0
      syncid: 7
    backup:
      interface: eth0
      syncid: 7

- name: Be told no more
  lvs.host.ipvs:
    backup:
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
      description: V(kernel), as all of it is in force now.
      type: str
      sample: kernel
    item:
      description: The C(timeout), or the C(sync_daemon).
      type: dict
      sample: {"sync_daemon": "master"}
    before:
      description: What was found, seconds or how the daemon talks. Null where none ran.
      type: raw
      sample: null
    after:
      description: What is in force now, seconds or how the daemon talks. Null where none runs.
      type: raw
      sample: {"interface": "eth0", "syncid": 7, "group": "224.0.0.81", "port": 8848, "ttl": 1, "maxlen": 1472}
msg:
  description: What could not be done, and why.
  returned: failure
  type: str
  sample: 'cannot start the sync daemon master: the interface eth0 is down; bring it up first'
'''
