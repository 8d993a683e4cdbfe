//! The Ansible module `lvs.host.kernel_module`; all it does is in `lvs_host::kernel_module`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    lvs_host::ansible::run::<lvs_host::kernel_module::Task>(
        "kernel_module",
        include_str!("../kernel_module.json"),
    )
}
