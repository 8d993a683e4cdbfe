"""What the filters make of texts of a kernel, and of what a person wrote."""

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.lvs.host.plugins.filter import gateways, ip_vs, keepalived, local_addresses, misspelt, vips

# As Linux 6.18 has them, shortened.
ROUTE = '''Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth1\t00000000\t00000000\t0001\t0\t0\t5\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
'''
GATEWAY6 = '20010db8000000000000000000000001'
ROUTE6 = f'''{'0' * 32} 00 {'0' * 32} 00 {GATEWAY6} 00000400 00000001 00000000 00000003     eth0
{'0' * 32} 00 {'0' * 32} 00 {'0' * 32} ffffffff 00000001 00000000 00200200       lo
20010db8000000000000000000000000 40 {'0' * 32} 00 {'0' * 32} 00000100 00000001 00000000 00000001     eth0
'''
FIB_TRIE = '''Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
        +-- 192.0.2.0/28 2 0 2
           |-- 192.0.2.0
              /24 link UNICAST
           |-- 192.0.2.10
              /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
'''
IF_INET6 = '''20010db8000000000000000000000010 03 40 00 82     eth0
00000000000000000000000000000001 01 80 10 80       lo
'''
# net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_info_seq_show().
TABLE = '''IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  C000020A:0050 wlc persistent 360
  -> 0A00000C:0050      Route   3      5          7
  -> 0A00000B:1F90      Masq    1      0          0
UDP  [2001:0db8:0000:0000:0000:0000:0000:0010]:0035 rr
FWM  00000007 mh
  -> 0A00000B:0000      Tunnel  2      0          0
'''


def test_gateways_are_those_of_default_routes():
    assert gateways.gateways(ROUTE + ROUTE6) == ['192.0.2.1', '2001:db8::1']
    assert gateways.gateways('') == []


def test_a_network_has_the_gateways_of_its_longest_route():
    routes = ROUTE + 'eth0\t006433C6\t020200C0\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0\n' + ROUTE6
    assert gateways.gateways(routes, to='198.51.100.0/25') == ['192.0.2.2']
    assert gateways.gateways(routes, to='203.0.113.0/24') == ['192.0.2.1']
    assert gateways.gateways(routes, to='192.0.2.0/24') == []  # the host's own
    assert gateways.gateways(routes, to='2001:db8:9::/48') == ['2001:db8::1'] and gateways.gateways(routes, to='2001:db8::/64') == []
    with pytest.raises(AnsibleFilterError, match='"clients" is no network'):
        gateways.gateways(routes, to='clients')


def test_local_addresses_are_leaves_that_are_local():
    assert local_addresses.local_addresses(FIB_TRIE + IF_INET6) == ['192.0.2.10', '2001:db8::10', '::1']
    assert local_addresses.local_addresses('') == []


def test_the_table_of_ipvs_is_services_and_their_servers():
    services = ip_vs.ip_vs(TABLE)
    assert [service['name'] for service in services] == ['192.0.2.10 port 80', '2001:db8::10 port 53', 'firewall mark 7']
    assert services[0] == {'protocol': 'TCP', 'name': '192.0.2.10 port 80', 'vip': '192.0.2.10', 'port': 80, 'scheduler': 'wlc', 'weight': 4, 'servers': [
        {'address': '10.0.0.12', 'port': 80, 'method': 'dr', 'weight': 3, 'active': 5, 'inactive': 7}, {'address': '10.0.0.11', 'port': 8080, 'method': 'nat', 'weight': 1, 'active': 0, 'inactive': 0}]}
    assert services[1]['servers'] == [] and services[2]['servers'][0]['method'] == 'tun'
    assert services[2]['fwmark'] == 7 and 'vip' not in services[2]
    assert ip_vs.ip_vs('') == []


