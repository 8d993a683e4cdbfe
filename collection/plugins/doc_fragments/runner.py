# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# What the page of every module says of how it is run.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r'''
options: {}
notes:
  - The variable C(lvs_host_upload) is V(auto), or V(never) where a task may only use a binary that is installed on the target.
  - The variable C(lvs_host_multiplex) is V(true), or V(false) where each command of a task over SSH is to start an C(ssh) of its own. By
    default the process that holds the connection open is given the command, which saves milliseconds. It stands in for a private method of
    Ansible's plugin C(ssh); where a version of Ansible has none such, each command starts an C(ssh), and C(-v) shows a note.
'''
