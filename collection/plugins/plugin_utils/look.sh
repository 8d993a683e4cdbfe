# shellcheck shell=sh disable=SC2034,SC2154
# Runs the binary where one of the directories $1... has it, else says LVS-HOST-MISS, the machine, and why a directory was passed over.
# At the head are also: a, the arguments or - where they are on standard input; binaries, machine, name and size of each.

# Linux 6.1 and newer have that file (kernel/utsname_sysctl.c); reading it is quicker than a process.
{ read -r m </proc/sys/kernel/arch; } 2>/dev/null || m=$(uname -m)

choose() {
    while [ $# -ge 3 ]; do
        [ "$1" != "$m" ] || n=$2 s=$3
        shift 3
    done
}

# The directory and the file are root's or the user's, nobody else writes to them, and the file has its size.
try() {
    [ -x "$1/$n" ] || return
    cd -P "$1" 2>/dev/null || return
    survey "$n" || {
        notes="$notes; $1: $why"
        return
    }
    case "$mode $seen" in d????-??-?*" -"????-??-?*" $s") is_trusted "$theirs" || return ;; *) return ;; esac
    [ -z "$notes" ] || echo "LVS-HOST-NOTE $word ${notes#; }"
    start "$a"
    r=$?
    [ $r = 126 ] || [ $r = 127 ] || exit $r
}

n=- notes=''
# shellcheck disable=SC2086 # words
choose $binaries
read_environment
for d; do try "$d"; done
# What would have read the arguments is not there; some connections lose the output when nobody does.
[ "$a" != - ] || cat >/dev/null
echo "LVS-HOST-MISS $word $m$notes"
exit 127
