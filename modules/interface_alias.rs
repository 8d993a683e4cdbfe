//! The Ansible module `lvs.host.interface_alias`; all it does is in `lvs_host::interface_alias`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lvs_host::ansible::run::<lvs_host::InterfaceAlias>("interface_alias")
}
