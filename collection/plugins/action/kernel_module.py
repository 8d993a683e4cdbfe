# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.lvs.host.plugins.modules import kernel_module
from ansible_collections.lvs.host.plugins.plugin_utils.answer import documented
from ansible_collections.lvs.host.plugins.plugin_utils.arguments import Arguments
from ansible_collections.lvs.host.plugins.plugin_utils.runner import Runner


class ActionModule(Runner):
    BINARY = 'kernel_module'
    ANSWERS = documented(kernel_module.RETURN)
    ARGUMENTS = Arguments(kernel_module.DOCUMENTATION)
    ANSWERS = documented(kernel_module.RETURN)
