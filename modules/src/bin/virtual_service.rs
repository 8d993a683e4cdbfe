//! The Ansible module `lvs.host.virtual_service`; all it does is in `lvs_host::virtual_service`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    lvs_host::ansible::run::<lvs_host::virtual_service::Task>(
        "virtual_service",
        include_str!("../virtual_service.json"),
    )
}
