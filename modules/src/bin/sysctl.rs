//! The Ansible module `lvs.host.sysctl`; all it does is in `lvs_host::sysctl`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    lvs_host::ansible::run::<lvs_host::sysctl::Task>("sysctl", include_str!("../sysctl.json"))
}
