#!/usr/bin/env bash
# Builds the modules as static binaries, one file each, named as the module: for each architecture of the collection
# into target/modules-ARCH, and once more for this machine into target/modules. The same sources give the same bytes
# in whatever directory.
# Static musl starts faster and is smaller; where its target cannot be had, static glibc will do for this machine.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v cargo >/dev/null || {
    echo "Rust is missing: install it with rustup (https://rustup.rs), version 1.89 or newer." >&2
    exit 1
}
here=$(uname -m)
cargo_home=${CARGO_HOME:-$HOME/.cargo}

main() {
    local machine target
    cargo fetch --locked --quiet
    for machine in $(printf '%s\n' "$here" x86_64 aarch64 | sort -u); do
        rm -rf "target/modules-$machine"
        if ! target=$(target_of "$machine"); then
            echo "Not built for $machine: its Rust target cannot be had (rustup target add $machine-unknown-linux-musl)." >&2
            continue
        fi
        build "$target"
        copy "$target" "target/modules-$machine"
    done
    [[ -d target/modules-$here ]] || exit 1
    copy "$(target_of "$here")" target/modules
    is_below 1100000 target/modules-x86_64/virtual_service
}

# Says so and fails if a module is larger than was promised; it is copied to each host.
is_below() {
    local size
    [[ -e $2 ]] || return 0
    size=$(stat --format=%s "$2")
    ((size < $1)) || { echo "$2 has $size bytes, and is to stay below $1." >&2 && return 1; }
}

# Prints the Rust target for a machine.
target_of() {
    local musl=$1-unknown-linux-musl gnu=$1-unknown-linux-gnu
    if has "$musl" || rustup target add "$musl" >&2; then
        echo "$musl"
    elif [[ $1 == "$here" ]] && has "$gnu"; then
        echo "The Rust target $musl cannot be had (rustup target add $musl); building with static glibc instead." >&2
        echo "$gnu"
    else
        return 1
    fi
}

has() {
    [[ -d $(rustc --print target-libdir --target "$1") ]]
}

build() {
    # Settings for a target that are given twice are joined with those of .cargo/config.toml; RUSTFLAGS would replace those.
    cargo build --release --locked --target "$1" --config "target.$1.rustflags = [$(flags "$1")]" --package lvs-host-modules
}

flags() {
    local directory flags=(--remap-path-prefix="$(rustc --print sysroot)/lib/rustlib/src/rust=/rustc/$(commit)")
    for directory in "$cargo_home"/registry/src/*; do
        flags+=(--remap-path-prefix="$directory=/cargo")
    done
    case $1 in
        *-gnu) flags+=(-C target-feature=+crt-static) ;;
        *) flags+=(-C "link-arg=-T$PWD/modules/no_unwind.ld") ;;
    esac
    printf '"%s", ' "${flags[@]}"
}

# The name that rustc's own library was built under; with the component rust-src, rustc puts that directory instead.
commit() {
    rustc -vV | sed -n 's/^commit-hash: //p'
}

copy() {
    local source name
    mkdir -p "$2"
    for source in modules/src/bin/*.rs; do
        name=$(basename "$source" .rs)
        install --compare -m 755 "target/$1/release/$name" "$2/$name"
    done
}

main
