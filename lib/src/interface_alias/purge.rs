//! What goes that the task does not list.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::net::IpAddr;

use serde::Deserialize;

use super::InterfaceAlias;
use super::address::{Address, FOREVER};
use super::item::{Alias, Item, addresses};
use super::wish::Wish;
use crate::resource::State;
use crate::{Error, Result};

/// Which addresses go that the task does not list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Purge {
    #[default]
    None,
    /// Those under the labels that the task names.
    Label,
    /// Those that we added.
    Owned,
    /// All of the interface's.
    All,
}

/// What a task tells to purge, on the host that it came to.
#[derive(Debug)]
pub(super) struct Purger {
    purge: Purge,
    /// The address that the connection came in on, which stays.
    own: Option<IpAddr>,
}

impl Purger {
    /// Returns what `purge` means on this host, or an error if this kernel cannot tell.
    pub(super) fn find(purge: Purge) -> Result<Self> {
        if purge == Purge::Owned && !marks_are_kept()? {
            return Err(Error::invalid(
                "cannot use purge: owned here: this kernel, before Linux 5.18, does not keep who added an address; use label or all",
            ));
        }
        let own = if purge == Purge::None { None } else { arrived_at() };
        Ok(Self { purge, own })
    }

    /// Takes out of `then` what the task does not list and tells to purge.
    pub(super) fn purge(
        &self,
        wishes: &[Wish],
        now: &State<InterfaceAlias>,
        then: &mut State<InterfaceAlias>,
    ) {
        if self.purge == Purge::None {
            return;
        }
        let labels: HashSet<&OsStr> = wishes
            .iter()
            .filter_map(|wish| wish.label.as_ref())
            .map(|label| label.whole().as_ref())
            .collect();
        let wanted: HashSet<Alias> = wishes.iter().filter_map(Wish::wanted).collect();
        let is_chosen = |address: &Address| match self.purge {
            Purge::None => false,
            Purge::Label => address.set.label.as_deref().is_some_and(|label| labels.contains(label)),
            Purge::Owned => address.is_ours(),
            Purge::All => true,
        };
        for (alias, address) in addresses(now) {
            if is_chosen(address)
                && !wanted.contains(alias)
                && !is_spared(alias, address)
                && Some(alias.address) != self.own
            {
                then.remove(&Item::live(alias.clone()));
            }
        }
    }
}

/// Returns whether an address is never purged: the host's own loopback, link-local, dynamic, and what others mark as theirs.
fn is_spared(alias: &Alias, address: &Address) -> bool {
    let local = match alias.address {
        IpAddr::V4(v4) => v4.is_link_local() || v4 == std::net::Ipv4Addr::LOCALHOST,
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6 == std::net::Ipv6Addr::LOCALHOST,
    };
    let foreign = address.status.protocol.is_some() && !address.is_ours();
    local || foreign || address.status.valid != FOREVER
}

/// Returns whether this kernel keeps IFA_PROTO: Linux 5.18 and later (commit 47f0bd503210).
fn marks_are_kept() -> Result<bool> {
    let name = nix::sys::utsname::uname().map_err(Error::io("ask for", "the version of the kernel"))?;
    let release = name.release().to_string_lossy().into_owned();
    let mut numbers =
        release.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse::<u32>().ok());
    Ok((numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (5, 18))
}

/// Returns the address of this host that the connection came in on: the third word of SSH_CONNECTION (ssh(1)) of this
/// process, or of one that started it, as sudo takes the variable away.
fn arrived_at() -> Option<IpAddr> {
    /// A chain of parents ends, but it may change while it is walked.
    const GENERATIONS: usize = 64;
    let mut process = std::process::id().to_string();
    for _ in 0..GENERATIONS {
        let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        let variables =
            environment.split(|byte| *byte == 0).filter_map(|text| std::str::from_utf8(text).ok());
        let connection = variables.filter_map(|text| text.strip_prefix("SSH_CONNECTION=")).next();
        if let Some(address) = connection.and_then(|text| text.split(' ').nth(2)) {
            return address.split('%').next()?.parse().ok();
        }
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        process = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().to_owned();
    }
    None
}
