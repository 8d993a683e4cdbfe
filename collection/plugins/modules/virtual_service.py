#!/usr/bin/python
# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The documentation only: the module is the binary plugins/bin/virtual_service-ARCH, started by the action plugin of the same name.

from __future__ import annotations

DOCUMENTATION = r'''
module: virtual_service
short_description: Manage the virtual services of a director and their real servers
version_added: 0.1.0
author:
  - lvs.host founders (@lvs-host)
description:
  - Adds virtual services and their real servers to the IPVS table of the running kernel, changes them, drains and removes them, as
    C(ipvsadm) does, which is not needed.
  - The kernel takes entries whole. They are read first, and what the task does not name is left as it is - weights, thresholds,
    persistence, other real servers and other services.
  - A service is never removed to be changed, so no connection is lost by a change. Connections that are there go on as they began.
  - While the scheduler of a service changes, the kernel refuses its new clients for a moment, some milliseconds.
  - A failure puts back what was changed. Removals are done last, as their connections only live on with
    C(net.ipv4.vs.expire_nodest_conn=0), the kernel's default.
options:
  address:
    description:
      - The address that clients use, V(192.0.2.10), or the address with the port, V(192.0.2.10:80) or V([2001:db8::10]:443).
      - Required, unless O(fwmark) is given, here or in each entry of O(services).
    type: str
  port:
    description:
      - The port that clients use; V(0) is any, which needs O(persistence).
      - Required with O(address), unless that has it.
    type: int
  protocol:
    description: The protocol. The default is V(tcp).
    type: str
    choices: [tcp, udp, sctp]
  fwmark:
    description: The firewall mark of the packets, from V(1), instead of O(address), O(port) and O(protocol).
    type: int
  family:
    description: The family of the packets with O(fwmark). The default is V(ipv4).
    type: str
    choices: [ipv4, ipv6]
  scheduler:
    description:
      - How a real server is chosen, such as V(wlc), V(rr), V(wrr), V(lc), V(sh), V(mh), V(dh), V(lblc), V(lblcr), V(sed), V(nq),
        V(fo), V(ovf) or V(twos). The kernel loads its module C(ip_vs_NAME).
      - A new service gets V(wlc).
    type: str
  flags:
    description:
      - What else is said of that, as a whole - V(ops) schedules each packet of UDP by itself; V(sh-fallback) and V(mh-fallback) let a
        client go elsewhere whose real server is at weight 0; V(sh-port) and V(mh-port) look at the client's port as well; V(flag-1),
        V(flag-2) and V(flag-3) are those of other schedulers.
      - V([]) takes all of them away.
    type: list
    elements: str
  persistence:
    description:
      - For how many seconds a client comes back to the same real server; V(0) switches it off.
      - Or a dictionary with C(timeout), by default 360; C(netmask) for IPv4 or C(prefix), for clients that count as one; and C(engine),
        V(sip) to tell clients of UDP by the Call-ID, or V(none). What it leaves out is left alone.
    type: raw
  forward:
    description:
      - How packets get to the real servers that do not say it themselves - V(nat) changes their destination, V(dr) only sends them on,
        V(tun) packs them.
      - Required, here or there, for a real server that is added, since C(ipvsadm) and keepalived have different defaults.
    type: str
    choices: [nat, dr, tun]
  real_servers:
    description: The real servers.
    type: list
    elements: dict
    suboptions:
      address:
        description:
          - The address of the real server, which may have the port behind it.
          - Another family than that of the service needs V(tun).
        type: str
        required: true
      port:
        description: The port. The default is that of the service. With V(dr) and V(tun) it can be no other, as packets are not changed.
        type: int
      weight:
        description:
          - How many new requests it gets beside the others, to V(65535). With V(0) it gets none, and keeps its connections.
          - It is left alone where it is not given, a drained one's too. A new real server gets V(1).
        type: int
      forward:
        description: How packets get there.
        type: str
        choices: [nat, dr, tun]
      upper_threshold:
        description: At how many connections it gets no new ones; V(0) is never.
        type: int
      lower_threshold:
        description: Below how many it gets new ones again; V(0) is three quarters of O(real_servers[].upper_threshold).
        type: int
      tunnel:
        description: How packets are packed with V(tun). A new real server gets V(ipip).
        type: dict
        suboptions:
          type:
            description: The packing. The default is V(ipip).
            type: str
            choices: [ipip, gue, gre]
          port:
            description: Where the real server takes packets of V(gue), which needs it.
            type: int
          checksum:
            description: The checksum of V(gue), or of V(gre), which has no V(remcsum). The default is V(none).
            type: str
            choices: [none, csum, remcsum]
      state:
        description:
          - With V(drained) it is at weight 0, whatever O(real_servers[].weight) says; one that is not there is left out.
          - With V(absent) it is removed.
          - The default is V(present).
        type: str
        choices: [present, drained, absent]
  state:
    description:
      - With V(present) the service is there.
      - With V(absent) it is not, and neither are its real servers; the other options may stay.
      - The default is V(present).
    type: str
    choices: [absent, present]
  services:
    description:
      - Many services in one task. They are read, planned, written and undone as one.
      - Each entry has the options above, and takes from the task what it leaves out.
    type: list
    elements: dict
  purge:
    description:
      - What goes that the task does not list - V(real_servers) of its services, or V(all), other services too.
    type: str
    choices: [none, real_servers, all]
    default: none
  drain:
    description:
      - For how many seconds to wait until the connections of real servers have ended that go or are V(drained). They get no new ones
        meanwhile.
      - When the time is over, the task fails, and they stay at weight 0. It can be repeated.
      - With V(0) nothing is waited for. RV(connections) then tells what C(until) can look at.
    type: int
    default: 0
  drain_until:
    description:
      - Which connections have to end. V(active) are those that are established, which UDP has none of. V(all) are those as well that the
        kernel remembers, for 2 minutes after the end of a TCP connection, and the clients of a persistent service.
    type: str
    choices: [active, all]
    default: active
  persist:
    description:
      - What brings the services of the task back after a boot. V(none) is nothing.
      - V(systemd) is a unit of this module, which sets them before the network is up and so before a virtual IP is there. It starts a
        copy of the module with the services in C(/etc/lvs-host/virtual_services.json).
      - V(ipvsadm) is the boot service of C(ipvsadm) as on Debian, with C(/etc/ipvsadm.rules). It empties the table first and sets it
        after the network is up.
      - V(auto) is V(ipvsadm) where that service is on and C(AUTO="true") in C(/etc/default/ipvsadm), else V(systemd). A host without
        either is refused.
    type: str
    choices: [none, auto, systemd, ipvsadm]
    default: none
  netns:
    description:
      - The network namespace to work in, by the name that C(ip netns) gave it or by a path that begins with C(/).
      - Not with O(persist), as a boot makes no such namespace.
    type: str
extends_documentation_fragment: [lvs.host.runner]
notes:
  - Without O(persist) the table is the running kernel's alone, and gone after a boot.
  - With it, the services that such tasks named are kept as they are then, with the real servers that such tasks named; what V(drained) does
    to a weight is not kept. They go with O(state=absent) or O(purge) in a task with O(persist).
  - The files of V(systemd) are the services, C(lvs-host-virtual-service.service) and the link that enables it, a list of the modules of
    the kernel in C(/etc/modules-load.d), and the module in C(/usr/libexec/lvs-host/boot), or below C(/usr/local/libexec) where C(/usr) is
    read-only. All are compared, shown and undone as entries, a newer module replaces an older one, and they go with the last service.
  - A start of that unit adds and changes what is missing or differs, and removes nothing, so a restart harms no connection. With a file
    that it does not understand, as one that is damaged or of a newer version, it fails and changes nothing.
  - IPVS needs C(CAP_NET_ADMIN) of the host, also in check mode where there is a table. Check mode loads no module.
  - Services that keepalived or ldirectord on this host have in their configuration are refused, and all where kube-proxy or kube-router owns
    the table, as they would take them away.
  - A warning tells what weight 0 or a removal does to clients, as with the schedulers V(sh), V(mh) and V(dh) or with persistence.
  - Packets have to get to the director before services are of use, so add the services before the virtual IP.
attributes:
  async:
    support: none
    description: A task takes milliseconds, unless O(drain) waits. What would run it in the background needs Python on the target.
  check_mode:
    support: full
    description: Predicts the changes, writes nothing, loads nothing and waits for nothing.
  diff_mode:
    support: full
    description: Shows the entries as lines that C(ipvsadm) takes.
  platform:
    support: full
    platforms: linux
    description: The target needs a POSIX shell and IPVS in its kernel, and neither Python nor other programs.
seealso:
  - module: lvs.host.interface_alias
  - module: lvs.host.sysctl
'''

