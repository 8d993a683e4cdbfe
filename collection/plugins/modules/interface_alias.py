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
  - The other addresses of the interface and their routes stay as they are, also when the primary address of theirs goes.
  - What the task does not name of an address is neither compared nor changed.
options:
  name:
    description:
      - The interface, V(eth0), or the interface with the label of the address, V(eth0:1).
      - An alternative name of the interface will do. A label always begins with its own name.
      - Required, here or in each entry of O(aliases).
    type: str
  address:
    description:
      - The IP address, V(192.0.2.10), or the address with the length of its prefix, V(192.0.2.10/24).
      - Required with O(state=present), and with O(state=absent) unless O(name) or O(label) gives a label.
      - Without a prefix an address on C(lo) is a single one, C(/32) or C(/128); on any other interface O(state=present)
        requires one.
      - The same address with another prefix is replaced if this module added it or it is under the label of the task, and is
        an error otherwise.
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
      - Another address that holds the label is replaced, as C(ifconfig) does. That several hold it is an error.
    type: str
  state:
    description:
      - With V(present) the interface has the address, with the label if one is given.
      - With V(absent) the interface does not have it. That there is no such interface is fine then.
    type: str
    choices: [absent, present]
    default: present
  broadcast:
    description:
      - The broadcast address of an IPv4 address, V(none), or V(auto) for the last one of the prefix.
      - A new address gets V(auto).
    type: str
  scope:
    description:
      - The scope of an IPv4 address, V(global), V(site), V(link), V(host) or a number.
      - A new address gets V(global), and V(host) in C(127.0.0.0/8).
    type: str
  peer:
    description: The other end of a point-to-point link.
    type: str
  metric:
    description: The metric of the route to the prefix. V(0) is the kernel's own.
    type: int
  noprefixroute:
    description: Whether the address brings no route to its prefix.
    type: bool
  nodad:
    description: Whether an IPv6 address is used at once, without a look whether another host has it.
    type: bool
  preferred_lft:
    description:
      - With V(0) the address is not used as a source address of new connections, with V(forever) it is.
      - With either an address that had a lifetime, as by DHCP, stays for ever. Without, one that goes by itself is warned of.
    type: str
    choices: ['0', forever]
  link_up:
    description:
      - Whether to bring the interface up, as C(ifconfig) does. With V(false) it is left as it is.
      - With O(state=absent) it has no effect.
    type: bool
    default: false
  create:
    description:
      - With V(dummy) an interface that is not there is made, a dummy one, marked as made by this module (its ifalias), and brought up.
        One that is there is used as it is, and brought up.
      - With O(state=absent) the interface goes with its last address, if it bears the mark or our file has a boot make it, is of kind dummy,
        and has no other address but link-local ones, no route that others added and no master. Otherwise the answer says why it stays. One
        that was there before, also a dummy, is never removed.
      - With O(persist) a boot makes it too, by ifupdown, by systemd-networkd, and by Netplan since version 1.0.
    type: str
    choices: [dummy]
  aliases:
    description:
      - Many addresses at once. What an entry leaves out it takes from the task.
      - Those that are new come in the order in which they are given, now and after a boot, so the first of a network is its primary.
        What is there keeps its place.
      - An entry has the same options but for O(aliases), O(netns), O(wait), O(purge), O(check_conflict), O(announce) and O(persist),
        which are for the whole task.
    type: list
    elements: dict
  purge:
    description:
      - Which other addresses of the interfaces are removed. V(label) are those under a label of the task, V(owned) those that
        this module added, which kernels since Linux 5.18 remember, and V(all) are all.
      - Never removed are C(127.0.0.1), C(::1), link-local and dynamic addresses, those that another program marks as its own,
        and the one that the SSH connection came in on.
    type: str
    choices: [none, label, owned, all]
    default: none
  check_conflict:
    description:
      - Whether to ask on the wire, before an address is added, if another host has it (RFC 5227 for IPv4, RFC 4862 for IPv6). If
        one answers, the task fails and names its MAC address.
      - It takes three seconds for each interface, however many addresses are added, and the interface must be up.
      - Without it the kernel still looks for the duplicate of an IPv6 address, unless O(nodad) is set, but cannot tell who has it.
    type: bool
    default: false
  announce:
    description:
      - How other hosts are told of an address that was added, by gratuitous ARP or unsolicited neighbour advertisements.
      - Nothing is announced of an address that was there. An announcement that fails is a warning.
    type: dict
    suboptions:
      count:
        description: How many announcements are sent.
        type: int
        default: 2
      interval:
        description: How many milliseconds lie between two of them.
        type: int
        default: 2000
  netns:
    description: The network namespace to work in, by the name that C(ip netns) gave it or by a path that begins with C(/).
    type: str
  persist:
    description:
      - Which network manager brings the addresses back after a boot. They are set in the running kernel at once all the same, without
        a restart of anything, and both are read, compared, changed and put back as one.
      - V(none) is for the running kernel alone. Such an address is gone after a boot. It is gone sooner with C(networkctl reload) after
        any change of the interface's files, with C(networkctl reconfigure), with the start of a newer systemd-networkd, with C(nmcli
        device reapply), C(nmcli connection up), C(netplan apply), C(ifdown) of the interface, and when keepalived starts that has it
        in its configuration.
      - V(auto) finds the manager that has brought the interface up; a stanza of ifupdown counts by itself only where no other manager
        has, and ifupdown is there. That there is none, or more than one, is an error, but O(state=absent) removes what any of them
        has. For C(lo), which systemd-networkd, Netplan and NetworkManager leave alone, it is the manager of the other interfaces.
      - What reads the files takes the names of the interface and the label for names only if they have letters, digits and C(_.-:@+) alone;
        others are refused, except with V(networkmanager), whose files have no names. O(state=absent) takes any.
      - V(ifupdown) writes stanzas to C(/etc/network/interfaces.d/lvs-host-INTERFACE), which C(/etc/network/interfaces) has to C(source),
        and enters an alias in C(/run/network/ifstate), or a restart of C(networking) would fail. An IPv4 address needs a label or prefix
        32. An interface that C(auto) does not start, as with C(allow-hotplug), keeps its way of starting, and the alias comes with it;
        with a prefix below 32 only if the file is read after the interface's own stanza.
      - V(ifupdown2) (Proxmox) and V(ifupdown-ng) (Alpine) read the same file in ways of their own. They get commands that they run when the
        interface's own addresses are there. ifupdown2 has to be told of the file by C(source /etc/network/interfaces.d/*), ifupdown-ng by
        C(source-directory /etc/network/interfaces.d). The C(ifup) of BusyBox is refused.
      - V(networkd) writes a drop-in C(lvs-host-INTERFACE.conf) beside the C(.network) file of the interface. systemd-networkd reads it at
        its next start or C(networkctl reload); it is not told to before, since a reload drops the addresses and routes of others.
      - V(netplan) writes C(/etc/netplan/90-lvs-host-INTERFACE.yaml), which the next C(netplan apply) takes up as well. It keeps labels
        only with the renderer networkd. A file that has the interface and whose name sorts after that one is an error, since
        Netplan needs the definition of a device before what is added to it.
      - V(networkmanager) adds a line to the profile that the interface uses, and has NetworkManager load that, which sets nothing. It
        keeps no labels.
      - What a manager cannot keep is an error before anything is changed. A file of ours is removed with its last address.
      - Where something is to be stored or removed, the manager's own reader reads the files as they are to be, in check mode too, if it
        has one. What it takes now and would not take then is an error. What it does not take already is a warning.
      - What an earlier version stored where it puts the next boot at risk is warned of by every run, and O(state=absent) removes it.
    type: str
    choices: [none, auto, ifupdown, ifupdown2, ifupdown-ng, networkd, netplan, networkmanager]
    default: none
  wait:
    description:
      - For how many seconds to wait for an interface that is not there yet.
    type: int
    default: 0
