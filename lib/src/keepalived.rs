//! What keepalived on this host owns, by its configuration (keepalived.conf(5)).

mod definition;
mod include;
mod service;
mod text;

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::root::Root;
use crate::{Result, gathered};
pub(crate) use service::Service;

/// The main file.
pub(crate) const MAIN: &str = "/etc/keepalived/keepalived.conf";

/// The addresses that keepalived owns.
#[derive(Debug, Default)]
pub(crate) struct Owned {
    /// Those that are known.
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// Lines that may stand for more of them, which only keepalived can tell.
    pub(crate) unresolved: Vec<String>,
}

/// Returns the addresses that keepalived sets, and takes away when it starts or ends; none if it has no configuration.
pub(crate) fn owned_addresses(root: &Root) -> Result<Owned> {
    let text = text::whole(root)?;
    let (mut owned, mut is_listing) = (Owned::default(), false);
    for line in text.lines() {
        // A sequence or a list, of lines of any kind.
        let mut is_resolved = !line.trim_start().starts_with("~");
        for word in line.replace('{', " { ").replace('}', " } ").split_whitespace() {
            let address = word.trim_matches('"').split('/').next().unwrap_or_default();
            owned.addresses.extend(address.parse::<IpAddr>().ok().filter(|_| is_listing));
            is_resolved = is_resolved && !(is_listing && word.starts_with('$'));
            is_listing = match word {
                "static_ipaddress" | "virtual_ipaddress" | "virtual_ipaddress_excluded" => true,
                "}" => false,
                _ => is_listing,
            };
        }
        if !is_resolved {
            owned.unresolved.push(line.trim().to_owned());
        }
    }
    Ok(owned)
}

