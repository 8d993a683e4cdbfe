#!/usr/bin/env python3
"""Runs a command and lets each byte to and from it arrive later: delay.py MILLISECONDS COMMAND [ARG...].

The time is that of one direction; a round trip takes twice as long. Like a line, it holds back but does not slow down: what
is under way does not wait for what is ahead.
"""

import os
import queue
import subprocess
import sys
import threading
import time


def main():
    delay = float(sys.argv[1]) / 1000
    command = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    carry(0, command.stdin.fileno(), delay)
    carry(command.stdout.fileno(), 1, delay).join()
    command.kill()


def carry(source, sink, delay):
    """Starts to carry bytes from one file descriptor to another; returns the thread that ends with the last of them."""
    line = queue.SimpleQueue()
    threading.Thread(target=take, args=(source, line, delay), daemon=True).start()
    thread = threading.Thread(target=give, args=(line, sink), daemon=True)
    thread.start()
    return thread


def take(source, line, delay):
    while True:
        data = os.read(source, 65536)
        line.put((time.monotonic() + delay, data))
        if not data:
            return


def give(line, sink):
    while True:
        due, data = line.get()
        time.sleep(max(0, due - time.monotonic()))
        if not data:
            os.close(sink)
            return
        while data:
            data = data[os.write(sink, data):]


if __name__ == '__main__':
    main()
