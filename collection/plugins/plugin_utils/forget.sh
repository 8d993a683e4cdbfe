# shellcheck shell=sh disable=SC2154
# Removes a binary that did not answer from the cache $1: the next task brings a new file. At the head is also: binaries, as for look.sh.
cd -P "$1" 2>/dev/null && survey || exit
# shellcheck disable=SC2086 # words
set -- $binaries
while [ $# -ge 3 ]; do
    rm -f "./$2"
    shift 3
done
