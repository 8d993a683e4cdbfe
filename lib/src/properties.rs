//! What must hold whatever bytes come from outside. `make fuzz` tries it with random input, led by coverage, one function for
//! each of its targets; `make unit` tries it with the inputs that are kept in fuzz/corpus. What is private has its
//! properties beside it.
//!
//! An input is text where that can be: what a task says in the first line or lines, and the files behind it.

#![allow(clippy::panic, reason = "a property that does not hold panics")]

mod host;
mod run;
mod time;

pub(crate) use host::Host;
pub(crate) use run::{Arguments, Run, absent, arguments_and_files, arguments_in};

pub use crate::ansible::properties::arguments;
pub use crate::interface_alias::persistence::properties::{manager_detection, manager_files};
pub use crate::interface_alias::properties::{alias_run, frames, netlink};
pub use crate::ipvs::properties::ipvs_settings;
pub use crate::kernel_module::properties::kernel_module_files;
pub use crate::sysctl::properties::{sysctl_run, sysctl_text, sysctl_words};
pub use crate::virtual_service::boot::properties::ipvs_files;
pub use crate::virtual_service::properties::ipvs;
pub use time::linear_time;

/// Returns the first line, and what follows it.
pub(crate) fn first_line(text: &str) -> (&str, &str) {
    text.split_once('\n').unwrap_or((text, ""))
}

/// Fails if an error says nothing.
pub(crate) fn is_a_sentence(error: &crate::Error) {
    assert!(!error.sentence().trim().is_empty(), "an error says nothing: {error:?}");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Tries every input that is kept for `target`.
    fn holds(target: &str, property: fn(&[u8])) {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
        let inputs = std::fs::read_dir(&kept).unwrap();
        let tried = inputs.map(|input| property(&std::fs::read(input.unwrap().path()).unwrap())).count();
        assert!(tried > 0, "{} is empty", kept.display());
    }

    macro_rules! the_kept_inputs_hold {
        ($($target:ident)*) => {$(
            #[test]
            fn $target() {
                holds(stringify!($target), super::$target);
            }
        )*};
    }

    the_kept_inputs_hold! {
        alias_run arguments frames ipvs ipvs_files ipvs_settings kernel_module_files linear_time manager_detection manager_files netlink
        sysctl_run sysctl_text sysctl_words
    }
}
