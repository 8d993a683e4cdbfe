# shellcheck shell=bash

# Gives a host of `lab/host run` a home directory: Ansible keeps files there, be it $HOME or that of $USER in /etc/passwd.
make_private_home() {
    export HOME=/run/home USER=root LOGNAME=root
    mkdir "$HOME"
    sed -i -E "s|^(root:.*):[^:]*:([^:]*)$|\1:$HOME:\2|" /etc/passwd
}
