#!/usr/bin/env bash
# Times the modules beside other tools, in one run on one throw-away host, as whole processes; called by `make bench`.
# Absolute times depend on the machine and on what else it does: the ratios count. Exits with 1 if one is not as promised, and says which.
set -euo pipefail
cd "$(dirname "$0")/.."

[[ ${1-} == on-the-host ]] || exec lab/host run -- modules/bench.sh on-the-host

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
sysctl=target/modules/sysctl
alias=target/modules/interface_alias

# The least that any program costs here: one that is static and does nothing.
build_nothing() {
    echo 'fn main() {}' >"$dir/nothing.rs"
    rustc -C opt-level=3 -C panic=abort -C strip=symbols -C target-feature=+crt-static \
        --target "$(rustc -vV | sed -n 's/^host: //p' | sed 's/gnu$/musl/')" -o "$dir/nothing" "$dir/nothing.rs"
}

# Times commands one after the other, and shows what came of it.
compare() {
    measure --warmup 20 "$@"
}

# What is added must go again between two runs; hyperfine's --prepare does that and is not timed.
compare_prepared() {
    measure --warmup 2 "$@"
}

measure() {
    hyperfine --shell=none --runs "$runs" --export-json "$dir/result.json" "$@" >/dev/null 2>"$dir/log" || {
        cat "$dir/log" >&2
        exit 1
    }
    lab/bench/compare.py "$dir/result.json"
}

# Says whether the last comparison has, of two commands, named by their places from 0 on, the first take so many times as long as the second.
promise() {
    lab/bench/compare.py "$dir/result.json" "$@" 2>>"$dir/broken" || is_broken=1
}

one_parameter() {
    printf '\nOne parameter that is right already, checked in the kernel\n'
    echo '{"name": "net.ipv4.ip_forward", "value": 0, "persist": false, "_ansible_check_mode": true}' >"$dir/one"
    compare "$dir/nothing" "$sysctl $dir/one" 'sysctl -n net.ipv4.ip_forward'
    printf '\nThe same, in the kernel and in the files of the next boot\n'
    echo '{"name": "net.ipv4.ip_forward", "value": 0}' | "$sysctl" >/dev/null
    echo '{"name": "net.ipv4.ip_forward", "value": 0, "_ansible_check_mode": true}' >"$dir/one"
    compare "$dir/nothing" "$sysctl $dir/one" 'sysctl -n net.ipv4.ip_forward'
}

many_parameters() {
    local number
    for number in {1..125}; do
        ip link add "a$number" type veth peer name "b$number"
    done
    python3 - "$dir" <<'END'
import json, sys
names = [f'net.ipv4.conf.{side}{number}.{key}' for side in 'ab' for number in range(1, 126) for key in ('arp_ignore', 'rp_filter')]
for file, value, check in ('set1', 1, False), ('set0', 0, False), ('check', 0, True):
    task = {'settings': dict.fromkeys(names, value), 'sysctl_file': '/etc/sysctl.d/50-bench.conf', '_ansible_check_mode': check}
    json.dump(task, open(f'{sys.argv[1]}/{file}', 'w'))
for file, value in ('p1', 1), ('p0', 0):
    open(f'{sys.argv[1]}/{file}', 'w').writelines(f'{name}={value}\n' for name in names)
END
    "$sysctl" <"$dir/set0" >/dev/null
    printf '\n500 parameters that are right already, checked in the kernel and in the file, in one task\n'
    compare "$dir/nothing" "$sysctl $dir/check" "sysctl -p $dir/p0"
    promise '500 parameters checked, of sysctl -p' 1.0 1 2
    printf '\n500 parameters changed in the kernel and in the file, in one task, there and back\n'
    cat >"$dir/toggle" <<END
#!/bin/sh
$sysctl <$dir/set1 >/dev/null
$sysctl <$dir/set0 >/dev/null
END
    printf '#!/bin/sh\nsysctl -q -p %s\nsysctl -q -p %s\n' "$dir/p1" "$dir/p0" >"$dir/toggle-procps"
    chmod +x "$dir"/toggle*
    compare "$dir/toggle" "$dir/toggle-procps"
    promise '500 parameters changed in kernel and file, of what procps takes for the kernel alone' 2.5 0 1
}

one_alias() {
    ip link add v0 type veth peer name v1
    ip link set v0 up
    echo '{"name": "v0:1", "address": "192.0.2.10/32"}' >"$dir/add"
    printf '\nOne alias added\n'
    compare_prepared --prepare 'ip address flush dev v0' "ip address add 192.0.2.10/32 dev v0 label v0:1" \
        --prepare 'ip address flush dev v0' "$alias $dir/add"
    promise 'one alias added, of ip address add' 1.0 1 0
    printf '\nOne alias that is there, while another interface has 10,000\n'
    python3 -c 'for n in range(10000): print(f"address add 10.{n // 250}.{n % 250}.1/32 dev lo")' | ip -batch -
    compare "ip -4 address show dev v0" "$alias $dir/add"
    promise 'one alias checked beside 10,000 others, of ip address show' 1.0 1 0
    ip address flush dev lo 2>/dev/null || true
}

many_aliases() {
    python3 - "$dir" <<'END'
import json, sys
addresses = [f'10.{n // 250}.{n % 250}.1' for n in range(10000)]
aliases = [{'address': address} for address in addresses]
for state in 'present', 'absent':
    json.dump({'name': 'lo', 'prefix': 32, 'state': state, 'aliases': aliases}, open(f'{sys.argv[1]}/{state}', 'w'))
for act in 'add', 'del':
    open(f'{sys.argv[1]}/batch-{act}', 'w').writelines(f'address {act} {address}/32 dev lo\n' for address in addresses)
END
    printf '\n10,000 aliases added in one task\n'
    compare_prepared --prepare "$alias $dir/absent" "ip -batch $dir/batch-add" --prepare "$alias $dir/absent" "$alias $dir/present"
    promise '10,000 aliases added, of ip -batch' 1.1 1 0
    printf '\n10,000 aliases that are there, checked\n'
    # ip fails, as each is there.
    compare --ignore-failure "ip -oneline -4 address show dev lo" "ip -force -batch $dir/batch-add" "$alias $dir/present"
    promise '10,000 aliases checked, of ip -force -batch' 1.0 2 1
    printf '\n10,000 aliases removed in one task\n'
    compare_prepared --prepare "$alias $dir/present" "ip -batch $dir/batch-del" --prepare "$alias $dir/present" "$alias $dir/absent"
    promise '10,000 aliases removed, of ip -batch' 1.15 1 0
}

is_broken=''
build_nothing
runs=${RUNS:-200}
one_parameter
one_alias
runs=${RUNS:-50}
many_parameters
runs=${RUNS:-5}
many_aliases
[[ -z $is_broken ]] || {
    cat "$dir/broken" >&2
    exit 1
}
