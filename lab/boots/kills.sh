#!/usr/bin/env bash
# Kills a task before each of its system calls that changes something, and looks what is left. test_kills.py puts it on its hosts.
#
#   kills TASK SAVED   the task in the file TASK, on the host as it is now; each state that a boot would find goes to SAVED/STATE.tar
#
# Prints `points N` and `states N` at the end, and a line for each point after which the next run does not bring what an undisturbed
# one does, or that was not reached.
set -euo pipefail
shopt -s nullglob

task=$1 saved=$2
calls=(openat write pwrite64 renameat renameat2 linkat symlinkat unlinkat mkdirat ftruncate fchmod fchown fsetxattr fsync sendto)
files=(/etc/network /etc/systemd/network /etc/netplan /etc/NetworkManager/system-connections)
states=(/run/network /run/ifstate)
strace=(/opt/strace/ld --library-path /opt/strace /opt/strace/strace -qq)
points=0

archive() {
    tar --create --sort=name --mtime=@0 --exclude=.ifstate.lock --file=- "$@" 2>/dev/null || true
}

# An empty directory for drop-ins, which nobody reads, may stay.
look_at() {
    { find "$@" -name .ifstate.lock -prune -o ! \( -type d -empty \) -print0 2>/dev/null || true; } | sort --zero-terminated |
        tar --create --no-recursion --null --files-from=- --mtime=@0 --file=- 2>/dev/null | sha256sum
}

addresses() {
    ip -oneline address show "$1" | grep -v fe80: | sed 's/ valid_lft.*//; s/proto 0x4c //; s/ secondary//' | sort
}

look() {
    look_at "${present[@]}"
    addresses eth0
}

# What the interface had goes where it is no more, and comes where it was.
restore() {
    local line
    rm -rf "${files[@]}" "${states[@]}"
    tar --extract --directory=/ --file="$saved/before"
    while read -r line; do
        # shellcheck disable=SC2086 # several words
        ip address del $line dev eth0
    done < <(comm -13 "$saved/addresses" <(addresses eth0) | sed 's/^[^ ]* eth0 *inet6* \([^ ]*\).*/\1/')
    while read -r line; do
        # shellcheck disable=SC2086 # several words
        ip address add $line dev eth0
    done < <(comm -23 "$saved/addresses" <(addresses eth0) | sed 's/^[^ ]* eth0 *inet6* \([^ ]*\)\( brd [^ ]*\)* scope global [^e]*\([^\\]*\).*/\1\2 label \3/')
}

module() {
    "$@" /opt/modules/interface_alias <"$task" >/dev/null 2>&1
}

save_state() {
    local name
    name=$(look_at "${kept[@]}" | cut -c1-16)
    [[ -e $saved/$name.tar ]] || archive "${kept[@]}" >"$saved/$name.tar"
}

# Returns whether there was something to kill: the number of the point is after the name of the call.
kill_at() {
    local ended=0
    restore
    module "${strace[@]}" -o /dev/null -e "trace=$1" -e "inject=$1:signal=SIGKILL:when=$2" || ended=$?
    save_state
    module || true
    [[ $(look) == "$after" ]] || echo "different: $1 $2"
    ((ended != 0))
}

mkdir -p "$saved"
rm -f "$saved"/*
present=() kept=()
for path in "${files[@]}" "${states[@]}"; do [[ ! -e $path ]] || present+=("$path"); done
for path in "${files[@]}"; do [[ ! -e $path ]] || kept+=("$path"); done
archive "${present[@]}" >"$saved/before"
addresses eth0 >"$saved/addresses"
module "${strace[@]}" -o "$saved/trace" || { echo 'the task fails'; exit; }
after=$(look)
for call in "${calls[@]}"; do
    number=1
    while ((number < 2000)) && kill_at "$call" "$number"; do ((++number)); done
    ((number - 1 >= $(grep -c "^$call(" "$saved/trace" || true))) || echo "not reached: $call $number"
    ((points += number - 1)) || true
done
archives=("$saved"/*.tar)
echo "points $points"
echo "states ${#archives[@]}"
