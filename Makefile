# What a person types. `make demo` shows it, `make test` tries all of it.

COLLECTION := target/collections/ansible_collections/lvs/host
TARBALL     = target/lvs-host-$(shell sed -n 's/^version: //p' collection/galaxy.yml).tar.gz
VENV       := target/venv
PIP        := $(VENV)/bin/pip --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo demo-lvs test test-all lint unit fuzz-seconds aarch64 fuzz bench molecule persistence ipvs guests kernels versions examples sanity assembled collection modules

help:
	@echo 'make demo        a host of namespaces, set up twice by Ansible, and what came of it'
	@echo 'make demo-lvs    a whole LVS on guests: requests served while a real server is drained'
	@echo 'make test        what every change needs, in 15 to 20 minutes; lab/tiers lists it'
	@echo 'make test-all    all tests: more kernels, versions, boots and faults'
	@echo 'make fuzz        random input, led by coverage; SECONDS=300 for each target'
	@echo 'make bench       times beside those of other tools'
	@echo 'make collection  the collection, as $(TARBALL)'
	@echo 'make modules     the plain binaries, in target/modules'

demo: assembled $(VENV)/ansible
	lab/need.sh ip=iproute2 nsenter=util-linux ping=iputils-ping
	playbooks/demo.sh

# A whole LVS on guests with IPVS, from an inventory to requests that are served while a real server is drained.
demo-lvs: assembled $(VENV)/ansible
	lab/need.sh ip=iproute2 nsenter=util-linux ssh=openssh-client sshd=openssh-server
	lab/guest need
	playbooks/demo_lvs.sh

# What all stages need is made first: so they find it READY.
test test-all: collection $(VENV)/molecule $(VENV)/pytest
	lab/stages $(if $(filter test-all,$@),all,test)

lint: $(VENV)/ansible
	cargo fmt --check
	cargo clippy --locked --all-targets -- --deny warnings
	lab/need.sh shellcheck=shellcheck git=git
	git grep --files-with-matches --extended-regexp --null '^(#!.*(bash|/sh)$$|# shellcheck shell=)' | xargs --null shellcheck --severity=warning
	$(VENV)/bin/python collection/schema.py --check
	collection/provenance.py list | diff lib/src/ansible/licenses.txt -

# What only root can try is marked as ignored, with this reason, and root tries it.
unit: assembled $(VENV)/pytest
	lab/need.sh ip=iproute2 unshare=util-linux strace=strace sysctl=procps dash=dash busybox=busybox-static setfacl=acl
	cargo test --locked -- $(if $(filter 0,$(shell id -u)),--include-ignored)
	lab/host run -- $(VENV)/bin/pytest --quiet -rs -p no:cacheprovider collection/tests/unit

# The modules for aarch64, on the kernel of a machine that is another one.
aarch64: assembled $(VENV)/ansible
	lab/need.sh ip=iproute2 unshare=util-linux qemu-aarch64-static=qemu-user-static
	if [ -d target/modules-aarch64 ]; then \
	    cargo test --locked --package lvs-host-modules --test protocol \
	        --config "target.'cfg(target_os = \"linux\")'.runner = ['$(CURDIR)/modules/as_aarch64.sh']" \
	        -- $(if $(filter 0,$(shell id -u)),--include-ignored) && \
	    collection/tests/aarch64.sh; \
	else \
	    echo 'ignored: the modules for aarch64 (their Rust target cannot be had, as said above)'; \
	fi

# All that reads foreign bytes, with random input that is led by coverage; both begin with the inputs that are kept.
SECONDS := 300
fuzz:
	fuzz/run.sh $(SECONDS)

fuzz-seconds:
	fuzz/run.sh 2

bench: assembled $(VENV)/bench
	lab/need.sh hyperfine=hyperfine sysctl=procps ip=iproute2 unshare=util-linux ssh=openssh-client sshd=openssh-server
ifeq ($(shell id -u),0)
	status=0; modules/bench.sh || status=1; lab/bench/run.py $(VENV) || status=1; exit $$status
else
	modules/bench.sh
	@echo 'ignored: the benchmark over SSH (its host has several users, which only root can make)'
endif

# All scenarios but ipvs, or SCENARIO.
molecule: collection $(VENV)/molecule
ifeq ($(shell id -u),0)
	lab/need.sh ip=iproute2 unshare=util-linux ssh=openssh-client sshd=openssh-server sudo=sudo systemd-nspawn=systemd-container \
	    mmdebstrap=mmdebstrap busybox=busybox-static dropbear=dropbear-bin \
	    ping=iputils-ping arping=iputils-arping tcpdump=tcpdump
	molecule/test.sh $(if $(SCENARIO),test --scenario-name $(SCENARIO))
