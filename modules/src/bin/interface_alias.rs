//! The Ansible module `lvs.host.interface_alias`; all it does is in `lvs_host::interface_alias`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    lvs_host::ansible::run::<lvs_host::interface_alias::Task>(
        "interface_alias",
        include_str!("../interface_alias.json"),
    )
}
