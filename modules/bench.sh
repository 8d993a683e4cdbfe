#!/usr/bin/env bash
# Times the modules beside other tools, in one run on one throw-away host, as whole processes; called by `make bench`.
# Absolute times depend on the machine and on what else it does: the ratios count.
set -euo pipefail
cd "$(dirname "$0")/.."

[[ ${1-} == on-the-host ]] || exec molecule/host run -- modules/bench.sh on-the-host

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
sysctl=target/modules/sysctl

# The least that any program costs here: one that is static and does nothing.
build_nothing() {
    echo 'fn main() {}' >"$dir/nothing.rs"
    rustc -C opt-level=3 -C panic=abort -C strip=symbols -C target-feature=+crt-static \
        --target "$(rustc -vV | sed -n 's/^host: //p' | sed 's/gnu$/musl/')" -o "$dir/nothing" "$dir/nothing.rs"
}

# Prints the median of each command's wall, user and system time in milliseconds, and its wall time over the first's.
compare() {
    hyperfine --shell=none --warmup 20 --runs "$runs" --export-json "$dir/result.json" "$@" >/dev/null 2>"$dir/log" || cat "$dir/log"
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

build_nothing
runs=${RUNS:-200}
one_parameter
runs=${RUNS:-50}
many_parameters
