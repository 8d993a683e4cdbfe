#!/usr/bin/env bash
# Makes interfaces of all the names in /etc/names, each with a number and an address of hardware after it, before any
# manager looks. test_names.py puts it on its hosts.
mapfile -t names </etc/names
for number in "${!names[@]}"; do
    ip link add name "${names[number]}" address "02:00:00:00:00:$number" type veth peer name "far$number"
    ip link set dev "far$number" up
done
