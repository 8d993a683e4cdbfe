//! Why the kernel refuses, in words: IPVS has none of its own, and gives one number several meanings.

use std::io;

use nix::libc::{EAFNOSUPPORT, EEXIST, EINVAL, ENOENT, EPERM, ESRCH};

use super::item::{Entry, Value};
use super::service::Service;
use crate::Error;
use crate::netlink::errno;
use crate::resource::Change;

/// Returns the error about a kernel without IPVS; `words` are those of modprobe.
pub(super) fn no_ipvs(words: &str) -> Error {
    let words = if words.is_empty() { String::new() } else { format!(" ({words})") };
    Error::invalid(format!(
        "cannot use IPVS: the kernel has no module ip_vs or may not load it, as in a container or with modules_disabled{words}; load it on the host with modprobe ip_vs"
    ))
}

/// Returns the error about what could not be read.
pub(crate) fn unreadable(what: &str, error: io::Error) -> Error {
    match errno(&error) {
        Some(EPERM) => privilege("read"),
        _ => Error::io("read", what)(error),
    }
}

/// Returns the error about an entry that could not be written.
pub(super) fn unwritable(key: &Entry, change: &Change<Value>, error: io::Error) -> Error {
    let number = errno(&error).unwrap_or_default();
    let act = match change {
        Change { before: None, .. } => "add",
        Change { after: None, .. } => "remove",
        _ => "change",
    };
    if number == EPERM {
        return privilege("change");
    }
    match reason(key, change, number) {
        Some(why) => Error::invalid(format!("cannot {act} {key}: {why}")),
        None => Error::io(act, key.to_string())(error),
    }
}

fn reason(key: &Entry, change: &Change<Value>, number: i32) -> Option<String> {
    match (key.real_server, number) {
        (None, ENOENT) => Some(unknown_names(change.after.as_ref()?.service()?)),
        (_, ESRCH) => Some(format!("the service {} was removed meanwhile by someone else; try again", key.service)),
        (Some(_), ENOENT) => Some("it was removed meanwhile by someone else; try again".into()),
        (_, EEXIST) => Some("someone else keeps adding it; try again when they are done".into()),
        (_, EAFNOSUPPORT) => Some("this kernel has IPVS without IPv6; use IPv4".into()),
        (Some(at), EINVAL) if at.is_ipv4() != key.service.is_ipv4() => Some(
            "a sync daemon runs, and cannot know services of mixed families; stop it, or give a real server of the same family".into(),
        ),
        (Some(at), EINVAL) => Some(format!(
            "{} is not the address of a host here, as the broadcast address of a network is not; or this network namespace has no IPv4 yet: bring lo up first",
            at.ip()
        )),
        _ => None,
    }
}

fn unknown_names(service: &Service) -> String {
    let scheduler = &service.scheduler;
    let engine = service.persistence.as_ref().and_then(|persistence| persistence.engine.as_ref());
    match engine {
        None => format!(
            "the kernel has no scheduler {scheduler} (module ip_vs_{scheduler}); give one that it has"
        ),
        Some(engine) => format!(
            "the kernel has no scheduler {scheduler} (module ip_vs_{scheduler}) or no engine {engine} (module ip_vs_pe_{engine}); give some that it has"
        ),
    }
}

/// Returns the error about what only root of the host may do, by any name (user_namespaces(7)).
fn privilege(act: &str) -> Error {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let is_whole = map.split_whitespace().eq(["0", "0", "4294967295"]);
    let remedy = if is_whole {
        "use become: true"
    } else {
        "no container without root of the host can; run it on the host"
    };
    Error::invalid(format!(
        "cannot {act} the IPVS table: Operation not permitted (os error 1): it takes CAP_NET_ADMIN of the host, for check mode too; {remedy}"
    ))
}

/// Returns the modules that a service needs.
pub(super) fn modules(service: &Service) -> Vec<String> {
    let engine = service.persistence.as_ref().and_then(|persistence| persistence.engine.as_ref());
    let engine = engine.map(|engine| format!("ip_vs_pe_{engine}"));
    [format!("ip_vs_{}", service.scheduler)].into_iter().chain(engine).collect()
}

/// Returns the error about a scheduler or engine that this kernel has not.
pub(super) fn unknown(key: &Entry, service: &Service) -> Error {
    Error::invalid(format!("cannot set {key}: {}", unknown_names(service)))
}
