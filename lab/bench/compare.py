#!/usr/bin/env python3
"""Shows what hyperfine measured, and says whether a promise about it is kept: compare.py RESULT.json [WHAT AT_MOST OURS OTHER]

OURS and OTHER are places of commands there, from 0 on; what is promised is the ratio of the medians of their times.
"""

import json
import sys
from statistics import median

from promises import Promises, interval


def main():
    results = json.load(open(sys.argv[1]))['results']
    if len(sys.argv) == 2:
        show(results)
    else:
        what, at_most, ours, other = sys.argv[2:]
        ours, other = (results[int(place)]['times'] for place in (ours, other))
        promises = Promises()
        promises.hold(what, ratio((ours, other)), interval(lambda chance: [chance.choices(times, k=len(times)) for times in (ours, other)], ratio),
                      float(at_most))
        promises.close()


def ratio(samples):
    ours, other = samples
    return median(ours) / median(other)


def show(results):
    """Prints the median of each command's wall, user and system time in milliseconds, and its wall time over the first's."""
    for result in results:
        name = ' '.join(word.split('/')[-1] for word in result['command'].split())
        if 'target/modules' in result['command'] and any(result['exit_codes']):
            sys.exit(f'the benchmark has failed: {name} ends with {result["exit_codes"]}')
        print(f"  {result['median'] * 1e3:8.2f} ms wall  {result['user'] * 1e3:6.2f} user  {result['system'] * 1e3:6.2f} system"
              f"  {result['median'] / results[0]['median']:6.2f} x  {name}")


if __name__ == '__main__':
    main()
