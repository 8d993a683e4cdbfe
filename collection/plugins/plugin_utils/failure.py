# Copyright: (c) 2026, lvs.host founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person reads when a task cannot be done."""

from __future__ import annotations


class Failure(Exception):
    """A sentence for the person who reads the result, and further keys of that result."""

    def __init__(self, msg, **details):
        super().__init__(msg)
        self.details = details

    def result(self):
        result = dict(self.details, failed=True, msg=str(self))
        return {key: printable(value) if isinstance(value, str) else value for key, value in result.items()}


def printable(text):
    """Returns a text of the target's without what a terminal obeys or does not show: an ESC is \\x1b, a character that turns the line \\u202e."""
    return ''.join(sign if sign.isprintable() or sign in '\n\t' else sign.encode('unicode_escape', 'backslashreplace').decode() for sign in text)
