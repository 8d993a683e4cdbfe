"""Looks whether each module takes what its page and its schema say, and nothing else: collection/tests/agreement.py DIRECTORY-OF-BINARIES"""

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import jsonschema
import yaml

MODULES = Path(__file__).parent.parent / 'plugins' / 'modules'
# A value of another type than the documented one. What is raw is for the module to judge.
WRONG = {'str': [], 'path': [], 'int': 'x', 'bool': 'x', 'dict': 'x', 'list': 'x', 'raw': {'a': {}}}


def refusal(binary, task):
    """Returns the sentence with which a binary refuses a task."""
    answer = json.loads(subprocess.run([binary], input=json.dumps(task), capture_output=True, text=True, check=False).stdout)
    return answer['msg'] if answer.get('failed') else f'{task} was not refused'


def names(options):
    return {name for option, details in options.items() for name in (option, *details.get('aliases', []))}


def complaints(binary, options, task=lambda options: options, path=''):
    """Yields what differs between documented options and a binary; `task` puts suboptions where they belong, at `path`."""
    taken = refusal(binary, task({'no_such_option': 1})).partition('expected ')[2].removeprefix('one of ')
    taken = set(re.split(', | or ', taken))
    if taken != names(options):
        yield f'only in the binary or only on the page: {sorted(taken ^ names(options))}'
    for name, option in options.items():
        said = refusal(binary, task({name: WRONG[option['type']]}))
        if f'cannot use option {path}{name}' not in said:
            yield f'{path}{name} of another type than {option["type"]}: {said}'
        if 'suboptions' in option:
            many = option['type'] == 'list'
            yield from complaints(binary, option['suboptions'], lambda inner, name=name, many=many: task({name: [inner] if many else inner}),
                                  f"{path}{name}{'[0]' if many else ''}.")


def schema_complaints(binary, page):
    """Yields the examples that the schema of a binary refuses, and the wrong types that it takes."""
    schema = json.loads(subprocess.run([binary, '--schema'], capture_output=True, check=True).stdout)
    validator = jsonschema.Draft202012Validator(schema)
    options = yaml.safe_load(page['DOCUMENTATION'])['options']
    for task in yaml.safe_load(page['EXAMPLES']):
        # As Ansible makes a list of a word.
        arguments = {name: value.split(',') if options[name]['type'] == 'list' and isinstance(value, str) else value
                     for name, value in task[schema['title']].items()}
        # What a template becomes is for the task to say.
        if '{{' not in str(arguments):
            yield from (f'the schema refuses the example {task["name"]!r}: {error.message}' for error in validator.iter_errors(arguments))
    for name, option in options.items():
        if option['type'] != 'raw' and not any(name in error.path for error in validator.iter_errors({name: WRONG[option['type']]})):
            yield f'the schema takes {name} of another type than {option["type"]}'


def main(directory):
    failed = False
    for path in sorted(MODULES.glob('*.py')):
        page, binary = runpy.run_path(path), Path(directory, path.stem)
        options = yaml.safe_load(page['DOCUMENTATION'])['options']
        for complaint in (*complaints(binary, options), *schema_complaints(binary, page)):
            print(f'{path.stem}: {complaint}', file=sys.stderr)
            failed = True
    sys.exit(failed)


if __name__ == '__main__':
    main(sys.argv[1])
