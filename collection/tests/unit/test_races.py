"""What another user gains who exchanges directories while root looks for the binary or puts it somewhere: rounds of real attempts."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from target import BINARY, CONTENT, SHELLS, STARTED, install, look, run, upload
from test_script import NEEDS_ROOT, OTHER, make_home

ROUNDS = 100
PLANTED = b'#!/bin/sh\nid -u >>/run/ran;exit'.ljust(len(CONTENT), b'\n')


@pytest.fixture
def place():
    """A directory of another user, in which are what root trusts, and what that user would have it take instead."""
    path = Path('/run/race')
    path.mkdir(mode=0o755)
    os.chown(path, OTHER, OTHER)
    yield path
    shutil.rmtree(path)
    Path('/run/ran').unlink(missing_ok=True)


def exchange(path, *links):
    """Lets the other user make a path lead to one after the other, as quickly as it can; returns the process."""
    child = os.fork()
    if child:
        return child
    os.setresgid(OTHER, OTHER, OTHER)
    os.setresuid(OTHER, OTHER, OTHER)
    signal.alarm(60)
    try:
        while True:
            for link in links:
                os.symlink(link, f'{path}.new')
                os.rename(f'{path}.new', path)
    finally:
        os._exit(0)


def attack(path, links, attempt):
    child = exchange(path, *links)
    try:
        while not os.path.islink(path):
            time.sleep(0.001)
        return [attempt() for unused in range(ROUNDS)]
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@NEEDS_ROOT
@pytest.mark.parametrize('shell', SHELLS)
def test_between_look_and_start_no_other_program_can_be_put_there(shell, place):
    safe = make_home(Path('/run/safe'))
    evil = make_home(place / 'evil', OTHER)
    evil_file = evil / '.cache/lvs-host' / BINARY.name
    evil_file.write_bytes(PLANTED)
    evil_file.chmod(0o755)
    for part in (evil / '.cache', evil / '.cache/lvs-host'):
        part.chmod(0o755)
    try:
        said = attack(place / 'home', (safe, evil), lambda: run(shell, look(place / 'home')))
    finally:
        shutil.rmtree(safe)
    assert not Path('/run/ran').exists()
    # Both were met, and none but the right one was started.
    assert any(STARTED in text for text in said) and any('others may exchange' in text for text in said)
    assert all(f'{STARTED}./{BINARY.name} {{}} \n' in text for text in said if STARTED in text)


@NEEDS_ROOT
@pytest.mark.parametrize('shell', SHELLS)
def test_an_upload_goes_nowhere_else_and_no_other_directory_gets_a_mode(shell, place):
    safe = Path('/run/safe')
    victim = Path('/run/victim')
    for directory in (safe, victim):
        directory.mkdir(mode=0o755)
    evil = place / 'evil'
    (evil / '.cache').mkdir(parents=True)
    (evil / '.cache/lvs-host').symlink_to(victim)
    for part in (evil, evil / '.cache'):
        os.chown(part, OTHER, OTHER)

    def attempt():
        said = run(shell, install(place / 'home'), upload())
        assert victim.stat().st_mode & 0o777 == 0o755 and not os.listdir(victim)
        return said
    try:
        said = attack(place / 'home', (safe, evil), attempt)
    finally:
        shutil.rmtree(safe)
        shutil.rmtree(victim)
    assert any(STARTED in text for text in said) and any('others may exchange' in text for text in said)


@NEEDS_ROOT
@pytest.mark.parametrize('shell', SHELLS)
def test_in_a_directory_for_all_no_name_can_be_taken_ahead(shell, place):
    place.chmod(0o1777)
    os.chown(place, 0, 0)
    child = os.fork()
    if not child:
        os.setresuid(OTHER, OTHER, OTHER)
        signal.alarm(60)
        names = set()
        while True:
            # What appears there is moved away and replaced; the sticky bit forbids it. And a name that was there is taken for the next time.
            names.update(os.listdir(place))
            for name in names:
                for act in (lambda path: os.rename(path, place / 'stolen'), lambda path: os.symlink('/etc', path)):
                    try:
                        act(place / name)
                    except OSError:
                        pass
    try:
        said = [run(shell, install('/nowhere', [place]), upload()) for unused in range(ROUNDS)]
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert all(STARTED in text for text in said) and all(path.lstat().st_uid == OTHER for path in place.iterdir())
