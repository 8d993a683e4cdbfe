"""The hosts of these tests, and what a failure shows of them."""

import os
import signal
import tempfile
from pathlib import Path

import pytest
from machine import PROJECT, Machine

pytest.register_assert_rewrite('life')


def pytest_configure():
    """Refuses to begin where no host could be made, and has hosts end when this is told to end."""
    if os.geteuid() != 0:
        pytest.exit('lab/boots: hosts that boot need root', returncode=1)
    if not os.access(PROJECT / 'target/modules/interface_alias', os.X_OK):
        pytest.exit('lab/boots: run `make modules` first', returncode=1)
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture
def host(request):
    """A host that does not run yet, for the parameter SUITE-CASE."""
    with tempfile.TemporaryDirectory() as directory:
        machine = Machine(request.param, Path(directory) / 'host')
        yield machine
        if machine.directory.exists():
            machine.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds to a failure what the module answered last, and the addresses of the host."""
    report = yield
    host = getattr(item, 'funcargs', {}).get('host')
    if host and call.when == 'call' and report.failed:
        report.sections.append(('the last answer of the module', host.answer))
        report.sections.append(('ip address', host.addresses()))
    return report
