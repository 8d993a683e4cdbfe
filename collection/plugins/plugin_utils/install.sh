# shellcheck shell=sh disable=SC2034,SC2154
# Puts the binary, which follows the arguments on standard input, into the cache or the first of the directories $1... that can take it, and
# runs it. Says LVS-HOST-FAIL where none could, LVS-HOST-NOTE where it could not be kept. At the head are also: home, module, size and sha256.
# What cannot be done reads standard input to its end, or ssh would tell of a broken pipe.
umask 077
read_environment
IFS= read -r arguments

fail() {
    cat >/dev/null
    echo "LVS-HOST-FAIL $word $1"
    exit 1
}

# The tools that the system does not have may be where the target's PATH says, as far as that is safe. env: see `start` on PWD.
extend_path() {
    IFS=:
    # shellcheck disable=SC2086 # words
    set -- $their_path
    unset IFS
    for p; do
        p=$(enter "$p" && case $mode in d????-??-?*) env pwd -P ;; *) false ;; esac) && PATH=$PATH:$p
    done
}

have_tools() {
    for tool in cat chmod head mkdir mktemp mv rm rmdir wc; do
        command -v $tool >/dev/null || return
    done
}

find_hash() {
    for hash in sha256sum "shasum -a 256" "openssl dgst -sha256" "busybox sha256sum"; do
        ! $hash </dev/null >/dev/null 2>&1 || return 0
    done
    hash=
    false
}

# Goes to a directory, however it is reached, and looks at it.
enter() {
    case $1 in /* | ./*) ;; *)
        why="there is no such home"
        return 1
        ;;
    esac
    why="there is no such directory, or it cannot be entered"
    cd -P "$1" 2>/dev/null && survey
}

# Goes from a directory that was looked at to one in it, which is made if it is missing.
descend() {
    [ -d "./$1" ] || why=$(mkdir "./$1" 2>&1) || return
    enter "./$1"
}

# Goes to a directory, and makes what is missing of it.
reach() {
    if [ -d "$1" ]; then
        enter "$1"
        return
    fi
    case $1 in /*/*) reach "${1%/*}" ;; *) enter / ;; esac && descend "${1##*/}"
}

# Step by step: who may write to the home could have made a link of what is in it.
into_cache() {
    enter "$home" && descend .cache && descend lvs-host || return
    why="it belongs to user $owner"
    [ "$owner" = "$me" ] && why=$(chmod 700 . 2>&1) && fit
}

# In a directory that others write to, only a name that nobody could have made before will do.
into_temporary() {
    case $1 in /*) reach "$1" ;; *) enter "$1" ;; esac || return
    made=$(mktemp -d ./lvs-host.XXXXXX 2>&1) || {
        why=$made made=
        return 1
    }
    cd -P "$made" && fit
}

# It must be this user's alone, have room, and programs in it may be executed.
fit() {
    survey || return
    why="it has owner $owner and mode $mode"
    case "$mode $owner" in "drwx------"*" $me") ;; *) return 1 ;; esac
    t=./.$n.$$
    why=$({ echo "#!/bin/sh" >"$t" && chmod 700 "$t"; } 2>&1) || return
    "$t" 2>/dev/null || {
        why="programs in it may not be executed"
        return 1
    }
    why=$({ head -c "$size" /dev/zero >"$t"; } 2>&1)
}

clean() {
    [ -z "$t" ] || rm -f "$t"
    [ -z "$made" ] || { rm -f "./$n" && cd -P .. && rmdir "$made"; }
    t='' made=''
}

have_tools || extend_path
find_hash || { extend_path && find_hash; }
t='' made='' notes=''
if into_cache; then
    set --
else
    notes="; $home/.cache/lvs-host: $why"
    clean
fi
for p; do
    into_temporary "$p" && break
    notes="$notes; $p: $why"
    clean
done
[ -n "$t" ] || fail "no directory there can take it: ${notes#; }"
trap clean EXIT
m=$({ cat >"$t"; } 2>&1) || fail "$m"
[ "$(wc -c <"$t")" -eq "$size" ] || fail "it arrived with another size"
[ -z "$hash" ] || case " $($hash <"$t") " in *" $sha256 "*) ;; *) fail "it arrived with another hash" ;; esac
m=$("$t" --version 2>&1) || fail "$t cannot be executed there: $m"
if [ -z "$made" ]; then
    sync "$t" 2>/dev/null
    # shellcheck disable=SC2012,SC2046 # names of ours, the oldest last
    { rm -f $(ls -t "$module"-* | tail -n +4) && find . -name ".*-*" -type f -mtime +0 -exec rm -f {} ";"; } >/dev/null 2>&1
else
    echo "LVS-HOST-NOTE $word ${notes#; }"
fi
m=$(mv -f "$t" "./$n" 2>&1) || fail "$m"
printf "%s\n" "$arguments" | start -
