#!/usr/bin/env bash
# Looks whether the packed collection depends on anything but its sources: collection/tests/reproducible.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Compiling again would take minutes; what could differ from directory to directory are the names of directories.
if grep --text --fixed-strings --files-with-matches -e "$PWD" -e "$HOME" -e "$(rustc --print sysroot)" target/modules-*/*; then
    echo 'These binaries name directories of this machine.' >&2
    exit 1
fi

# Another directory, another time, other permissions.
umask 077
mapfile -t modules < <(printf '%s\n' target/modules-* | tac)
python3 collection/assemble.py --modules "${modules[@]}" --out "$work/collection" >/dev/null
target/venv/bin/ansible-galaxy collection build --output-path "$work" "$work/collection" >/dev/null
target/venv/bin/python collection/repack.py "$work"/lvs-host-*.tar.gz
cmp "$work"/lvs-host-*.tar.gz target/lvs-host-*.tar.gz
echo 'The same files are packed to the same bytes'
