"""What the scripts do in each shell: which directories they trust, which surroundings they take, what becomes of an upload."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.lvs.host.plugins.plugin_utils import script
from ansible_collections.lvs.host.plugins.plugin_utils.failure import Failure
from target import BINARY, CONTENT, SHELLS, STARTED, WORD, install, look, run, upload

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0 or '4294967295' not in Path('/proc/self/uid_map').read_text(encoding='utf-8'),
                                reason='needs root: only it can become another user')
OTHER, USER = 2001, 2002


@pytest.fixture(params=SHELLS)
def shell(request):
    return request.param


@pytest.fixture
def place():
    """A directory that others can go through, unlike those of pytest."""
    path = Path('/run/place')
    path.mkdir(mode=0o755)
    yield path
    shutil.rmtree(path)


def make_home(path, user=0, mode=0o755):
    """Makes a home with a binary in its cache."""
    file = path / '.cache/lvs-host' / BINARY.name
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT)
    for part, its_mode in ((file, 0o700), (file.parent, 0o700), (file.parent.parent, 0o700), (path, mode)):
        os.chown(part, user, user)
        part.chmod(its_mode)
    return path


MIDDLE = len(CONTENT) // 2
DAMAGED = CONTENT[:MIDDLE] + bytes([CONTENT[MIDDLE] ^ 1]) + CONTENT[MIDDLE + 1:]


@pytest.mark.parametrize('content, says', [(CONTENT, STARTED), (CONTENT[:-1], 'with another size'), (DAMAGED, 'with another hash')],
                         ids=['whole', 'short', 'one bit changed'])
@pytest.mark.parametrize('tool', ['sha256sum', 'shasum', 'openssl', 'busybox'])
def test_a_damaged_upload_is_refused_with_whatever_tells_a_hash(shell, place, tool, content, says):
    # The words of the tool alone are found: what stands for the others fails.
    text = install(place).replace('$hash </dev/null', f'[ "${{hash%% *}}" = {tool} ] && $hash </dev/null')
    if not shutil.which(tool):
        pytest.skip(f'needs {tool}')
    assert says in run(shell, text, upload(content))
    assert os.listdir(place / '.cache/lvs-host') == ([BINARY.name] if content == CONTENT else [])


def test_without_a_tool_that_tells_a_hash_the_size_counts(shell, place):
    text = install(place).replace('$hash </dev/null', 'false')
    assert 'with another size' in run(shell, text, upload(CONTENT[:-1]))
    assert STARTED in run(shell, text, upload())


def test_arguments_and_environment_reach_the_binary_and_no_command_line(shell, place):
    program = b'#!/bin/sh\necho "$1,$SECRET,$(cat),$(tr "\\0" " " </proc/$$/cmdline)"\n'
    make_home(place)
    secret = 'it\'s $HOME {x}\n"y" \\'
    exports = script.exports({'SECRET': secret}, WORD)
    cached = place / '.cache/lvs-host' / BINARY.name
    cached.write_bytes(program)
    text = script.look(WORD, {os.uname().machine: BINARY}, [f'{place}/.cache/lvs-host'], '-', 'e').replace(f' {len(CONTENT)}', f' {len(program)}')
    assert 'HOME' not in text
    said = run(shell, text, f'{exports}{{"a": 1}}\n'.encode())
    assert f'{STARTED}-,{secret},{{"a": 1}},/bin/sh ./{BINARY.name} - ' in said


def test_the_longest_command_is_one_that_dropbear_takes():
    # MAX_CMD_LEN of its sysoptions.h.
    text = script.look(WORD, dict.fromkeys(('aarch64', 'x86_64'), BINARY), [script.PACKAGED, '~somebody/.cache/lvs-host'], 'x x'.ljust(script.INLINE), 'e')
    become = f'sudo -H -S -n -u somebody /bin/sh -c {shlex.quote(f"echo BECOME-SUCCESS-{WORD * 2} ; /bin/sh -c {shlex.quote(text)}")}'
    assert len(f'/bin/sh -c {shlex.quote(become)}') < 9000


def test_a_name_that_no_shell_exports_is_refused():
    with pytest.raises(Failure, match="cannot set 'a;b' in the environment"):
        script.exports({'a;b': 1}, WORD)


HOSTILE = {'BLOCK_SIZE': '1M', 'LS_BLOCK_SIZE': '1M', 'BLOCKSIZE': '1M', 'TIME_STYLE': '+', 'QUOTING_STYLE': 'c', 'POSIXLY_CORRECT': '1',
           'LC_ALL': 'de_DE.UTF-8', 'LANG': 'de_DE.UTF-8', 'CDPATH': '/etc', 'ENV': '/run/planted', 'BASH_ENV': '/run/planted', 'IFS': 'lr-',
           'SHELLOPTS': 'errexit:noglob:nounset', 'TMPDIR': '/nowhere', 'COLUMNS': '1', 'PS4': 'x', 'LS_COLORS': '*=01', 'TZ': ':/nowhere'}
FUNCTIONS = {f'BASH_FUNC_{name}%%': '() { touch /run/planted-ran; }' for name in ('ls', 'cd', '[', 'head', 'wc', 'cat', 'mktemp', 'read', 'echo', 'printf')}


@pytest.mark.parametrize('environment', [*({name: value} for name, value in HOSTILE.items()), FUNCTIONS], ids=[*HOSTILE, 'functions'])
def test_no_variable_of_the_target_decides_what_is_trusted(shell, place, environment):
    make_home(place)
    planted = Path('/run/planted')
    planted.write_text('touch /run/planted-ran\n', encoding='utf-8')
    assert run(shell, look(place, places=['/nowhere']), environment=environment).startswith(f'{STARTED}./{BINARY.name} {{}} \n\nLVS-HOST-END {WORD} 0\n')
    (place / '.cache/lvs-host' / BINARY.name).unlink()
    assert STARTED in run(shell, install(place), upload(), environment=environment)
    assert 'arrived with another size' in run(shell, install(place), upload(CONTENT + b'x'), environment=environment)
    assert not Path('/run/planted-ran').exists()


@pytest.fixture
def root(place):
    """The files of a target whose tools are only where NixOS has them, and whose sh has none in itself, as BusyBox's may."""
    for name in ('bin', 'dev', 'opt', 'proc', 'root', 'run/current-system/sw/bin', 'tmp'):
        (place / name).mkdir(parents=True)
    shutil.copy(shutil.which('dash'), place / 'bin/sh')
    shutil.copy(shutil.which('busybox'), place / 'opt/busybox')
    libraries = [word for word in subprocess.check_output(['ldd', place / 'bin/sh'], text=True).split() if word.startswith('/')]
    subprocess.run(['cp', '--parents', '--dereference', *libraries, place], check=True)
    for name in 'cat chmod cp env find head ls mkdir mktemp mv pwd rm rmdir sha256sum sync tail uname wc'.split():
        (place / 'run/current-system/sw/bin' / name).symlink_to('/opt/busybox')
    for name in ('dev', 'proc'):
        subprocess.run(['mount', '--no-mtab', '--bind', f'/{name}', place / name], check=True)
    yield place
    subprocess.run(['umount', place / 'dev', place / 'proc'], check=True)


