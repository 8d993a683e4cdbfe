"""Prints a play of the examples of every module's page: each is checked, done and repeated, and must change something once.

examples.py           those that any host can try
examples.py ipvs      those that need a kernel with IPVS, which the host may change
"""

import json
import runpy
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

# What has to be on a host before an example.
BEFORE = {
    'Have room for many connections': (
        'ipvsadm --stop-daemon master; ipvsadm -C; for module in $(lsmod | sed -n "s/^\\(ip_vs[a-z_]*\\) .*/\\1/p"); do rmmod $module; done;'
        ' rm -f /etc/modules-load.d/*; ! lsmod | grep ip_vs'),
    'Take no packets of GRE any more': 'modprobe ip_gre',
    'Have a service now and after a boot': 'mkdir -p /run/systemd/system /etc/systemd/system/sysinit.target.wants /etc/modules-load.d',
}


def prepared(example):
    command = BEFORE.get(example['name'])
    return [{'name': f"{example['name']} (before it)", 'ansible.builtin.raw': command}] if command else []


def main():
    of_kernel = sys.argv[1:] == ['ipvs']
    paths = [path for path in sorted(MODULES.glob('*.py')) if (path.stem in KERNEL) == of_kernel]
    pages = [runpy.run_path(path) for path in paths]
    examples = [example for page in pages for example in yaml.safe_load(page['EXAMPLES'])]
    print(json.dumps([{'hosts': 'all', 'gather_facts': False, 'tasks': [
        *([] if of_kernel else [MANAGED]), *(task for example in examples for task in [*prepared(example), *tasks(example)])]}]))


if __name__ == '__main__':
    main()
