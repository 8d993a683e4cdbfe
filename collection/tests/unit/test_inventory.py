"""What the roles and the playbooks take from an inventory, what the filter makes of its services, and their pictures."""

import re
import runpy
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.lvs.host.plugins.filter import misspelt, virtual_services

PROJECT = Path(__file__).resolve().parents[3]
FILES = [*PROJECT.glob('collection/roles/*/*/*.yml'), *PROJECT.glob('playbooks/**/*.yml')]
# The playbooks' list of what a person can set, which needs no role to be read.
LISTS = {name: set(re.findall(r'\w+', text)) for name, text in
         re.findall(r'lvs_known_to_(\w+): \[(.*?)\]', (PROJECT / 'playbooks/tasks/arguments.yml').read_text(), re.DOTALL)}

WEB1 = {'lvs_rips': ['10.0.0.11', '2001:db8:1::11'], 'lvs_weight': 2}
WEB2 = {'ansible_host': '10.0.0.12'}


def services(entries, method='dr', vips=('192.0.2.10',), **more):
    hostvars = {'web1': WEB1, 'web2': WEB2, 'web3': more.pop('web3', {})}
    names = more.pop('names', ['web1', 'web2'])
    return virtual_services.virtual_services(entries, vips=list(vips), method=method, real_servers=names, hostvars=hostvars, **more)


def test_what_the_playbooks_know_is_what_the_roles_take():
    specs = [yaml.safe_load(path.read_text())['argument_specs'] for path in PROJECT.glob('collection/roles/*/meta/argument_specs.yml')]
    assert len(specs) == 2
    assert LISTS['roles'] == {name for spec in specs for name in spec['main']['options']}


def test_no_name_of_a_result_is_taken_for_a_misspelt_variable():
    text = '\n'.join(path.read_text() for path in FILES)
    results = set(re.findall(r'(?m)^ *register: (lvs_\w+)|set_fact:\n *(lvs_\w+):', text))
    names = {name for pair in results for name in pair if name}
    assert {'lvs_parameters', 'lvs_findings'} <= names
    assert misspelt.misspelt(names, LISTS['roles'] | LISTS['playbooks']) == []


def test_a_service_with_a_port_is_there_for_each_vip_with_the_real_servers_of_its_family():
    found = services([{'port': 80}], vips=['192.0.2.10', '2001:db8::10'], names=['web1'])
    assert [(service['address'], service['real_servers']) for service in found] == [
        ('192.0.2.10', [{'address': '10.0.0.11', 'weight': 2}]), ('2001:db8::10', [{'address': '2001:db8:1::11', 'weight': 2}])]
    assert {name: value for name, value in found[0].items() if name not in ('address', 'real_servers')} == {
        'protocol': 'tcp', 'scheduler': 'wlc', 'flags': [], 'persistence': 0, 'port': 80, 'forward': 'dr'}


def test_a_service_can_be_that_of_one_vip_or_of_a_firewall_mark():
    found = services([{'port': 25, 'address': '192.0.2.11'}, {'fwmark': 7, 'scheduler': 'rr'}], vips=['192.0.2.10', '192.0.2.11'])
    assert [service.get('address', service.get('fwmark')) for service in found] == ['192.0.2.11', 7]
    assert 'family' not in found[0] and found[1]['family'] == 'ipv4' and 'protocol' not in found[1]
    assert [server['address'] for server in found[1]['real_servers']] == ['10.0.0.11', '10.0.0.12']


def test_with_tunnels_a_real_server_may_be_of_the_other_family():
    found = services([{'port': 80}], method='tun', vips=['2001:db8::10'], tunnel={'type': 'gue', 'port': 6080}, names=['web2'])
    assert found[0]['real_servers'] == [{'address': '10.0.0.12', 'weight': 1, 'tunnel': {'type': 'gue', 'port': 6080}}]


def test_a_batch_can_be_drained():
    assert services([{'port': 80}], names=['web2'], state='drained')[0]['real_servers'] == [{'address': '10.0.0.12', 'weight': 1, 'state': 'drained'}]


def test_with_nat_the_real_servers_may_have_another_port():
    found = services([{'port': 80, 'real_port': 8080}], method='nat', names=['web2'])
    assert found[0]['real_servers'] == [{'address': '10.0.0.12', 'weight': 1, 'port': 8080}] and 'real_port' not in found[0]


@pytest.mark.parametrize(('entries', 'more', 'said'), [
    ('80', {}, 'lvs_services is no list: write'),
    (['80'], {}, 'lvs_services has "80": write an entry like {port: 80}'),
    ([{'prot': 80}], {}, 'lvs_services has an entry with prot: it takes address'),
    ([{'address': '192.0.2.10'}], {}, 'give it a port, like 80, or a fwmark'),
    ([{'port': 80, 'fwmark': 7}], {}, 'give it a port, like 80, or a fwmark'),
    ([{'port': 80, 'address': '192.0.2.9'}], {}, 'lvs_services has the address 192.0.2.9, which is not in lvs_vips'),
    ([{'port': 80, 'address': 'vip'}], {}, 'lvs_services has "vip", which is no IP address'),
    ([{'port': 80}, {'port': 80, 'scheduler': 'rr'}], {}, 'lvs_services has 192.0.2.10 port 80 twice'),
    ([{'fwmark': 7}, {'fwmark': 7}], {}, 'lvs_services has firewall mark 7 twice'),
    ([{'port': 80, 'real_port': 8080}], {}, 'with dr packets are not changed'),
    ([{'port': 80}], {'names': ['web3']}, 'web3 has no address of IPv4 for 192.0.2.10 port 80: set lvs_rips of web3'),
    ([{'port': 80}], {'names': ['web3'], 'web3': {'lvs_rips': '10.0.0.13'}}, 'lvs_rips of web3 is no list: write'),
    ([{'port': 80}], {'names': ['web3'], 'web3': {'lvs_rips': ['web3']}}, 'lvs_rips of web3 has "web3", which is no IP address'),
    ([{'port': 80}], {'names': ['web3'], 'web3': {'lvs_weight': -1}}, 'lvs_weight of web3 is -1: set it to a number from 0 to 65535'),
])
def test_what_cannot_be_balanced_is_refused_in_one_sentence(entries, more, said):
    with pytest.raises(AnsibleFilterError) as refused:
        services(entries, **more)
    assert said in str(refused.value) and '\n' not in str(refused.value)


def test_each_picture_is_as_its_text_says():
    pictures = PROJECT / 'playbooks/pictures'
    draw = runpy.run_path(pictures / 'draw.py')['draw']
    assert [path.stem for path in sorted(pictures.glob('*.txt'))] == ['dr', 'nat', 'tun']
    assert all(draw(path.read_text()) == path.with_suffix('.svg').read_text() for path in pictures.glob('*.txt'))
