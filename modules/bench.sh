#!/usr/bin/env bash
# Times the modules beside other tools, in one run on one throw-away host, as whole processes; called by `make bench`.
# Absolute times depend on the machine and on what else it does: the ratios count.
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

# Prints the median of each command's wall, user and system time in milliseconds, and its wall time over the first's.
compare() {
    hyperfine --shell=none --ignore-failure --warmup 20 --runs "$runs" --export-json "$dir/result.json" "$@" >/dev/null 2>"$dir/log" || cat "$dir/log"
    show_results
}

show_results() {
    python3 - "$dir/result.json" <<'END'
import json, sys
results = json.load(open(sys.argv[1]))['results']
for result in results:
    ratio = result['median'] / results[0]['median']
    name = ' '.join(word.split('/')[-1] for word in result['command'].split())
    print(f"  {result['median'] * 1e3:8.2f} ms wall  {result['user'] * 1e3:6.2f} user  {result['system'] * 1e3:6.2f} system"
          f"  {ratio:6.2f} x  {name}")
END
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
    printf '\n500 parameters changed in the kernel and in the file, in one task, there and back\n'
    cat >"$dir/toggle" <<END
#!/bin/sh
$sysctl <$dir/set1 >/dev/null
$sysctl <$dir/set0 >/dev/null
END
    printf '#!/bin/sh\nsysctl -q -p %s\nsysctl -q -p %s\n' "$dir/p1" "$dir/p0" >"$dir/toggle-procps"
    chmod +x "$dir"/toggle*
    compare "$dir/toggle" "$dir/toggle-procps"
}

# What is added must go again between two runs; hyperfine's --prepare does that and is not timed.
compare_prepared() {
    hyperfine --shell=none --warmup 2 --runs "$runs" --export-json "$dir/result.json" "$@" >/dev/null 2>"$dir/log" || cat "$dir/log"
    show_results
}

one_alias() {
    ip link add v0 type veth peer name v1
    ip link set v0 up
    echo '{"name": "v0:1", "address": "192.0.2.10/32"}' >"$dir/add"
    printf '\nOne alias added\n'
    compare_prepared --prepare 'ip address flush dev v0' "ip address add 192.0.2.10/32 dev v0 label v0:1" \
        --prepare 'ip address flush dev v0' "$alias $dir/add"
    printf '\nOne alias that is there, while another interface has 10,000\n'
    python3 -c 'for n in range(10000): print(f"address add 10.{n // 250}.{n % 250}.1/32 dev lo")' | ip -batch -
    compare "ip -4 address show dev v0" "$alias $dir/add"
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
    printf '\n10,000 aliases that are there, checked\n'
    compare "ip -oneline -4 address show dev lo" "ip -force -batch $dir/batch-add" "$alias $dir/present"
    printf '\n10,000 aliases removed in one task\n'
    compare_prepared --prepare "$alias $dir/present" "ip -batch $dir/batch-del" --prepare "$alias $dir/present" "$alias $dir/absent"
}

build_nothing
runs=${RUNS:-200}
one_parameter
one_alias
runs=${RUNS:-50}
many_parameters
runs=${RUNS:-5}
many_aliases
