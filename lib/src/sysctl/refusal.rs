//! Why a parameter does not take a value.

use std::io;

use super::coupling::{self, Bound};
use super::{Key, Setting};
use crate::Error;

/// Returns the error about a value that the kernel refuses, if more is known of it than the errno; `read` tells what the kernel
/// holds of another parameter.
pub(super) fn error(
    key: &Key,
    setting: &Setting,
    error: &io::Error,
    read: impl FnOnce(&Key) -> Option<Setting>,
) -> Option<Error> {
    let value = setting.text();
    if error.raw_os_error() == Some(nix::libc::ENOENT) {
        // Named things that modules bring (net/ipv4/tcp_cong.c, net/sched/sch_api.c).
        let prefix = match key.path() {
            "net/ipv4/tcp_congestion_control" | "net/ipv4/tcp_allowed_congestion_control" => "tcp_",
            "net/core/default_qdisc" => "sch_",
            _ => return None,
        };
        return Some(Error::invalid(format!(
            "cannot set {key} to {value}: this kernel does not have it; load its module, {prefix}{value}, first, or check the name"
        )));
    }
    if let (Some(twin), Some(0)) = (coupling::unset_with(key.path()), setting.number()) {
        let twin = Key::at(twin);
        return Some(Error::invalid(format!(
            "cannot set {key} to {value}: the kernel does so itself when {twin} is set; set that"
        )));
    }
    let (other, is_upper) =
        Bound::of(key.path()).filter(|_| error.raw_os_error() == Some(nix::libc::EINVAL))?;
    let other = Key::at(other.to_owned());
    let held = read(&other)?;
    let side = if is_upper { "less" } else { "greater" };
    coupling::broken(key.path(), value, held.text()).then(|| {
        Error::invalid(format!(
            "cannot set {key} to {value}: it must not be {side} than {other}, which is {}; set both in one task",
            held.text().replace('\t', " ")
        ))
    })
}
