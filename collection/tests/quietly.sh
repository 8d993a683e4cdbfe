# shellcheck shell=bash disable=SC2154 # whoever sources it has a directory $work

# What a command says matters only if it fails. Meanwhile it is in $work/log.
quietly() {
    "$@" >"$work/log" 2>&1 || {
        tail -n 60 "$work/log"
        echo "${0##*/}: failed: $*" >&2
        exit 1
    }
}
