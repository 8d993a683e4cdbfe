#!/usr/bin/env bash
# Has the tools of Ansible and Galaxy look at the collection: ansible-lint, antsibull-changelog, ansible-test and
# galaxy-importer. After `make collection`: collection/tests/sanity.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
project=$PWD
. collection/tests/quietly.sh

commands=$(collection/tests/ansible.sh newest) || {
    rc=$?
    echo 'ignored: the tools of Ansible and Galaxy, for the reason above'
    exit $((rc == 3 ? 0 : 1))
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
copy=$work/ansible_collections/lvs/host
export HOME=$project/target/sanity PATH=$commands:$PATH # what the tools make for themselves is kept there
export ANSIBLE_COLLECTIONS_PATH=$project/target/collections GIT_CONFIG_GLOBAL=/dev/null

main() {
    install_tools
    heading 'ansible-lint'
    quietly ansible-lint --nocolor --strict playbooks molecule collection
    make_copy
    cd "$copy"
    heading 'antsibull-changelog'
    quietly antsibull-changelog lint
    quietly antsibull-changelog generate
    cmp CHANGELOG.rst "$project/collection/CHANGELOG.rst"
    heading 'ansible-test sanity'
    quietly ansible-test sanity --venv --python "$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')" --color no
    heading 'galaxy-importer'
    import
}

install_tools() {
    pip --quiet --disable-pip-version-check install ansible-lint==26.10.1 antsibull-changelog==0.36.0 galaxy-importer==0.4.44
    # ansible-test brings no pip for its environments, and would fetch one from a place of its own.
    mkdir -p "$HOME/.ansible/test/cache"
    printf 'import ensurepip\nensurepip.bootstrap(default_pip=True)\n' >"$HOME/.ansible/test/cache/get_pip_25_2.py"
}

# ansible-test takes the files that git has in a directory of that name.
make_copy() {
    mkdir -p "$copy"
    cp -R target/collections/ansible_collections/lvs/host/. "$copy"
    find "$copy" -name __pycache__ -prune -exec rm -rf {} +
    git init --quiet "$copy"
    git -C "$copy" add --all
}

# Galaxy wants a repository, and the project has no public address yet; so this one stands in for it.
import() {
    echo 'repository: https://example.org/lvs.host' >>galaxy.yml
    quietly ansible-galaxy collection build --output-path "$work"
    quietly python -m galaxy_importer.main "$work"/lvs-host-*.tar.gz
    ! grep -E '^(WARNING|ERROR)' "$work/log"
}

heading() {
    printf '== %s\n' "$*"
}

main