extends_documentation_fragment: [lvs.host.runner]
notes:
  - Without O(persist) the address is the running kernel's alone.
  - A manager that has read the files before may set an address again that was removed, when the interface loses its carrier or other
    addresses come or go. The answer then has a warning that tells how to make it read them.
  - An IPv6 address that another host has fails, and is tried anew by the next run.
  - An address that another interface of the host has as well is warned of when it is added.
  - An address that is to go by its label goes too where a boot has lost the label, if our file has the address under it.
  - An address that keepalived on the host has in its configuration is refused, since keepalived would take it away.
attributes:
  async:
    support: none
    description: A task takes milliseconds. What would run it in the background needs Python on the target.
  check_mode:
    support: full
    description: Predicts the changes and writes nothing.
  diff_mode:
    support: full
    description: Shows the address before and after.
  platform:
    support: full
    platforms: linux
    description: The target needs a POSIX shell, and neither Python nor other programs.
seealso:
  - module: lvs.host.sysctl
'''

EXAMPLES = r'''
- name: Hold the virtual IP of the director
  lvs.host.interface_alias:
    name: eth0:1
    address: 192.0.2.10
    netmask: 255.255.255.0
    check_conflict: true
    announce:
      count: 3
      interval: 500

- name: Give the virtual IP away
  lvs.host.interface_alias:
    name: eth0:1
    address: 192.0.2.10/24
    state: absent

- name: Accept packets for the virtual IP on a real server
  lvs.host.interface_alias:
    name: lo
    label: '0'
    address: 192.0.2.10/32

- name: Hold several virtual IPs, and none that were added before
  lvs.host.interface_alias:
    name: eth0
    prefix: 32
    aliases:
      - {address: 192.0.2.11, label: 1}
      - {address: 192.0.2.12, label: 2}
      - {address: 2001:db8::10, prefix: 128, preferred_lft: 0}
    purge: owned

- name: Hold a virtual IP on an interface made for it
  lvs.host.interface_alias:
    name: vip0
    address: 192.0.2.14/32
    create: dummy

- name: Hold a virtual IP now and after each boot
  lvs.host.interface_alias:
    name: eth0:3
    address: 192.0.2.13/32
    persist: auto
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
      sample: /etc/network/interfaces.d/lvs-host-eth0
    item:
      description: The address, by C(interface), C(address) and, for IPv4, C(prefix), which tells addresses apart; or the C(interface)
        alone, where O(link_up) changed that.
      type: dict
      sample: {"address": "192.0.2.10", "interface": "eth0", "prefix": 24}
    before:
      description: The attributes found, such as C(label), C(prefix), C(broadcast) and C(scope). Null where there was no such address.
      type: dict
      sample: null
    after:
      description: The attributes now in force. Null where there is no such address any more.
      type: dict
      sample: {"broadcast": "192.0.2.255", "label": "eth0:1", "prefix": 24, "scope": "global"}
persist:
  description: By interface, the manager that brings the addresses back after a boot, and the file.
  returned: success, with O(persist) other than V(none)
  type: dict
  sample: {"eth0": {"file": "/etc/network/interfaces.d/lvs-host-eth0", "manager": "ifupdown"}}
msg:
  description: What could not be done, and why.
  returned: failure
  type: str
  sample: 'cannot find the interface eth7: there is none of that name; check the name with `ip link`'
'''
