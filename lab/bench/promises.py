"""What was promised of a measurement, and whether it is kept."""

import random
import sys

RESAMPLES = 2000


class Promises:
    """Says of each promise whether it is kept; those that are broken are told at the end.

    One is broken only if its whole 95 % interval is on the wrong side: a run on a busy machine proves nothing by chance.
    """

    def __init__(self):
        self.broken = []

    def hold(self, what, measured, interval, promised, at_most=True):
        low, high = interval
        is_kept = measured <= promised if at_most else measured >= promised
        is_broken = low > promised if at_most else high < promised
        word = 'kept' if is_kept else 'NOT KEPT' if is_broken else 'unsure'
        print(f"  {word:8}  {measured:6.2f} ({low:.2f} to {high:.2f}) {what} ({'at most' if at_most else 'at least'} {promised})")
        if is_broken:
            self.broken.append(what)

    def close(self):
        """Ends the program if a promise is broken."""
        if self.broken:
            sys.exit('a promise is not kept: ' + '; '.join(self.broken))


def interval(draw, statistic):
    """Returns the 95 % interval of a statistic, by the bootstrap: of what is drawn anew from the samples each time."""
    chance = random.Random(0)
    values = sorted(statistic(draw(chance)) for unused in range(RESAMPLES))
    return values[RESAMPLES * 25 // 1000], values[RESAMPLES * 975 // 1000]