def in_root(root, text, data, path):
    command = [shutil.which('chroot'), root, '/bin/sh', '-c', text]
    return subprocess.run(command, input=data, capture_output=True, env={'PATH': path}, check=False).stdout.decode()


@NEEDS_ROOT
def test_a_target_with_its_tools_only_in_the_place_of_nixos_will_do(root):
    assert in_root(root, look('/root'), b'', '/nowhere') == f'LVS-HOST-MISS {WORD} {os.uname().machine}\n'
    assert STARTED in in_root(root, install('/root'), upload(), '/nowhere')
    assert STARTED in in_root(root, look('/root'), b'', '/nowhere')


@NEEDS_ROOT
def test_tools_that_only_the_targets_path_has_come_from_safe_directories(root):
    (root / 'run/current-system/sw/bin/mktemp').unlink()
    for name, mode in (('unsafe', 0o777), ('sticky', 0o1777), ('safe', 0o755)):
        tools = root / 'opt' / name
        tools.mkdir()
        tools.chmod(mode)
        for tool in ('mktemp', 'head'):
            (tools / tool).write_text(f'#!/bin/sh\necho {name} {tool} >>/ran\nexec /opt/busybox {tool} "$@"\n', encoding='utf-8')
            (tools / tool).chmod(0o755)
    text = install('/nowhere', ['/tmp'])
    assert 'mktemp: not found' in in_root(root, text, upload(), 'opt/safe::/opt/unsafe:/opt/sticky')
    assert STARTED in in_root(root, text, upload(), 'opt/safe::/opt/unsafe:/opt/sticky:/opt/safe')
    assert (root / 'ran').read_text(encoding='utf-8') == 'safe mktemp\n'


def add_users(*members):
    """Makes users of these numbers, each with a group, which has these members."""
    for user in (OTHER, USER):
        for file, line in (('/etc/passwd', f'u{user}:x:{user}:{user}::/nowhere:/bin/sh'), ('/etc/group', f"u{user}:x:{user}:{','.join(members)}")):
            lines = [line for line in Path(file).read_text(encoding='utf-8').splitlines() if not line.startswith(f'u{user}:')]
            Path(file).write_text('\n'.join([*lines, line]) + '\n', encoding='utf-8')


def is_trusted(shell, home, user=0, before=()):
    """Returns whether the cache of a home is used by both scripts, and - if not - that both say why."""
    seen, put = run(shell, look(home), user=user, before=before), run(shell, install(home), upload(), user=user, before=before)
    assert (STARTED in seen) == (STARTED in put), (seen, put)
    if STARTED not in seen:
        assert 'others may exchange what is in /' in seen and 'others may exchange what is in /' in put, (seen, put)
    return STARTED in seen