/// Returns the virtual services that keepalived sets and takes away; none if it has no configuration.
pub(crate) fn services(root: &Root) -> Result<BTreeSet<Service>> {
    Ok(gathered(service::listed(&text::whole(root)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the addresses that keepalived lists with these files beside its own, which is the first.
    fn addresses_in(files: &[(&str, &str)]) -> Result<Vec<String>> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join("etc/keepalived").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let owned = owned_addresses(&Root::new(root.path()))?;
        Ok(owned.addresses.iter().map(ToString::to_string).collect())
    }

    const INSTANCE: &str = "vrrp_instance b { virtual_ipaddress { 192.0.2.15 } }\n";

    #[test]
    fn every_virtual_address_is_found_and_no_other() {
        let text = "vrrp_instance a {\n  unicast_src_ip 192.0.2.1\n  virtual_ipaddress {\n    192.0.2.10/24 dev eth0 label eth0:1\n    # 192.0.2.11\n    2001:db8::10\n    include vips\n  }\n  virtual_ipaddress_excluded { 192.0.2.12 }\n  track { 192.0.2.13 }\n}\ninclude more/*.conf\n";
        let more = format!("virtual_ipaddress\n{{\n192.0.2.14\n}}\n{INSTANCE}");
        let found =
            addresses_in(&[("keepalived.conf", text), ("more/b.conf", &more), ("vips", "192.0.2.16\n")]);
        assert_eq!(
            found.unwrap(),
            ["192.0.2.10", "192.0.2.12", "192.0.2.14", "192.0.2.15", "192.0.2.16", "2001:db8::10"]
        );
        assert!(addresses_in(&[]).unwrap().is_empty());
    }

    /// What keepalived 2.2.7 shows of such a configuration with `--dump-conf`, as the host alpha.
    #[test]
    fn definitions_conditions_and_includes_are_followed_as_keepalived_does() {
        let text = "$VIP=192.0.2.10\n$NET=192.0.2\n$BOTH=\\\n192.0.2.40/32\\\n192.0.2.41/32\n$NESTED=${NET}.42\n$Q=\"192.0.2.43\"\n\
            static_ipaddress {\n 192.0.2.5/32 dev eth0\n @alpha 192.0.2.6/32\n @beta 192.0.2.7/32\n @^beta 192.0.2.8/32\n @^alpha 192.0.2.9/32\n}\n\
            vrrp_instance a {\n virtual_ipaddress {\n  $VIP\n  ${NET}.11/32 dev eth0\n  $BOTH\n  ${NESTED}\n  $Q\n  \"192.0.2.13/32\"\n }\n\
            virtual_ipaddress_excluded {\n  include parts/{a,b}.conf\n  includer parts/c?.conf\n  @beta include parts/d.conf\n }\n}\n@alpha include parts/e.conf\n";
        let found = addresses_in(&[
            ("keepalived.conf", text),
            ("../default/keepalived", "# DAEMON_ARGS=\"-i gamma\"\nDAEMON_ARGS=\"-D -i alpha\"\n"),
            ("parts/a.conf", "192.0.2.20/32"),
            ("parts/b.conf", "192.0.2.21/32\n"),
            ("parts/c1.conf", "192.0.2.22/32\n"),
            ("parts/d.conf", "192.0.2.23/32\n"),
            ("parts/e.conf", "virtual_ipaddress { ${NET}.24 }\n"),
        ]);
        let expected =
            [5, 6, 8, 10, 11, 13, 20, 21, 22, 24, 40, 41, 42, 43].map(|last| format!("192.0.2.{last}"));
        assert_eq!(found.unwrap(), expected);
    }

    #[test]
    fn what_only_keepalived_can_tell_is_said_and_no_definition_grows_without_end() {
        let unresolved = |text: &str| {
            let root = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(root.path().join("etc/keepalived")).unwrap();
            std::fs::write(root.path().join("etc/keepalived/keepalived.conf"), text).unwrap();
            owned_addresses(&Root::new(root.path())).map(|owned| owned.unresolved)
        };
        let inside =
            |line: &str| unresolved(&format!("$A=192.0.2\nvirtual_ipaddress {{\n {line}\n}}\n")).unwrap();
        for line in ["$A.10", "${LATER}", "~SEQ(n, 10, 12) 192.0.2.${n}"] {
            assert_eq!(inside(line), [line]);
        }
        assert!(inside("${A}.10 dev eth0 # $B").is_empty());
        assert!(unresolved("$A=1\nscript \"echo $HOME\"\n").unwrap().is_empty());
        let bomb: String =
            (0..40).map(|n| format!("$N{}=${{N{n}}}${{N{n}}}${{N{n}}}${{N{n}}}\n", n + 1)).collect();
        let why = unresolved(&format!("$N0=abc\n{bomb}virtual_ipaddress {{\n${{N40}}\n}}\n")).unwrap_err();
        assert!(why.sentence().contains("stands for more than 64 KiB"));
        let endless = "$A=\\\n${A}\\\n${A}\nvirtual_ipaddress {\n${A}\n}\n";
        assert!(unresolved(endless).unwrap_err().sentence().len() < 400);
        assert!(unresolved("$A=${A}x\nvirtual_ipaddress {\n${A}\n}\n").is_ok());
    }

    #[test]
    fn files_that_include_each_other_or_a_directory_are_read_once() {
        let all = "include *\ninclude ./*\ninclude /etc/keepalived/**\ninclude ../keepalived/*.conf\n";
        let found = addresses_in(&[
            ("keepalived.conf", &format!("{all}{INSTANCE}")),
            ("a.conf", &format!("{all}virtual_ipaddress {{ 192.0.2.16 }}\n")),
            ("b/c.conf", "virtual_ipaddress { 192.0.2.17 }\n"),
            (".draft", "virtual_ipaddress { 192.0.2.18 }\n"),
        ]);
        assert_eq!(found.unwrap(), ["192.0.2.15", "192.0.2.16"]);
    }

    #[test]
    fn includes_without_end_are_refused_in_a_sentence() {
        let many = "include *\n".repeat(20_000);
        for (text, named) in [
            (many.as_str(), "includes more than 10000 files"),
            (&format!("include {}\n", "*a".repeat(100_000)), "too long to be a path"),
            ("include [\n", "cannot tell what keepalived includes"),
        ] {
            let why = addresses_in(&[("keepalived.conf", text)]).unwrap_err().sentence();
            assert!(why.contains(named) && why.len() < 400, "{why}");
        }
    }

    #[test]
    fn a_pipe_that_is_included_is_not_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("etc/keepalived");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("keepalived.conf"), format!("include *\n{INSTANCE}")).unwrap();
        nix::unistd::mkfifo(&directory.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(owned_addresses(&Root::new(root.path())).unwrap().addresses.len(), 1);
    }
}
