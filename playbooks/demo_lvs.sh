#!/usr/bin/env bash
# From an inventory to served requests: a director and two real servers, which are guests of QEMU with a kernel of their own, and a
# client. All of it exists only for that. Called by `make demo-lvs`, which first builds what it needs. As root.
#
#   client 10.9.0.1 ---- LAN ---- director .2, web1 .11, web2 .12; the VIP is 10.9.0.100
set -euo pipefail

cd "$(dirname "$0")/.."
export PATH=$PWD/target/venv/bin:$PATH ANSIBLE_NOCOLOR=1
vip=10.9.0.100

main() {
    ((EUID == 0)) || fail "its hosts have several users, which only root can make"
    [[ -d target/collections/ansible_collections/lvs/host ]] ||
        fail "the collection is not built: 'make demo-lvs' builds it"
    # A short path, as sockets are made below it.
    dir=$(mktemp -d)
    export ANSIBLE_HOME=$dir/ansible ANSIBLE_SSH_CONTROL_PATH_DIR=$dir/ssh
    trap end EXIT

    heading "Three hosts and a client"
    make_hosts
    write_inventory
    cat "$dir/inventory.yml"

    heading "One playbook"
    playbook set_up
    heading "A second time nothing is left to do"
    playbook set_up
    grep -q 'director .*changed=0 ' "$dir/output" || fail "the second run changed something"

    heading "Ten requests"
    for _ in {1..10}; do request; done | sort | uniq -c | tee "$dir/answers"
    [[ $(awk '{print $1, $2}' "$dir/answers") == $'5 web1\n5 web2' ]] || fail "they were not answered five and five"

    heading "One real server after the other leaves, has its web server started anew, and comes back, under load"
    load &
    local loading=$!
    playbook rolling -e "lvs_tasks=$dir/restart.yml"
    touch "$dir/enough"
    wait "$loading"
    sort "$dir/load" | uniq -c
    ! grep -q none "$dir/load" || fail "a request had no answer"

    heading "What was proved"
    echo "  * set_up made an LVS of an inventory, and its second run changed nothing."
    echo "  * Ten requests were answered five and five."
    echo "  * Both real servers left and came back: $(wc -l <"$dir/load") requests sent meanwhile, none failed."
    echo "The hosts are gone now; this machine is as it was."
}

end() {
    touch "$dir/enough"
    for host in client lan; do lab/host stop "$dir/$host" 2>/dev/null || true; done
    rm -rf "$dir"
}

heading() {
    printf '\n== %s\n' "$1"
}

fail() {
    echo "demo_lvs: $*" >&2
    exit 1
}

# The guests end with the LAN.
make_hosts() {
    local guest guests=()
    for host in lan client; do lab/host start "$dir/$host" "$host"; done
    lab/host plug "$dir/client" eth1 "$dir/lan"
    on lan ip address add 10.9.0.254/24 dev br0
    on client ip address add 10.9.0.1/24 dev eth1
    for guest in director:2 web1:11 web2:12; do
        lab/guest start "$dir/${guest%:*}" "${guest%:*}" "$dir/lan" "10.9.0.${guest#*:}" &
        guests+=("$!")
    done
    for guest in "${guests[@]}"; do wait "$guest"; done
}

write_inventory() {
    cat >"$dir/inventory.yml" <<-END
		lvs:
		  children:
		    directors:
		      hosts: {director: {ansible_host: 10.9.0.2}}
		      vars: {lvs_vip_interface: eth0}
		    real_servers:
		      hosts: {web1: {ansible_host: 10.9.0.11}, web2: {ansible_host: 10.9.0.12}}
		  vars:
		    lvs_method: dr
		    lvs_vips: [$vip]
		    lvs_services: [{port: 80, scheduler: rr}]
		    lvs_persist: none # the guests are all in memory
	END
    # How the hosts are reached is no part of an LVS.
    cat >"$dir/reached.yml" <<-END
		lvs:
		  vars:
		    ansible_user: root
		    ansible_ssh_private_key_file: $dir/{{ inventory_hostname }}/user_key
		    ansible_ssh_common_args: >-
		      -F none -o UserKnownHostsFile=$dir/known -o StrictHostKeyChecking=accept-new
		      -o ProxyCommand='"$PWD/lab/guest" connect "$dir/lan" %h'
	END
    cat >"$dir/restart.yml" <<-'END'
		- name: Start the web server anew
		  ansible.builtin.raw: kill $(pidof httpd); sleep 1; httpd -h /www
	END
    ansible --inventory "$dir/inventory.yml" --inventory "$dir/reached.yml" real_servers -m raw \
        -a 'mkdir /www && hostname >/www/index.html && httpd -h /www' >"$dir/output" || fail "no web servers: $(<"$dir/output")"
}

playbook() {
    ansible-playbook --inventory "$dir/inventory.yml" --inventory "$dir/reached.yml" "lvs.host.$1" "${@:2}" >"$dir/output" 2>&1 || {
        cat "$dir/output"
        fail "$1 failed; its own message is above"
    }
    sed -n '/^PLAY RECAP/,$p' "$dir/output"
}

on() {
    nsenter --target "$(cut -d' ' -f1 "$dir/$1/pid")" --net -- "${@:2}"
}

# What answers is the last line.
request() {
    on client timeout 5 bash -c "exec 3<>/dev/tcp/$vip/80 && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && tail -n 1 <&3" 2>/dev/null || echo none
}

load() {
    while [[ ! -e $dir/enough ]]; do request; done >"$dir/load"
}

main "$@"
