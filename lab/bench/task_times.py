"""A callback plugin that writes how long each task of a play took, from its start to that of the next, in seconds as JSON."""

import json
import os
import time

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = 'aggregate'
    CALLBACK_NAME = 'task_times'

    def __init__(self):
        super().__init__()
        self.starts = []
        self.bad = []

    def v2_playbook_on_task_start(self, task, is_conditional):
        self.starts.append((task.get_name(), time.monotonic()))

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.bad.append(str(result._result.get('msg')))

    def v2_runner_on_unreachable(self, result):
        self.bad.append(str(result._result.get('msg')))

    def v2_runner_on_ok(self, result):
        if result._result.get('changed') and 'must be ok' in result._task.get_name():
            self.bad.append(f'{result._task.get_name()}: it changed something')

    def v2_playbook_on_stats(self, stats):
        self.starts.append(('', time.monotonic()))
        times = [(name, after - start) for (name, start), (unused, after) in zip(self.starts, self.starts[1:])]
        with open(os.environ['TASK_TIMES'], 'w', encoding='utf-8') as file:
            json.dump({'times': times, 'bad': self.bad}, file)
