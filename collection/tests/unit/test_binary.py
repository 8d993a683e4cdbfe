"""What of the collection's own binaries is sent."""

import hashlib

import pytest
from ansible_collections.lvs.host.plugins.plugin_utils import binary
from ansible_collections.lvs.host.plugins.plugin_utils.failure import Failure


def test_a_binary_that_is_not_the_one_of_the_manifest_is_not_sent(tmp_path, monkeypatch):
    monkeypatch.setattr(binary, 'DIRECTORY', str(tmp_path))
    file = tmp_path / 'sysctl-x86_64'
    file.write_bytes(b'a binary')
    listed = binary.Binary('sysctl', 'x86_64', 8, hashlib.sha256(b'a binary').hexdigest())
    assert listed.read() == b'a binary'
    file.write_bytes(b'A binary')
    with pytest.raises(Failure, match='it is not the one that MANIFEST.json lists'):
        listed.read()