EXAMPLES = r'''
- name: Balance a web site
  lvs.host.virtual_service:
    address: 192.0.2.10:80
    scheduler: wlc
    forward: dr
    real_servers:
      - address: 10.0.0.11
        weight: 2
      - address: 10.0.0.12
        weight: 1

- name: Keep a client at its real server for five minutes
  lvs.host.virtual_service:
    address: 192.0.2.10:80
    persistence: 300

- name: Give one real server no new requests
  lvs.host.virtual_service:
    address: 192.0.2.10:80
    real_servers:
      - address: 10.0.0.12
        state: drained
    drain: 60

- name: Have these services and no others
  lvs.host.virtual_service:
    scheduler: mh
    flags: [mh-fallback]
    forward: nat
    real_servers:
      - address: 10.0.0.11
      - address: 10.0.0.13
    services:
      - address: 192.0.2.10:80
      - address: 192.0.2.10:443
      - fwmark: 7
    purge: all

- name: Send packets of IPv6 through tunnels
  lvs.host.virtual_service:
    address: '[2001:db8::10]:443'
    forward: tun
    real_servers:
      - address: 10.0.0.11
        tunnel:
          type: gue
          port: 6080
          checksum: csum

- name: Have a service now and after a boot
  lvs.host.virtual_service:
    address: 192.0.2.10:8080
    forward: nat
    real_servers:
      - address: 10.0.0.11
    persist: auto

- name: Remove a service
  lvs.host.virtual_service:
    address: 192.0.2.10:443
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
      description: V(kernel), what is in force now, or V(file), what a boot brings back.
      type: str
      sample: kernel
    file:
      description: The file, with C(layer=file).
      type: str
      sample: /etc/lvs-host/virtual_services.json
    item:
      description:
        - The service, as V(tcp 192.0.2.10:80) or V(fwmark 7), and the C(real_server), if it is one.
        - Or the C(part) that a file as a whole is of what a boot needs, V(modules), V(unit), V(link) or V(program).
      type: dict
      sample: {"service": "tcp 192.0.2.10:80", "real_server": "10.0.0.11:80"}
    before:
      description: What was found. Null where there was nothing.
      type: dict
      sample: {"forward": "dr", "weight": 2, "upper_threshold": 0, "lower_threshold": 0}
    after:
      description: What is in force now. Null where there is nothing any more.
      type: dict
      sample: {"forward": "dr", "weight": 0, "upper_threshold": 0, "lower_threshold": 0}
connections:
  description:
    - The connections of the real servers that were changed, go or are drained, as they were last seen.
    - An C(until) such as C(answer.connections | map(attribute='active') | sum == 0) waits for their end.
  returned: success
  type: list
  elements: dict
  sample: [{"service": "tcp 192.0.2.10:80", "real_server": "10.0.0.12:80", "weight": 0, "active": 3, "inactive": 12, "persistent": 0}]
persist:
  description: What brings the services back after a boot, V(systemd) or V(ipvsadm), and the C(file) that they are in.
  returned: success, with O(persist) other than V(none)
  type: dict
  sample: {"manager": "systemd", "file": "/etc/lvs-host/virtual_services.json"}
services:
  description: The services of the task as they are now, or in check mode would be, with all of their real servers, as O(services) takes them.
  returned: success
  type: list
  elements: dict
  sample: [{"protocol": "tcp", "address": "192.0.2.10", "port": 80, "scheduler": "wlc", "flags": [], "persistence": 0, "real_servers": [
    {"address": "10.0.0.11", "port": 80, "forward": "dr", "weight": 2, "upper_threshold": 0, "lower_threshold": 0}]}]
msg:
  description: What could not be done, and why.
  returned: failure
  type: str
  sample: 'cannot set the real server 10.0.0.11:8080 of tcp 192.0.2.10:80: with forward: dr the packet is not changed, so port 8080 would never
    be used; leave the port out, or use nat'
'''
