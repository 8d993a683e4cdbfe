#!/usr/bin/env bash
# Builds the modules as static binaries into target/modules, one file each, named as the module.
# Static musl starts faster and is smaller; where its target cannot be had, static glibc will do.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v cargo >/dev/null || {
    echo "Rust is missing: install it with rustup (https://rustup.rs), version 1.89 or newer." >&2
    exit 1
}
machine=$(uname -m)
musl=$machine-unknown-linux-musl
gnu=$machine-unknown-linux-gnu

has() { [[ -d $(rustc --print target-libdir --target "$1") ]]; }

if has "$musl" || rustup target add "$musl"; then
    target=$musl
else
    target=$gnu
    export RUSTFLAGS="-C target-feature=+crt-static ${RUSTFLAGS-}"
    echo "The Rust target $musl cannot be had (rustup target add $musl); building with static glibc instead." >&2
fi
cargo build --release --locked --target "$target" --package lvs-host-modules
mkdir -p target/modules
for source in modules/*.rs; do
    name=$(basename "$source" .rs)
    install --compare -m 755 "target/$target/release/$name" "target/modules/$name"
done
