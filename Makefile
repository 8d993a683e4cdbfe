# What a person types. `make demo` shows it, `make test` tries all of it.

COLLECTION := target/collections/ansible_collections/lvs/host
TARBALL     = target/lvs-host-$(shell sed -n 's/^version: //p' collection/galaxy.yml).tar.gz
VENV       := target/venv
PIP        := $(VENV)/bin/pip --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test lint unit fuzz bench molecule ipvs assembled collection modules

help:
	@echo 'make demo        a host of namespaces, set up twice by Ansible, and what came of it'
	@echo 'make test        all tests: lint, unit, molecule, ipvs'
	@echo 'make fuzz        minutes of random input'
	@echo 'make bench       times beside those of other tools'
	@echo 'make collection  the collection, as $(TARBALL)'
	@echo 'make modules     the plain binaries, in target/modules'

demo: assembled $(VENV)/ansible
	molecule/need.sh ip=iproute2 nsenter=util-linux ping=iputils-ping
	playbooks/demo.sh

test: lint unit molecule ipvs

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets -- --deny warnings

# What only root can try is marked as ignored, with this reason, and root tries it.
unit:
	molecule/need.sh ip=iproute2 unshare=util-linux strace=strace
	cargo test --locked -- $(if $(filter 0,$(shell id -u)),--include-ignored)

# The properties with random input that `unit` tries for a moment, for minutes.
fuzz:
	PROPTEST_CASES=1000000 cargo test --locked --release --package lvs-host --lib properties

bench: modules
	molecule/need.sh hyperfine=hyperfine sysctl=procps ip=iproute2 unshare=util-linux
	modules/bench.sh

molecule: collection $(VENV)/molecule
ifeq ($(shell id -u),0)
	molecule/need.sh ip=iproute2 unshare=util-linux ssh=openssh-client sshd=openssh-server sudo=sudo \
	    ping=iputils-ping arping=iputils-arping tcpdump=tcpdump
	molecule/test.sh
else
	@echo 'ignored: molecule test --all (its hosts have several users, which only root can make)'
endif

# The LVS playbooks with real IPVS, which needs a kernel that has it: guests of QEMU.
ipvs: assembled $(VENV)/molecule
ifeq ($(shell id -u),0)
	molecule/need.sh ip=iproute2 unshare=util-linux ssh=openssh-client sshd=openssh-server sudo=sudo
	if molecule/guest need; then molecule/test.sh test -s ipvs; \
	else echo 'ignored: molecule test -s ipvs (no guests of QEMU can be made here, as said above)'; fi
else
	@echo 'ignored: molecule test -s ipvs (its hosts have several users, which only root can make)'
endif

# In target/collections, where the ansible.cfg here looks for it.
assembled: modules
	python3 collection/assemble.py --modules $(shell uname -m)=target/modules --out $(COLLECTION)

collection: assembled $(VENV)/ansible
	$(VENV)/bin/ansible-galaxy collection build --force --output-path target $(COLLECTION)

modules:
	modules/build.sh

$(VENV)/ansible: molecule/requirements.txt
	molecule/need.sh python3=python3
	python3 -m venv $(VENV) || { molecule/need.sh ensurepip=python3-venv && python3 -m venv $(VENV); }
	$(PIP) install --constraint molecule/requirements.txt ansible-core
	touch $@

$(VENV)/molecule: molecule/requirements.txt $(VENV)/ansible
	$(PIP) install --requirement molecule/requirements.txt
	touch $@
