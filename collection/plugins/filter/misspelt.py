# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds names that are nearly known ones."""

from __future__ import annotations

import difflib

DOCUMENTATION = r'''
name: misspelt
short_description: Names that are nearly known ones
version_added: 0.1.0
author: lvs.host founders (@lvs-host)
description: Finds the variables that were probably meant to be others, and would silently have no effect.
positional: _input
options:
  _input:
    description: The names that are used.
    type: list
    elements: str
    required: true
  known:
    description: The names that there are.
    type: list
    elements: str
    required: true
'''

EXAMPLES = r'''
- name: Show what is misspelt
  ansible.builtin.debug:
    msg: "{{ ['lvs_methd', 'other'] | lvs.host.misspelt(known=['lvs_method', 'lvs_vips']) }}"
'''

RETURN = r'''
_value:
  description: A sentence for each name, like V(lvs_methd is no variable, lvs_method is).
  type: list
  elements: str
'''


def misspelt(names, known):
    """Returns a sentence for each name that is nearly, and not quite, a known one."""
    nearest = {name: difflib.get_close_matches(name, known, n=1, cutoff=0.85) for name in set(names) - set(known)}
    return [f'{name} is no variable, {meant[0]} is' for name, meant in sorted(nearest.items()) if meant]


class FilterModule:
    """Names the filter."""

    def filters(self):
        return {'misspelt': misspelt}
