# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.lvs.host.plugins.modules import virtual_service
from ansible_collections.lvs.host.plugins.plugin_utils.answer import documented
from ansible_collections.lvs.host.plugins.plugin_utils.arguments import Arguments
from ansible_collections.lvs.host.plugins.plugin_utils.runner import Runner


class ActionModule(Runner):
    BINARY = 'virtual_service'
    ANSWERS = documented(virtual_service.RETURN)
    ARGUMENTS = Arguments(virtual_service.DOCUMENTATION, mutually_exclusive=[('address', 'fwmark'), ('port', 'fwmark'), ('protocol', 'fwmark')])
    ANSWERS = documented(virtual_service.RETURN)
