#!/usr/bin/env bash
# Fuzzes what reads foreign bytes, led by coverage: fuzz/run.sh SECONDS [TARGET...]
# Each target has so many seconds, one on each processor at a time, on a throw-away host. It begins with fuzz/corpus, which is kept,
# and what earlier runs found in target/fuzz/corpus. Says for each: executions, edges and features that were reached, inputs.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.13.1
seconds=$1
shift
ignore() {
    echo "ignored: fuzzing ($1)"
    exit 0
}

molecule/need.sh c++=g++ || ignore 'libFuzzer needs a C++ compiler, which is missing, as said above'
mkdir -p target/fuzz
PATH=$PWD/target/fuzz/tools/bin:$PATH
[[ $(cargo fuzz --version 2>/dev/null) == "cargo-fuzz $version" ]] ||
    cargo install --quiet --locked --debug --root target/fuzz/tools --version "$version" cargo-fuzz ||
    ignore "cargo-fuzz $version is not there and cannot be installed, as said above"

# Counting edges needs no sanitizer, and so no nightly compiler; cargo-fuzz asks for one by habit.
export RUSTC_BOOTSTRAP=1
cargo fuzz build --sanitizer none --target-dir target/fuzz 2>target/fuzz/build.log || {
    cat target/fuzz/build.log >&2
    exit 1
}
binaries=(target/fuzz/*/release)
(($#)) || mapfile -t targets < <(cargo fuzz list)
(($#)) && targets=("$@")

fuzz() {
    local target=$1 place=$PWD/target/fuzz log
    log=$place/logs/$target
    mkdir -p "$place"/{corpus,artifacts}/"$target" "$place/logs"
    if ! molecule/host run -- "$2/$target" "$place/corpus/$target" "fuzz/corpus/$target" -max_total_time="$3" \
        -artifact_prefix="$place/artifacts/$target/" -max_len=4096 -timeout=30 -print_final_stats=1 &>"$log"; then
        grep --text --after-context=3 --max-count=3 --extended-regexp 'panicked|ERROR' "$log" | cut -c1-1000 >&2
        echo "$target: the input is below target/fuzz/artifacts/$target; try it with: molecule/host run $2/$target FILE" >&2
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
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c 'fuzz "$@"' fuzz {} "${binaries[0]}" "$seconds"
