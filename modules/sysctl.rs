//! The Ansible module `lvs.host.sysctl`; all it does is in `lvs_host::sysctl`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lvs_host::ansible::run::<lvs_host::Sysctl>("sysctl")
}
