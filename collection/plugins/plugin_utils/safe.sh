# shellcheck shell=sh disable=SC2034,SC2154
# What both scripts begin with: surroundings that no variable of the target's decides, which directories are safe, and the start of the
# binary. The runner puts these at the head: word, which marks what is for the runner; n, the name of the binary; e, which is not empty if
# the task's environment is on standard input.

# bash takes functions out of the environment, as sh too; no variable may change what ls, head or wc print, or what sh does.
unset -f [ cat cd chmod command echo false find head ls mkdir mktemp mv printf read rm rmdir sync tail test true umask uname wc
unset BASH_ENV BLOCKSIZE BLOCK_SIZE CDPATH ENV IFS LS_BLOCK_SIZE POSIXLY_CORRECT QUOTING_STYLE TMPDIR
set +efux
their_path=$PATH overflow=''
PATH=/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin
export LC_ALL=C TIME_STYLE=locale PATH

# Looks at the working directory and all above it, by one ls: from here on, nothing follows a path that could lead elsewhere meanwhile.
# Sets `why` where others could exchange one of them, `mode` and `owner` of the working directory, and `seen` and `theirs`, what ls has of
# the file $1. An ls has 9 words for each, in the order of bytes: see POSIX ls, with TIME_STYLE for GNU; the third is the owner, the fifth
# the size. The last is /proc/self, which is the executing user's.
survey() {
    above='' up=. path=$PWD why="others may exchange what is above $PWD"
    while [ -n "$path" ]; do
        path=${path%/*}
        above="$above $up"
        up=../$up
    done
    # shellcheck disable=SC3013 # every sh of a target has it: dash, bash, BusyBox, ksh
    [ "$up" -ef / ] || return
    # shellcheck disable=SC2046,SC2086 # words
    set -- $(exec ls -dln $above $up ${1:+"./$1"} /proc/self/. 2>/dev/null)
    [ $# -gt 9 ] || return
    eval "me=\${$(($# - 6))} group=\${$(($# - 5))}"
    mode='' below=$me path=$PWD
    for up in $above $up; do
        [ "$9" = "$up" ] || return
        why="others may exchange what is in ${path:-/}, which has owner $3 and mode $1"
        is_safe "$1" "$3" "$4" || return
        [ -n "$mode" ] || mode=$1 owner=$3
        below=$3 path=${path%/*}
        [ $# -gt 9 ] || return
        shift 9
    done
    why='' seen="$1 $5" theirs=$3
}

# Nobody but its owner writes to it, or only the executing user's own group (umask 002), or it is sticky, where nobody can exchange what
# belongs to another. With access lists, ls ends the mode with a +.
is_safe() {
    is_trusted "$2" || return
    case $1 in
        d????-??-?*) ;;
        d????????[tT]*) [ "$below" = 0 ] || [ "$below" = "$me" ] ;;
        d????w??-? | d????w??-?.) [ "$3" = "$group" ] && is_private ;;
        *) false ;;
    esac
}

# Root, the executing user, or in a user namespace without root, who stands for all users that are not in it (user_namespaces(7)).
is_trusted() {
    [ "$1" != 0 ] && [ "$1" != "$me" ] || return 0
    # The kernel gives the number to the first read(2) only, and dash reads single bytes.
    overflow=${overflow:-$(cat /proc/sys/kernel/overflowuid)}
    [ "$1" = "$overflow" ] || return
    while read -r first outside count; do
        [ "$overflow" -lt "$first" ] || [ "$overflow" -ge $((first + count)) ] || return
    done </proc/self/uid_map
}

# Nobody else is in the executing user's group, as far as the files of this host say.
is_private() {
    user='' found=''
    while IFS=: read -r name password id their_group rest; do
        [ "$their_group" != "$group" ] || [ "$id" = "$me" ] || return
        [ "$id" != "$me" ] || user=$name
    done </etc/passwd
    while IFS=: read -r name password id members; do
        [ "$id" != "$group" ] || case $members in '' | "$user") found=1 ;; *) return 1 ;; esac
    done </etc/group
    [ -n "$found" ]
}

# The task's environment is what sh reads, up to a line that is the word.
read_environment() {
    [ -n "$e" ] || return 0
    e=
    while IFS= read -r line && [ "$line" != "$word" ]; do
        e="$e$line
"
    done
}

# Runs the binary of the working directory. After 126 and 127 it was not started, as POSIX has it for sh; whatever else came, it may have been.
# Not by exec: bash makes of ./name a path that begins with its PWD, and that is what cd -P found before it went there.
start() {
    echo "LVS-HOST-RUN $word"
    if [ -z "$e" ]; then "./$n" "$1"; else (eval "$e" && "./$n" "$1"); fi
    r=$?
    [ $r = 126 ] || [ $r = 127 ] || printf "\nLVS-HOST-END %s %s\n" "$word" $r
    return $r
}
