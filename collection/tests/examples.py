"""Prints a play of the examples of every module's page: each is checked, done and repeated, and must change something once."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import yaml

MODULES = Path(__file__).parent.parent / 'plugins' / 'modules'


def tasks(example):
    runs = {'checked': {'check_mode': True}, 'done': {}, 'repeated': {}}
    for name, keywords in runs.items():
        yield dict(example, name=f"{example['name']} ({name})", register=name, **keywords)
    expected = ['checked is changed', 'done is changed', 'repeated is not changed', 'checked.changes == done.changes']
    if reads(example):
        expected = ['checked is not changed', 'done is not changed', 'repeated is not changed', 'done.settings | length > 0']
    yield {'name': f"{example['name']}: it changes what check mode said, once, or only reads", 'ansible.builtin.assert': {'that': expected}}


def reads(example):
    """Returns whether an example changes nothing, as one with state=read."""
    return any(isinstance(options, dict) and options.get('state') == 'read' for options in example.values())


# The example with persist needs a host with a network manager, which has brought up eth0.
MANAGED = {'name': 'Have ifupdown manage eth0', 'ansible.builtin.raw': (
    "mkdir -p /etc/network/interfaces.d /run/network && printf 'auto eth0\\nsource /etc/network/interfaces.d/*\\niface eth0 inet manual\\n'"
    ' >/etc/network/interfaces && echo eth0=eth0 >/run/network/ifstate && echo eth0 >/run/network/ifstate.eth0')}


# Their examples change the kernel of the machine here, or need IPVS in it.
KERNEL = ('ipvs', 'kernel_module', 'virtual_service')


def makes(example):
    """Returns whether an example makes a dummy interface."""
    return any(isinstance(options, dict) and options.get('create') == 'dummy' for options in example.values())


def has_dummies():
    """Returns whether this kernel has dummy interfaces."""
    made = subprocess.run(['unshare', '--net', 'ip', 'link', 'add', 'vip0', 'type', 'dummy'], capture_output=True)
    return made.returncode == 0


def main():
    paths = sorted(MODULES.glob('*.py'))
    if not Path('/proc/net/ip_vs').exists():
        print(f'ignored: the examples of {" and ".join(KERNEL)} (this kernel has no IPVS)', file=sys.stderr)
        paths = [path for path in paths if path.stem not in KERNEL]
    pages = [runpy.run_path(path) for path in paths]
    examples = [example for page in pages for example in yaml.safe_load(page['EXAMPLES'])]
    if not has_dummies():
        print('ignored: the examples with create: dummy (this kernel has no dummy interfaces)', file=sys.stderr)
        examples = [example for example in examples if not makes(example)]
    print(json.dumps([{'hosts': 'all', 'gather_facts': False, 'tasks': [
        MANAGED, *(task for example in examples for task in tasks(example))]}]))


if __name__ == '__main__':
    main()
