#!/usr/bin/env python3
"""Times tasks over SSH into a throw-away host, side by side with raw, ansible.posix and Mitogen; called by `make bench`.

Each round runs every kind of play once. What counts are the ratios of a run: the milliseconds depend on the machine. Exits with 1 if one
is not as promised, and says which.
"""

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from statistics import median

from promises import Promises, interval

PROJECT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
ROUNDS = int(os.environ.get('ROUNDS', 5))
KEYS = [f'net.ipv4.conf.{device}.{key}' for device in ('all', 'default', 'lo', 'eth0')
        for key in ('accept_redirects', 'secure_redirects', 'send_redirects', 'log_martians', 'accept_source_route')]
ROUND_TRIP = 10  # ms


def main():
    venv, peers = Path(sys.argv[1]).resolve(), PROJECT / 'target' / 'bench'
    unpack_posix(peers)
    # A short path, as sockets are made below it.
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([PROJECT / 'lab/host', 'start', f'{directory}/bench', 'bench'], check=True)
        try:
            report(measure(Bench(Path(directory), venv, peers)))
        finally:
            subprocess.run([PROJECT / 'lab/host', 'stop', f'{directory}/bench'], check=True)


def unpack_posix(peers):
    """Takes the collection ansible.posix out of the package that has it."""
    wheel, = peers.glob('ansible-*.whl')
    with zipfile.ZipFile(wheel) as package:
        package.extractall(peers, [name for name in package.namelist() if name.startswith('ansible_collections/ansible/posix/')])


def settings(module, **more):
    return [{'name': f'{key} must be ok', module: {'name': key, 'value': 0, 'sysctl_file': '/etc/sysctl.d/90-bench.conf', **more}} for key in KEYS]


def first_tasks(module):
    """Returns tasks that find nothing on the target, each after one that takes away what is there."""
    task, = settings(module)[:1]
    return [{'name': 'not timed', 'ansible.builtin.raw': 'rm -rf ~/.cache/lvs-host'}, task] * 10


OURS = settings('lvs.host.sysctl')
POSIX = settings('ansible.posix.sysctl', reload=False)
RAW = [{'name': 'raw', 'ansible.builtin.raw': 'true', 'changed_when': False}] * len(KEYS)
FLOOR = [{'name': 'assert', 'ansible.builtin.assert': {'that': True, 'quiet': True}}] * len(KEYS)
BATCH = [{'name': 'all must be ok', 'lvs.host.sysctl': {'settings': dict.fromkeys(KEYS, 0), 'sysctl_file': '/etc/sysctl.d/90-bench.conf'}}]
PIPELINING = {'ANSIBLE_PIPELINING': 'true'}

# Name, tasks, settings of Ansible, whether over the slow line.
PLAYS = [
    ('assert, on the controller alone', FLOOR, {}, False),
    ('raw: true', RAW, {}, False),
    ('lvs.host.sysctl', OURS, {}, False),
    ('lvs.host.sysctl, all 20 in one task', BATCH, {}, False),
    ('ansible.posix.sysctl, pipelining', POSIX, PIPELINING, False),
    ('ansible.posix.sysctl, Mitogen', POSIX, {'ANSIBLE_STRATEGY': 'mitogen_linear'}, False),
    ('first task: lvs.host.sysctl', first_tasks('lvs.host.sysctl'), {}, False),
    ('first task: the binary, copied by Ansible', first_tasks('sysctl'), {}, False),
    (f'{ROUND_TRIP} ms: raw: true', RAW, {}, True),
    (f'{ROUND_TRIP} ms: lvs.host.sysctl', OURS, {}, True),
    (f'{ROUND_TRIP} ms: first task: lvs.host.sysctl', first_tasks('lvs.host.sysctl'), {}, True),
    (f'{ROUND_TRIP} ms: first task: the binary, copied', first_tasks('sysctl'), {}, True),
]


