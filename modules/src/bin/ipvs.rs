//! The Ansible module `lvs.host.ipvs`; all it does is in `lvs_host::ipvs`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    lvs_host::ansible::run::<lvs_host::ipvs::Task>("ipvs", include_str!("../ipvs.json"))
}