else
	@echo 'ignored: molecule test --all (its hosts have several users, which only root can make)'
endif

# Hosts of Debian that boot, each with another network manager: all, or those with the marks in ROWS.
persistence: modules $(VENV)/pytest
ifeq ($(shell id -u),0)
	lab/need.sh ip=iproute2 unshare=util-linux systemd-nspawn=systemd-container mmdebstrap=mmdebstrap busybox=busybox-static strace=strace
	$(VENV)/bin/pytest --quiet --numprocesses 2 --dist worksteal $(if $(ROWS),-m '$(ROWS)') lab/boots
else
	@echo 'ignored: lab/boots (only root can make hosts that boot)'
endif

# The LVS playbooks with real IPVS, which needs a kernel that has it: guests of QEMU.
ipvs: assembled $(VENV)/molecule
ifeq ($(shell id -u),0)
	lab/need.sh ip=iproute2 unshare=util-linux ssh=openssh-client sshd=openssh-server sudo=sudo
	if lab/guest need; then molecule/test.sh test --scenario-name ipvs; \
	else echo 'ignored: molecule test -s ipvs (no guests of QEMU can be made here, as said above)'; fi
else
	@echo 'ignored: molecule test -s ipvs (its hosts have several users, which only root can make)'
endif

# What needs IPVS or a whole machine: each suite, or SUITE, runs as a static program in a guest of its own.
guests: modules
	if lab/guest need; then cargo test --locked --target x86_64-unknown-linux-musl --package lvs-host \
	    --config "target.x86_64-unknown-linux-musl.runner = ['$(CURDIR)/lab/guest', 'run']" \
	    $(addprefix --test ,$(or $(SUITE),$(patsubst lib/tests/%.rs,%,$(wildcard lib/tests/virtual_service_*.rs lib/tests/*_guest.rs)))) \
	    -- --test-threads=1; \
	else echo 'ignored: $(or $(SUITE),all suites for guests) (no guests of QEMU can be made here, as said above)'; fi

# What needs IPVS on each of Debian's kernels, a thousand services, and a real boot with a table: tens of minutes.
kernels: modules
ifeq ($(shell id -u),0)
	lab/kernels
else
	@echo 'ignored: make kernels (the host that boots has several users, which only root can make)'
endif

# The packed collection on the oldest, newest and pinned ansible-core, or those in ANSIBLE, and the examples of its pages.
versions: collection
ifeq ($(shell id -u),0)
	lab/need.sh ip=iproute2 unshare=util-linux ssh=openssh-client sshd=openssh-server dash=dash busybox=busybox-static
	collection/tests/versions.sh $(ANSIBLE)
else
	@echo 'ignored: the collection on several versions of Ansible (its hosts have several users, which only root can make)'
endif

# The examples of the pages that need IPVS, in a guest.
examples: assembled $(VENV)/ansible
ifeq ($(shell id -u),0)
	if lab/guest need; then collection/tests/guest.sh; \
	else echo 'ignored: the examples that need IPVS (no guests of QEMU can be made here, as said above)'; fi
else
	@echo 'ignored: the examples that need IPVS (their hosts have several users, which only root can make)'
endif

sanity: collection
	lab/need.sh git=git
	collection/tests/sanity.sh

ifdef READY
assembled collection modules:
else
# In target/collections, where the ansible.cfg here looks for it.
assembled: modules
	python3 collection/assemble.py --modules target/modules-* --out $(COLLECTION)

collection: assembled $(VENV)/ansible
	rm -f target/lvs-host-*.tar.gz
	$(VENV)/bin/ansible-galaxy collection build --force --output-path target $(COLLECTION)
	$(VENV)/bin/python collection/repack.py $(TARBALL)

modules:
	modules/build.sh
endif

$(VENV)/ansible: molecule/requirements.txt
	lab/need.sh python3=python3
	python3 -m venv $(VENV) || { lab/need.sh ensurepip=python3-venv && python3 -m venv $(VENV); }
	$(PIP) install --constraint molecule/requirements.txt ansible-core
	touch $@

$(VENV)/molecule: molecule/requirements.txt $(VENV)/ansible
	$(PIP) install --requirement molecule/requirements.txt
	touch $@

$(VENV)/pytest: molecule/requirements.txt $(VENV)/ansible
	$(PIP) install --constraint molecule/requirements.txt pytest pytest-xdist
	touch $@

$(VENV)/bench: lab/bench/requirements.txt $(VENV)/ansible
	$(PIP) install --constraint $< mitogen
	$(PIP) download --constraint $< --no-deps --dest target/bench ansible
	touch $@
