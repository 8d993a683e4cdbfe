#!/usr/bin/python
# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The documentation only: the module is the binary plugins/bin/kernel_module-ARCH, started by the action plugin of the same name.

from __future__ import annotations

DOCUMENTATION = r'''
module: kernel_module
short_description: Load modules of the kernel, now and at the next boot
version_added: 0.1.0
author:
  - lvs.host founders (@lvs-host)
description:
  - Loads modules of the kernel with what they depend on, and has a boot load them, as C(modprobe) and C(modules-load.d(5)) do. Removes
    them as well.
  - C(modprobe) of the host is used where there is one. Without it the kernel is given the files itself.
  - A module that is built into the kernel counts as loaded, and needs no file.
  - A failure puts back what was changed. A module that was loaded is removed again with what came along.
options:
  name:
    description: The module, such as V(ip_vs), or a list of them. V(-) and V(_) are the same.
    type: list
    elements: str
    required: true
  parameters:
    description:
      - Parameters of the one module and their values, which are kept for a boot in a file in C(/etc/modprobe.d). What is not named is left
        alone.
      - One of a module that is loaded is set at once where the kernel lets it be; where not, the task is refused, and the module has to be
        removed first.
      - Only what the kernel shows in C(/sys/module/NAME/parameters) can be set, as nothing else can be verified.
    type: dict
  state:
    description:
      - With V(present) the modules are loaded.
      - With V(absent) they are not, and no file of this module has them any more. One that is in use is refused.
    type: str
    choices: [absent, present]
    default: present
  persist:
    description:
      - Whether a boot loads them too, by a file for each, C(/etc/modules-load.d/lvs-host.NAME.conf), and for its parameters
        C(/etc/modprobe.d/lvs-host.NAME.conf).
      - With V(false) files are left alone.
    type: bool
    default: true
extends_documentation_fragment: [lvs.host.runner]
notes:
  - A container shares the kernel of its host and cannot load anything. The task is refused there; load the module on the host.
  - That another file has a boot load a module which is to be absent is said in a warning.
attributes:
  async:
    support: none
    description: A task takes milliseconds. What would run it in the background needs Python on the target.
  check_mode:
    support: full
    description: Predicts the changes, and loads and writes nothing.
  diff_mode:
    support: full
    description: Shows the modules, and the lines of the files.
  platform:
    support: full
    platforms: linux
    description: The target needs a POSIX shell, and neither Python nor other programs.
seealso:
  - module: lvs.host.virtual_service
  - module: lvs.host.sysctl
'''

EXAMPLES = r'''
- name: Have IPVS at every boot before its parameters are set
  lvs.host.kernel_module:
    name: ip_vs

- name: Take packets out of tunnels
  lvs.host.kernel_module:
    name: [ipip, ip6_tunnel, fou]

- name: Have room for many connections
  lvs.host.kernel_module:
    name: ip_vs
    parameters:
      conn_tab_bits: 15

- name: Take no packets of GRE any more
  lvs.host.kernel_module:
    name: ip_gre
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
      description: V(kernel), what is loaded now, or V(file), what a boot reads.
      type: str
      sample: kernel
    file:
      description: The file, with C(layer=file).
      type: str
      sample: /etc/modules-load.d/lvs-host.ip_vs.conf
    item:
      description: The C(module), and the C(parameter), if it is one.
      type: dict
      sample: {"module": "ip_vs", "parameter": "conn_tab_bits"}
    before:
      description: What was found, V(loaded) or the value. Null where there was nothing.
      type: str
      sample: null
    after:
      description: What is there now, V(loaded) or the value. Null where there is nothing any more.
      type: str
      sample: '15'
msg:
  description: What could not be done, and why.
  returned: failure
  type: str
  sample: 'cannot remove the module ip_vs: it is in use, as `lsmod` shows; end what uses it first'
'''