def test_a_name_that_is_nearly_a_known_one_is_misspelt():
    known = ['lvs_method', 'lvs_vips']
    assert misspelt.misspelt(['lvs_methd', 'lvs_vips', 'other'], known) == ['lvs_methd is no variable, lvs_method is']
    assert misspelt.misspelt([], known) == []


def test_a_vip_without_a_prefix_is_a_single_address():
    assert vips.vips(['192.0.2.10', {'address': '192.0.2.11/24', 'label': 'v'}]) == [
        {'address': '192.0.2.10', 'prefix': 32}, {'address': '192.0.2.11', 'prefix': 24, 'label': 'v'}]


def test_a_single_address_of_ipv6_is_deprecated_and_has_its_own_interface():
    assert vips.vips(['192.0.2.10', '2001:db8::10', '2001:db8::11/64'], interface='lo', interface6='eth0') == [
        {'address': '192.0.2.10', 'prefix': 32, 'name': 'lo'},
        {'address': '2001:db8::10', 'prefix': 128, 'preferred_lft': '0', 'name': 'eth0'},
        {'address': '2001:db8::11', 'prefix': 64, 'name': 'eth0'}]


def test_vips_that_go_are_told_by_their_address_alone():
    assert vips.vips([{'address': '192.0.2.10/24', 'label': 'v'}], state='absent') == [{'address': '192.0.2.10', 'state': 'absent'}]


@pytest.mark.parametrize('entries, options, sentence', [
    ('192.0.2.10', {}, 'lvs_vips is no list: write [192.0.2.10]'),
    (['web'], {}, 'lvs_vips has "web", which is no IP address'),
    ([{}], {}, 'lvs_vips has "", which is no IP address'),
    (['127.0.0.1'], {}, 'lvs_vips has 127.0.0.1, which no client reaches'),
    (['fe80::1'], {}, 'lvs_vips has fe80::1, which no client reaches'),
    (['224.0.0.1'], {}, 'lvs_vips has 224.0.0.1, which no client reaches'),
    (['192.0.2.10', '192.0.2.10/32'], {}, 'lvs_vips has 192.0.2.10 twice: write it once'),
    ([{'address': '192.0.2.10', 'lable': 'v'}], {}, 'lvs_vips has an entry with lable: it takes address and label'),
    (['192.0.2.10/24'], {'single': True, 'variable': 'mine'}, 'mine has 192.0.2.10/24: on a real server the prefix makes all of 192.0.2.0/24 its own'),
])
def test_a_vip_that_cannot_be_is_refused_by_one_sentence(entries, options, sentence):
    with pytest.raises(AnsibleFilterError) as error:
        vips.vips(entries, **options)
    assert sentence in str(error.value)


# keepalived.conf(5), with what people write: comments, braces on lines of their own, addresses with attributes.
KEEPALIVED = '''! Configuration
global_defs { router_id lvs1 }
vrrp_instance VI_1
{
    interface eth0 # the clients'
    virtual_router_id 51
    authentication { auth_type PASS
        auth_pass x }
    virtual_ipaddress {
        192.0.2.10/24 dev eth0 label eth0:1
    }
    virtual_ipaddress_excluded { 2001:db8::10
    }
}
virtual_server 192.0.2.10 80 {
    lvs_method DR
    real_server 10.0.0.11 80 { lvs_method TUN
    }
}
virtual_server fwmark 7 { delay_loop 5
}
'''


def test_what_keepalived_is_told_is_instances_and_services():
    assert keepalived.keepalived(KEEPALIVED) == {
        'instances': [{'name': 'VI_1', 'router': 51, 'vips': ['192.0.2.10', '2001:db8::10']}],
        'services': [{'name': '192.0.2.10 port 80', 'vip': '192.0.2.10', 'port': 80, 'method': 'dr'},
                     {'name': 'firewall mark 7', 'fwmark': 7, 'method': 'nat'}]}
    assert keepalived.keepalived('} }') == {'instances': [], 'services': []}
