"""Prints a play of the examples of every module's page: each is checked, done and repeated, and must change something once."""

import json
import runpy
from pathlib import Path

import yaml

MODULES = Path(__file__).parent.parent / 'plugins' / 'modules'


def tasks(example):
    runs = {'checked': {'check_mode': True}, 'done': {}, 'repeated': {}}
    for name, keywords in runs.items():
        yield dict(example, name=f"{example['name']} ({name})", register=name, **keywords)
    yield {'name': f"{example['name']}: it changes what check mode said, once", 'ansible.builtin.assert': {'that': [
        'checked is changed', 'done is changed', 'repeated is not changed', 'checked.changes == done.changes']}}


def main():
    pages = [runpy.run_path(path) for path in sorted(MODULES.glob('*.py'))]
    examples = [example for page in pages for example in yaml.safe_load(page['EXAMPLES'])]
    print(json.dumps([{'hosts': 'all', 'gather_facts': False, 'tasks': [task for example in examples for task in tasks(example)]}]))


if __name__ == '__main__':
    main()
