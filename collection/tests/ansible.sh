#!/usr/bin/env bash
# Prints a directory of Ansible's commands: collection/tests/ansible.sh oldest|newest
# They are the oldest and the newest ansible-core that the collection supports, each in an environment of its own
# below target. Where no Python here can run that one, it says so and exits with 3.
set -euo pipefail
cd "$(dirname "$0")/../.."

case ${1-} in
    oldest) core=2.16.19 pythons='3.12 3.11 3.10' ;; # meta/runtime.yml; what its documentation names for a controller
    newest) core=2.21.5 pythons='3.14 3.13 3.12' ;;
    *) sed -n '/^# /s/^# //p' "$0" >&2 && exit 2 ;;
esac

# A command of that name may be a shim that only says which versions it could have.
find_python() {
    local version python
    for version in $pythons; do
        for python in $(type -ap "python$version") ~/.pyenv/versions/"$version".*/bin/python3 ~/.local/share/uv/python/cpython-"$version".*/bin/python3; do
            ! "$python" -c 'import ensurepip' 2>/dev/null || { echo "$python" && return; }
        done
    done
    echo "ansible-core $core needs Python ${pythons// / or }, and this machine has none" >&2
    exit 3
}

venv=target/ansible-$core
if [[ ! -e $venv/complete ]]; then
    python=$(find_python)
    "$python" -m venv --clear "$venv"
    "$venv/bin/pip" --quiet --disable-pip-version-check install "ansible-core==$core"
    touch "$venv/complete"
fi
realpath "$venv/bin"
