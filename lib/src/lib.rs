//! The resources of the `lvs.host` collection and the engine that brings a host to what a task says.
//!
//! A [`Resource`] says what is there, what should be there, and how to write it; [`Resource::check`] and
//! [`Resource::apply`] do the rest, once for all. [`ansible`] is the edge: arguments in, answer out.

pub mod ansible;
mod error;
pub mod file;
pub mod interface_alias;
pub mod netns;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod resource;
pub mod sysctl;

pub use error::{Error, Result};
pub use interface_alias::InterfaceAlias;
pub use resource::{Change, Mode, Plan, Report, Resource, State};
pub use sysctl::Sysctl;

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;
