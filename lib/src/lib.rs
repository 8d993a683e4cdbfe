//! The resources of the `lvs.host` collection and the engine that brings a host to what a task says.
//!
//! A [`Task`] is what a person wrote; opened on a host it is a [`Resource`], which says what is there, what should be there,
//! and how to write it. The [`engine`] does the rest, once for all. [`ansible`] is the edge: arguments in, answer out.

pub mod ansible;
pub mod engine;
mod error;
pub mod file;
pub mod interface_alias;
pub mod ipvs;
mod keepalived;
pub mod kernel_module;
mod netlink;
pub mod netns;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod resource;
mod root;
pub mod sysctl;
pub mod virtual_service;

pub use error::{Error, Result};
pub use resource::{Change, Item, Layer, Mode, Plan, Report, Resource, State, Task};
pub use root::Root;

/// Collects into a map or set. [`Iterator::collect`] sorts first, which is quicker for thousands and costs 5 KB of a binary for each type.
pub(crate) fn gathered<C: Default + Extend<T>, T>(entries: impl IntoIterator<Item = T>) -> C {
    let mut all = C::default();
    all.extend(entries);
    all
}
