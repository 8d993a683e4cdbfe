#!/usr/bin/env bash
# Runs a test of modules/tests on the modules for aarch64, under qemu: on a throw-away host they take the place of those
# that the test was built with. `make aarch64` has cargo run every test by it: modules/as_aarch64.sh TEST [ARG...]
set -euo pipefail
self=$(realpath "${BASH_SOURCE[0]}")
project=$(dirname "$self")/..

[[ ${1-} == on-the-host ]] || exec "$project/lab/host" run -- "$self" on-the-host "$@"
shift

for module in "$project"/target/modules-aarch64/*; do
    name=$(basename "$module")
    # elf(5): e_machine is EM_AARCH64.
    [[ $(od -An -tu2 -j18 -N2 "$module") -eq 183 ]] || {
        echo "$module is not for aarch64" >&2
        exit 1
    }
    printf '#!/bin/sh\nexec qemu-aarch64-static "%s" "$@"\n' "$module" >"/run/$name"
    chmod 755 "/run/$name"
    mount --no-mtab --bind "/run/$name" "$(dirname "$1")/../$name"
done
exec "$@"