@NEEDS_ROOT
def test_a_directory_that_others_can_write_to_is_passed_over_and_named(shell, place):
    home = make_home(place / 'home')
    assert is_trusted(shell, home)
    place.chmod(0o777)
    assert f'{home}/.cache/lvs-host: others may exchange what is in {place}, which has owner 0 and mode drwxrwxrwx\n' in run(shell, look(home))
    assert not is_trusted(shell, home)
    place.chmod(0o755)
    for part in (place, home, home / '.cache'):
        os.chown(part, OTHER, 0)
        assert not is_trusted(shell, home)
        os.chown(part, 0, 0)
    assert is_trusted(shell, home)


@NEEDS_ROOT
def test_an_unsafe_cache_is_passed_over_for_a_place_that_is_safe(shell, place):
    home = make_home(place / 'home', mode=0o777)
    sticky = place / 'sticky'
    sticky.mkdir()
    sticky.chmod(0o1777)
    said = run(shell, install(home, [f'{place}/home', f'{sticky}']), upload())
    assert said.startswith(f'LVS-HOST-NOTE {WORD} {home}/.cache/lvs-host: others may exchange what is in {home}, which has owner 0 and mode'
                           f' drwxrwxrwx; {home}: others may exchange what is in {home}, which has owner 0 and mode drwxrwxrwx\n{STARTED}')
    assert not os.listdir(sticky) and os.listdir(home) == ['.cache']


@NEEDS_ROOT
def test_a_sticky_directory_above_is_safe_and_what_another_user_made_in_it_is_not(shell, place):
    place.chmod(0o1777)
    home = make_home(place / 'home')
    assert is_trusted(shell, home)
    os.chown(home, OTHER, 0)
    assert not is_trusted(shell, home)


@NEEDS_ROOT
def test_the_users_own_group_may_write_if_nobody_else_is_in_it(shell, place):
    add_users()
    home = make_home(place / 'home', USER, 0o775)
    (home / '.cache').chmod(0o775)
    assert is_trusted(shell, home, USER)
    add_users(f'u{OTHER}')
    assert not is_trusted(shell, home, USER)
    add_users(f'u{USER}')
    assert is_trusted(shell, home, USER)
    os.chown(home, USER, OTHER)
    assert not is_trusted(shell, home, USER)


@NEEDS_ROOT
def test_another_user_with_the_same_group_is_not_nobody(shell, place):
    add_users()
    home = make_home(place / 'home', USER, 0o775)
    with open('/etc/passwd', 'a', encoding='utf-8') as file:
        file.write(f'u{OTHER}:x:{OTHER}:{USER}::/nowhere:/bin/sh\n')
    assert not is_trusted(shell, home, USER)
    add_users()


@NEEDS_ROOT
def test_an_access_list_that_lets_another_user_write_is_seen(shell, place):
    add_users()
    home = make_home(place / 'home', USER, 0o755)
    subprocess.run(['setfacl', '-m', f'u:{OTHER}:rwx', home], check=True)
    # BusyBox's ls has no sign for an access list, as docs/security.md says.
    assert is_trusted(shell, home, USER) == (shell == 'busybox')


@NEEDS_ROOT
def test_a_home_by_a_symbolic_link_is_as_one_without(shell, place):
    make_home(place / 'data/user')
    (place / 'home').symlink_to('data')
    assert is_trusted(shell, place / 'home/user')
    (place / 'data').chmod(0o777)
    assert not is_trusted(shell, place / 'home/user')


@NEEDS_ROOT
def test_in_a_user_namespace_the_root_outside_is_trusted_and_a_user_inside_of_that_number_is_not(shell, place):
    home = make_home(place / 'home', USER)
    alone = ['setpriv', f'--reuid={USER}', f'--regid={USER}', '--clear-groups', '--', 'unshare', '--user', '--map-root-user', '--']
    assert is_trusted(shell, home, before=alone)
    nobody = int(Path('/proc/sys/kernel/overflowuid').read_text(encoding='utf-8'))
    os.chown(place, nobody, 0)
    assert not is_trusted(shell, home, USER)
    # Who made it in a directory for all is not in the namespace, and need not be root.
    place.chmod(0o1777)
    os.chown(place, 0, 0)
    assert is_trusted(shell, home, before=alone)
    made = make_home(place / 'made/home', USER)
    os.chown(place / 'made', OTHER, OTHER)
    assert not is_trusted(shell, made, before=alone)


@NEEDS_ROOT
def test_a_link_by_which_another_user_leads_to_a_safe_directory_makes_root_change_nothing_there(shell, place):
    for name in ('victim', 'home/.cache'):
        (place / name).mkdir(parents=True)
    (place / 'home/.cache/lvs-host').symlink_to(place / 'victim')
    for name in ('home', 'home/.cache'):
        os.chown(place / name, OTHER, OTHER)
    assert 'others may exchange' in run(shell, install(place / 'home'), upload())
    assert (place / 'victim').stat().st_mode & 0o777 == 0o755 and not os.listdir(place / 'victim')
