//! Hosts as each network manager leaves them, in a directory of the test's own beside the real kernel.

#![allow(dead_code, reason = "not every test binary uses all of it")]

use std::fs;
use std::path::PathBuf;

use lvs_host::Report;
use lvs_host::interface_alias::{InterfaceAlias, Task};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::aliases::look;
use crate::host::{Run, apply_by_the_laws, enter_network, fail_by_the_laws, files, ip, task};

/// A host with the interface v0 and the files that its managers leave.
pub(crate) struct Host {
    pub(crate) root: TempDir,
}

impl Host {
    pub(crate) fn new() -> Self {
        enter_network();
        ip("address add 192.0.2.1/24 dev v0");
        Self { root: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub(crate) fn put(&self, path: &str, text: &str) -> &Self {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), text).unwrap();
        self
    }

    pub(crate) fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    /// As ifupdown leaves it after a boot.
    pub(crate) fn with_ifupdown(&self) -> &Self {
        fs::create_dir_all(self.path("etc/network/interfaces.d")).unwrap();
        self.put(
            "etc/network/interfaces",
            "source /etc/network/interfaces.d/*\nauto v0\niface v0 inet static\n address 192.0.2.1/24\n",
        )
        .put("run/network/ifstate", "lo=lo\nv0=v0\n")
        .put("run/network/ifstate.lo", "lo\n")
        .put("run/network/ifstate.v0", "v0\n")
    }

    /// As networkd leaves it after a boot.
    pub(crate) fn with_networkd(&self) -> &Self {
        let state =
            format!("ADMIN_STATE=configured\nNETWORK_FILE={}\n", "/etc/systemd/network/10-lan.network");
        self.put("etc/systemd/network/10-lan.network", "[Match]\nName=v0\n[Network]\nAddress=192.0.2.1/24\n")
            .put(&format!("run/systemd/netif/links/{}", index("v0")), &state)
            .put("run/systemd/netif/links/1", "ADMIN_STATE=unmanaged\n")
    }

    /// As Netplan leaves it, with the renderer networkd.
    pub(crate) fn with_netplan(&self) -> &Self {
        let state = "ADMIN_STATE=configured\nNETWORK_FILE=/run/systemd/network/10-netplan-lan.network\n";
        self.put("etc/netplan/50-lan.yaml", "network: {ethernets: {lan: {addresses: [192.0.2.1/24]}}}\n")
            .put(NETPLANS, "[Match]\nName=v0\n\n[Network]\nAddress=192.0.2.1/24\n")
            .put(&format!("run/systemd/netif/links/{}", index("v0")), state)
    }

    /// As NetworkManager leaves it, with a profile that only root may read.
    pub(crate) fn with_network_manager(&self) -> &Self {
        self.put(PROFILE, "[connection]\nuuid=1-2\ninterface-name=v0\n\n[ipv4]\naddress1=192.0.2.1/24\n# mine\nmethod=manual\n\n[ipv6]\nmethod=auto\n")
            .put(&format!("run/NetworkManager/devices/{}", index("v0")), "[device]\nmanaged=true\nconnection-uuid=1-2\n")
    }

    pub(crate) fn task(&self, arguments: Value) -> Run<Task> {
        task(arguments).under(self.root.path())
    }

    /// Returns the kernel's addresses and the files, as other eyes see them.
    pub(crate) fn look(&self) -> String {
        look() + &files(self.root.path())
    }

    pub(crate) fn apply(&self, arguments: Value) -> Report<InterfaceAlias> {
        apply_by_the_laws(&self.task(arguments), || self.look())
    }

    pub(crate) fn changes(&self, arguments: Value) -> usize {
        self.apply(arguments).plan.iter().count()
    }

    pub(crate) fn refuse(&self, arguments: Value) -> String {
        fail_by_the_laws(&self.task(arguments), || self.look())
    }
}

pub(crate) const PROFILE: &str = "etc/NetworkManager/system-connections/lan.nmconnection";
pub(crate) const DROP_IN: &str = "etc/systemd/network/10-lan.network.d/lvs-host-v0.conf";
pub(crate) const STANZAS: &str = "etc/network/interfaces.d/lvs-host-v0";
pub(crate) const NETPLANS: &str = "run/systemd/network/10-netplan-lan.network";
pub(crate) const YAML: &str = "etc/netplan/90-lvs-host-v0.yaml";

pub(crate) fn index(interface: &str) -> u32 {
    nix::net::if_::if_nametoindex(interface).unwrap()
}

pub(crate) fn alias() -> Value {
    json!({"name": "v0", "address": "192.0.2.10/32", "persist": "auto"})
}

pub(crate) fn with(mut arguments: Value, more: Value) -> Value {
    let more = more.as_object().unwrap().clone();
    arguments.as_object_mut().unwrap().extend(more);
    arguments
}

pub(crate) type Manage = fn(&Host) -> &Host;

/// Each manager's host, and the file that it gets.
pub(crate) fn hosts() -> [(Manage, &'static str); 4] {
    [
        (Host::with_ifupdown, STANZAS),
        (Host::with_networkd, DROP_IN),
        (Host::with_netplan, YAML),
        (Host::with_network_manager, PROFILE),
    ]
}