class Bench:
    """A host, reached over a quick line and over a slow one."""

    def __init__(self, directory, venv, peers):
        self.directory = directory
        (directory / 'ansible.cfg').touch()  # not that of whoever runs this
        self.venv = venv
        connect = f'{PROJECT}/lab/host sshd {directory}/bench'
        lines = {'quick': connect, 'slow': f'{HERE}/delay.py {ROUND_TRIP / 2} {connect}'}
        self.write('inventory.json', {'all': {'hosts': {line: {'ansible_ssh_common_args': f'-F none -o UserKnownHostsFile={directory}/bench/known_hosts'
                                      f" -o HostKeyAlias=bench -o ProxyCommand='{command}'"} for line, command in lines.items()},
                                      'vars': {'ansible_user': 'root', 'ansible_ssh_private_key_file': f'{directory}/bench/user_key',
                                               'ansible_python_interpreter': '/usr/bin/python3'}}})
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith('ANSIBLE_')} | {
            'ANSIBLE_CONFIG': f'{directory}/ansible.cfg',
            'ANSIBLE_COLLECTIONS_PATH': f'{PROJECT}/target/collections:{peers}',
            'ANSIBLE_LIBRARY': f'{PROJECT}/target/modules',
            'ANSIBLE_STRATEGY_PLUGINS': next(str(path) for path in venv.glob('lib/*/site-packages/ansible_mitogen/plugins/strategy')),
            'ANSIBLE_CALLBACK_PLUGINS': str(HERE),
            'ANSIBLE_CALLBACKS_ENABLED': 'task_times',
            'ANSIBLE_SSH_CONTROL_PATH_DIR': f'{directory}/ssh',
            'ANSIBLE_LOCAL_TEMP': f'{directory}/tmp',
            'TASK_TIMES': f'{directory}/times.json',
        }

    def write(self, name, content):
        (self.directory / name).write_text(json.dumps(content))

    def play(self, tasks, environment, slow):
        """Runs a play; returns the seconds of each task."""
        # The first task is not counted: it makes the connection.
        warm = {'name': 'not timed', 'ansible.builtin.raw': 'true'}
        self.write('play.json', [{'hosts': 'slow' if slow else 'quick', 'gather_facts': False, 'tasks': [warm, *tasks]}])
        done = subprocess.run([self.venv / 'bin/ansible-playbook', '-i', self.directory / 'inventory.json', self.directory / 'play.json'],
                              env=self.environment | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        times = json.loads((self.directory / 'times.json').read_text()) if done.returncode == 0 else {'bad': [done.stdout + done.stderr]}
        if times['bad']:
            sys.exit(f'the benchmark has failed: {times["bad"][0]}')
        return [seconds for name, seconds in times['times'] if name != 'not timed']


def measure(bench):
    """Returns, for each kind of play, the seconds of each task in each round."""
    bench.play([task | {'name': 'set'} for task in OURS], {}, False)
    bench.play(RAW[:1], {}, True)
    rounds = {name: [] for name, *unused in PLAYS}
    for number in range(ROUNDS):
        print(f'Round {number + 1} of {ROUNDS}, {len(PLAYS)} plays', flush=True)
        for name, *play in PLAYS:
            rounds[name].append(bench.play(*play))
    return rounds


def report(rounds):
    tasks = task_times(rounds)
    plays = {name: median(sum(one) for one in times) for name, times in rounds.items()}
    ours = tasks['lvs.host.sysctl']
    print(f'\nA task over SSH that finds all as it should be: median of {ROUNDS} rounds, and how much longer it takes than ours')
    for name, milliseconds in tasks.items():
        print(f'  {milliseconds:7.1f} ms a task  {milliseconds / ours:6.2f} x   {plays[name]:6.2f} s a play  {plays[name] / plays["lvs.host.sysctl"]:6.2f} x   {name}')
    print('\nWhat was promised')
    promises = Promises()
    for what, measure, promised, at_most in PROMISED:
        promises.hold(what, measure(tasks), interval(lambda chance: drawn(chance, rounds), lambda one: measure(task_times(one))), promised, at_most)
    promises.close()


def task_times(rounds):
    """Returns the median of a task's milliseconds for each kind of play."""
    return {name: median(seconds for one in times for seconds in one) * 1000 for name, times in rounds.items()}


def drawn(chance, rounds):
    """Returns as many rounds, drawn anew: the same for all plays, as what disturbs a round disturbs all of it."""
    places = chance.choices(range(ROUNDS), k=ROUNDS)
    return {name: [times[place] for place in places] for name, times in rounds.items()}


SLOW = f'{ROUND_TRIP} ms: '
# What, how it comes of the times of tasks, the bound, whether that is an upper one.
PROMISED = [
    ('ms more than raw', lambda tasks: tasks['lvs.host.sysctl'] - tasks['raw: true'], 6, True),
    (f'round trips of {ROUND_TRIP} ms more than raw', lambda tasks: (tasks[SLOW + 'lvs.host.sysctl'] - tasks[SLOW + 'raw: true']) / ROUND_TRIP, 1.5, True),
    ('times as quick as ansible.posix.sysctl with pipelining', lambda tasks: tasks['ansible.posix.sysctl, pipelining'] / tasks['lvs.host.sysctl'], 5, False),
    ('times as quick as ansible.posix.sysctl with Mitogen', lambda tasks: tasks['ansible.posix.sysctl, Mitogen'] / tasks['lvs.host.sysctl'], 1.5, False),
    ('times as quick with the first task as the binary copied',
     lambda tasks: tasks['first task: the binary, copied by Ansible'] / tasks['first task: lvs.host.sysctl'], 1, False),
    (f'times as quick with the first task, over {ROUND_TRIP} ms',
     lambda tasks: tasks[SLOW + 'first task: the binary, copied'] / tasks[SLOW + 'first task: lvs.host.sysctl'], 1, False),
]


if __name__ == '__main__':
    main()
