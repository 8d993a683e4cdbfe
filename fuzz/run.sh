#!/usr/bin/env bash
# Fuzzes what reads foreign bytes, led by coverage: fuzz/run.sh SECONDS [TARGET...]
# Each target has so many seconds, one on each processor at a time, on a throw-away host. It begins with fuzz/corpus, which is kept,
# and what earlier runs found in target/fuzz/corpus. Says for each: executions, edges and features that were reached, inputs.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=$1
shift
lab/need.sh c++=g++ || {
    echo 'ignored: fuzzing (libFuzzer needs a C++ compiler, which is missing, as said above)'
    exit 0
}

# As cargo-fuzz builds without a sanitizer, and so without a nightly compiler: what it takes besides is only its own installation.
machine=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0
    -Cdebug-assertions --cfg=fuzzing' \
    cargo build --quiet --locked --release --manifest-path fuzz/Cargo.toml --target-dir target/fuzz --target "$machine"
binaries=target/fuzz/$machine/release
targets=("$@")
((${#targets[@]})) || mapfile -t targets < <(basename --suffix=.rs fuzz/targets/*.rs)

fuzz() {
    local target=$1 binary=$2/$1 seconds=$3 place=$PWD/target/fuzz log
    log=$place/logs/$target
    mkdir -p "$place"/{corpus,artifacts}/"$target" "$place/logs"
    if ! lab/host run -- "$binary" "$place/corpus/$target" "fuzz/corpus/$target" -max_total_time="$seconds" \
        -artifact_prefix="$place/artifacts/$target/" -max_len=4096 -timeout=30 -print_final_stats=1 &>"$log"; then
        grep --text --after-context=3 --max-count=3 --extended-regexp 'panicked|ERROR' "$log" | cut -c1-1000 >&2
        echo "$target: the input is below target/fuzz/artifacts/$target; try it with: lab/host run $binary FILE" >&2
        return 1
    fi
    awk -v target="$target" '
        / cov: / { for (i = 1; i < NF; i++) if ($i ~ /^(cov|ft|corp):$/) last[$i] = $(i + 1) }
        /number_of_executed_units/ { executions = $2 }
        END { sub("/.*", "", last["corp:"])
              printf "%-18s %10d executions %6d edges %6d features %5d inputs\n",
                     target, executions, last["cov:"], last["ft:"], last["corp:"] }' "$log"
}
export -f fuzz
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c 'fuzz "$@"' fuzz {} "$binaries" "$seconds"
