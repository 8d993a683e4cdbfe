//! A host of the test's own, for the thread of the test and what it starts.

#[allow(dead_code, reason = "not every test binary uses it")]
pub(crate) mod traced;

use std::process::Command;

/// Gives the calling thread, and what it starts, a host of its own: the interface v0 and an empty /etc/sysctl.d.
pub(crate) fn enter_host() {
    use nix::sched::CloneFlags;
    nix::sched::unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
    for command in [
        "mount --no-mtab -t tmpfs -o mode=755,size=256k etc /etc/sysctl.d",
        "ip link set lo up",
        "ip link add v0 type veth peer name v0-far",
        "ip link set v0 up",
    ] {
        let mut words = command.split(' ');
        assert!(Command::new(words.next().unwrap()).args(words).status().unwrap().success(), "{command}");
    }
}
