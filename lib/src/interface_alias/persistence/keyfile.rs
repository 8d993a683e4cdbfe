//! Profiles of NetworkManager line by line, nm-settings-keyfile(5).

use std::collections::HashSet;
use std::net::IpAddr;

use super::entry::words;
use crate::interface_alias::address::Address;
use crate::interface_alias::item::Alias;

/// The sections that have addresses, by family.
pub(super) const SECTIONS: [&str; 2] = ["ipv4", "ipv6"];

/// A line of a profile that sets something.
pub(super) struct Line<'a> {
    pub(super) section: &'a str,
    pub(super) key: &'a str,
    pub(super) value: &'a str,
    /// Where it is, by lines.
    number: usize,
    /// The address and prefix length, if it sets one.
    pub(super) cidr: Option<(IpAddr, u8)>,
    /// Whether it sets a gateway too.
    pub(super) has_gateway: bool,
}

/// Returns the lines of a profile that set something.
pub(super) fn keys(content: &str) -> impl Iterator<Item = Line<'_>> {
    let mut section = "";
    content.lines().enumerate().filter_map(move |(number, line)| {
        let line = line.trim_start();
        if let Some(name) = line.trim_end().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        }
        let (key, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
        Some(Line {
            section,
            key: key.trim(),
            value: value.trim_start(),
            number,
            cidr: None,
            has_gateway: false,
        })
    })
}

/// Returns the lines of a profile that set an address: `address1=192.0.2.10/24,192.0.2.254`.
pub(super) fn address_lines(content: &str) -> impl Iterator<Item = Line<'_>> {
    keys(content).filter(|line| SECTIONS.contains(&line.section)).filter_map(|line| {
        number(line.key)?;
        let is_of_section =
            |(ip, ..): &(IpAddr, u8, bool)| SECTIONS[usize::from(ip.is_ipv6())] == line.section;
        let read = address(line.value).filter(is_of_section);
        let cidr = read.map(|(ip, prefix, _)| (ip, prefix));
        Some(Line { cidr, has_gateway: read.is_some_and(|(.., has_gateway)| has_gateway), ..line })
    })
}

/// Returns the N of `addressN`, which may also be missing, and of the older `addressesN`.
fn number(key: &str) -> Option<u32> {
    let number = key.strip_prefix("addresses").or_else(|| key.strip_prefix("address"))?;
    // It reads numbers up to this, and none with zeros in front (_build_list_match_key_w_name in its nm-keyfile.c).
    let is_plain = number.len() < 2 || !number.starts_with(['0', '+', '-']);
    let number: i32 = if number.is_empty() { 0 } else { number.parse().ok().filter(|_| is_plain)? };
    number.try_into().ok()
}

/// Returns the address, its prefix length, and whether a gateway follows. Either may be missing, and a comma, a semicolon or a
/// slash is between them (read_one_ip_address_or_route in its nm-keyfile.c).
fn address(value: &str) -> Option<(IpAddr, u8, bool)> {
    let mut fields = value.split(['/', ',', ';']).peekable();
    let ip: IpAddr = fields.next()?.parse().ok()?;
    let length = fields.next_if(|field| field.bytes().all(|letter| letter.is_ascii_digit()));
    let gateway = fields.next().filter(|field| !field.is_empty());
    let gateway: Option<IpAddr> = gateway.map(str::parse).transpose().ok()?;
    // What follows makes it ignore all of the line, but for one that ends it.
    if fields.next().is_some_and(|field| !field.is_empty()) || fields.next().is_some() {
        return None;
    }
    let (most, usual) = if ip.is_ipv4() { (32, 24) } else { (128, 64) };
    let length = length.and_then(|length| length.parse().ok()).filter(|length| *length <= most);
    Some((ip, length.unwrap_or(usual), gateway.is_some_and(|gateway| !gateway.is_unspecified())))
}

pub(super) fn section_of(alias: &Alias) -> &'static str {
    SECTIONS[usize::from(alias.address.is_ipv6())]
}

/// Returns a profile without the addresses that are not to stay.
pub(super) fn without(content: &str, stays: impl Fn(IpAddr, u8) -> bool) -> String {
    let gone: HashSet<usize> = address_lines(content)
        .filter(|line| line.cidr.is_some_and(|(ip, prefix)| !stays(ip, prefix)))
        .map(|line| line.number)
        .collect();
    let lines = content.split_inclusive('\n').enumerate();
    lines.filter(|(number, _)| !gone.contains(number)).map(|(_, line)| line).collect()
}

/// Returns a profile with these addresses too, behind those that are there, else first in the section.
pub(super) fn with<'a>(
    content: &str,
    section: &str,
    new: impl Iterator<Item = (&'a Alias, &'a Address)>,
) -> String {
    let mut last = content.lines().position(|line| line.trim() == format!("[{section}]")).unwrap_or(0);
    let mut most = 0;
    for line in address_lines(content).filter(|line| line.section == section) {
        last = last.max(line.number);
        most = most.max(number(line.key).unwrap_or(0));
    }
    let lines: String = (most + 1..)
        .zip(new)
        .map(|(number, (alias, address))| format!("address{number}={}\n", words(alias, address)))
        .collect();
    let mut text = String::new();
    for (number, line) in content.split_inclusive('\n').enumerate() {
        text += line;
        if number == last && !lines.is_empty() {
            text += if line.ends_with('\n') { "" } else { "\n" };
            text += &lines;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `nmcli --offline connection modify` of versions 1.42 and 1.52 makes of them.
    #[test]
    fn an_address_is_read_as_networkmanager_reads_it() {
        for (line, cidr, has_gateway) in [
            ("address1=192.0.2.1", "192.0.2.1/24", false),
            ("address1=192.0.2.1/", "192.0.2.1/24", false),
            ("address1=192.0.2.1/33", "192.0.2.1/24", false),
            ("address1=192.0.2.1,192.0.2.254", "192.0.2.1/24", true),
            ("address1=192.0.2.1,25", "192.0.2.1/25", false),
            ("address1=192.0.2.1/25/192.0.2.254", "192.0.2.1/25", true),
            ("address1= 192.0.2.1/25,192.0.2.254", "192.0.2.1/25", true),
            ("addresses1=192.0.2.1;25;192.0.2.254;", "192.0.2.1/25", true),
            ("addresses1=192.0.2.1;25;0.0.0.0;", "192.0.2.1/25", false),
            ("addresses=192.0.2.1;;192.0.2.254", "192.0.2.1/24", true),
        ] {
            let content = format!("[ipv4]\n{line}\n");
            let read = address_lines(&content).next().unwrap();
            assert_eq!(
                (read.cidr, read.has_gateway),
                (crate::interface_alias::cidr::stored(cidr), has_gateway),
                "{line}"
            );
        }
        for line in [
            "address1=192.0.2.1/25,192.0.2.254,5",
            "address1=x/24",
            "address1=192.0.2.1/24x",
            "address1=192.0.2.1/24 ",
            "address01=192.0.2.1/24",
            "address1=2001:db8::1/64",
            "dns=192.0.2.1",
        ] {
            let content = format!("[ipv4]\n{line}\n");
            assert!(address_lines(&content).all(|line| line.cidr.is_none()), "{line}");
        }
        let six = "[ipv6]\naddresses1=2001:db8::1;64;\naddress2=2001:db8::2\n";
        assert!(address_lines(six).all(|line| line.cidr.is_some_and(|(_, prefix)| prefix == 64)));
    }
}
