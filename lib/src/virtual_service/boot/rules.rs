//! The file of ipvsadm's boot service, as Debian has it: the lines that `ipvsadm -Sn` prints.

use std::collections::{BTreeMap, HashMap};
use std::fs;

use serde_json::{Map, Value as Json, json};

use crate::root::Root;
use crate::virtual_service::Task;
use crate::virtual_service::item::{Entry, Value, line};
use crate::{ansible, file};

pub(super) const FILE: &str = "/etc/ipvsadm.rules";

/// Returns whether a boot of the host at `root` reads the file (Debian's /etc/init.d/ipvsadm).
pub(super) fn are_read(root: &Root) -> bool {
    let has_program = ["/sbin/ipvsadm", "/usr/sbin/ipvsadm"].iter().any(|path| root.at(path).exists());
    let settings = file::foreign(&root.at("/etc/default/ipvsadm")).ok().flatten().unwrap_or_default();
    let settings = String::from_utf8_lossy(&settings).into_owned();
    let auto = settings.lines().filter_map(|line| line.trim().strip_prefix("AUTO=")).next_back();
    let auto = auto.map(|value| value.split('#').next().unwrap_or_default().trim().trim_matches(['"', '\'']));
    has_program && auto == Some("true") && is_on(root)
}

/// Returns whether a boot starts the service, as one of SysV or of systemd.
fn is_on(root: &Root) -> bool {
    let unit = root.at("/etc/systemd/system/multi-user.target.wants/ipvsadm.service");
    let mut scripts = fs::read_dir(root.at("/etc/rc2.d")).into_iter().flatten().flatten();
    let is_start = |name: String| name.starts_with('S') && name.ends_with("ipvsadm");
    unit.is_symlink() || scripts.any(|script| is_start(script.file_name().to_string_lossy().into_owned()))
}

/// A line, as the options of a task have it.
struct Line {
    /// Whether it adds a service, and not a real server.
    is_service: bool,
    /// What tells the service.
    service: Map<String, Json>,
    /// What else is said of that, or of the real server.
    options: Map<String, Json>,
}

/// Returns the task that makes what the lines make, nothing if they make nothing; or why they cannot be used.
pub(super) fn task(text: &str) -> Result<Option<Json>, String> {
    let mut services: Vec<Map<String, Json>> = Vec::new();
    // Each one's place, by what tells it: there may be thousands.
    let mut places = HashMap::new();
    for text in text.lines().filter(|line| !is_idle(line)) {
        let line = Line::parse(text)?;
        let place = places.get(&line.service).and_then(|place: &usize| services.get_mut(*place));
        let servers = place.and_then(|service| service["real_servers"].as_array_mut());
        match (line.is_service, servers) {
            (true, None) => {
                places.insert(line.service.clone(), services.len());
                let servers = ("real_servers".to_owned(), json!([]));
                let mut service = line.service;
                service.extend(line.options.into_iter().chain([servers]));
                services.push(service);
            }
            (false, Some(servers)) => servers.push(Json::Object(line.options)),
            (true, Some(_)) => return Err(format!("its line {text:?} adds a service that is there already")),
            (false, None) => {
                return Err(format!("its line {text:?} is about a service that no line before adds"));
            }
        }
    }
    Ok((!services.is_empty()).then(|| json!({"services": services})))
}

/// Returns whether a line says nothing (the boot service takes lines away that begin with `#`).
fn is_idle(line: &str) -> bool {
    line.starts_with('#') || line.trim().is_empty()
}

impl Line {
    fn parse(text: &str) -> Result<Self, String> {
        Self::of(text.split_whitespace())
            .ok_or_else(|| format!("its line {text:?} is not one that ipvsadm -Sn prints"))
    }

    fn of<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Self> {
        let is_service = match words.next()? {
            "-A" => true,
            "-a" => false,
            _ => return None,
        };
        let mut maps = [(); 4].map(|()| Map::new());
        let mut flags = Vec::new();
        while let Some(word) = words.next() {
            match word {
                "-o" => flags.push("ops"),
                "-b" => flags.extend(words.next()?.split(',')),
                _ => {
                    let (map, name, value) = option(word)?;
                    let value = if value.is_empty() { words.next()? } else { value };
                    maps[map as usize].insert(name.into(), json!(value));
                }
            }
        }
        let [mut service, mut options, mut persistence, tunnel] = maps;
        name_as_in_a_task(&mut service, &mut persistence);
        if is_service {
            options.insert("flags".into(), json!(flags));
        }
        let nested =
            [("persistence", persistence), ("tunnel", tunnel)].into_iter().filter(|(_, map)| !map.is_empty());
        options.extend(nested.map(|(name, map)| (name.to_owned(), Json::Object(map))));
        Some(Self { is_service, service, options })
    }
}

/// Gives the one name to what stands behind three options, and two to what may be a netmask or a length.
fn name_as_in_a_task(service: &mut Map<String, Json>, persistence: &mut Map<String, Json>) {
    for protocol in ["tcp", "udp", "sctp"] {
        if let Some(address) = service.remove(protocol) {
            service.extend([("protocol".into(), json!(protocol)), ("address".into(), address)]);
        }
    }
    if let Some(mask) = persistence.remove("mask") {
        let is_dotted = mask.as_str().is_some_and(|mask| mask.contains('.'));
        persistence.insert(if is_dotted { "netmask" } else { "prefix" }.into(), mask);
    }
}

/// What an option of a line is about.
#[derive(Clone, Copy)]
enum About {
    Service,
    Rest,
    Persistence,
    Tunnel,
}

/// Returns what an option of ipvsadm(8) is about, what a task calls it, and its value if that does not follow.
fn option(word: &str) -> Option<(About, &'static str, &'static str)> {
    Some(match word {
        "-t" => (About::Service, "tcp", ""),
        "-u" => (About::Service, "udp", ""),
        "--sctp-service" => (About::Service, "sctp", ""),
        "-f" => (About::Service, "fwmark", ""),
        "-6" => (About::Service, "family", "ipv6"),
        "-s" => (About::Rest, "scheduler", ""),
        "-p" => (About::Persistence, "timeout", ""),
        "-M" => (About::Persistence, "mask", ""),
        "--pe" => (About::Persistence, "engine", ""),
        "-r" => (About::Rest, "address", ""),
        "-m" => (About::Rest, "forward", "nat"),
        "-g" => (About::Rest, "forward", "dr"),
        "-i" => (About::Rest, "forward", "tun"),
        "-w" => (About::Rest, "weight", ""),
        "-x" => (About::Rest, "upper_threshold", ""),
        "-y" => (About::Rest, "lower_threshold", ""),
        "--tun-type" => (About::Tunnel, "type", ""),
        "--tun-port" => (About::Tunnel, "port", ""),
        "--tun-nocsum" => (About::Tunnel, "checksum", "none"),
        "--tun-csum" => (About::Tunnel, "checksum", "csum"),
        "--tun-remcsum" => (About::Tunnel, "checksum", "remcsum"),
        _ => return None,
    })
}

/// Returns the service or real server that a line adds, or why the line cannot be used.
fn entry(line: &str) -> Result<Entry, String> {
    let Line { is_service, mut service, options } = Line::parse(line)?;
    if !is_service {
        service.insert("real_servers".into(), json!([options]));
    }
    let task = json!({"services": [service]}).to_string();
    let Task(options) = ansible::task(task.as_bytes()).map_err(|error| error.sentence())?;
    let (ingress, wish) = options.services.first_key_value().ok_or("it adds nothing")?;
    Ok(Entry { service: *ingress, real_server: wish.real_servers.keys().next().copied() })
}

/// Returns `text` with these changes of what it adds; other lines are not touched.
pub(super) fn written(text: &str, mut changes: BTreeMap<Entry, Option<&Value>>) -> Result<String, String> {
    let mut lines = Vec::new();
    for old in text.lines() {
        let change = if is_idle(old) { None } else { changes.remove_entry(&entry(old)?) };
        match change {
            None => lines.push(old.to_owned()),
            Some((entry, after)) => lines.extend(after.map(|value| line(&entry, value))),
        }
    }
    lines.extend(changes.iter().filter_map(|(entry, after)| after.map(|value| line(entry, value))));
    Ok(lines.into_iter().map(|line| line + "\n").collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_task_that_makes_them() {
        let text = "# ipvsadm.rules\n\n-A -t 192.0.2.10:80 -s sh -p 300 -M 255.255.255.0 -b sh-port\n\
            -a -t 192.0.2.10:80 -r 10.0.0.11:80 -i -w 2 -x 9 -y 4 --tun-type gue --tun-port 6080 --tun-csum\n\
            -A -u 192.0.2.10:53 -s rr -o\n-A -f 8 -6 -s wlc -p 60 -M 64\n-a -f 8 -6 -r [2001:db8::11]:0 -g -w 1\n";
        let wanted = json!({"services": [
            {"protocol": "tcp", "address": "192.0.2.10:80", "scheduler": "sh", "flags": ["sh-port"],
                "persistence": {"timeout": "300", "netmask": "255.255.255.0"}, "real_servers": [
                {"address": "10.0.0.11:80", "forward": "tun", "weight": "2", "upper_threshold": "9", "lower_threshold": "4",
                    "tunnel": {"type": "gue", "port": "6080", "checksum": "csum"}}]},
            {"protocol": "udp", "address": "192.0.2.10:53", "scheduler": "rr", "flags": ["ops"], "real_servers": []},
            {"fwmark": "8", "family": "ipv6", "scheduler": "wlc", "flags": [],
                "persistence": {"timeout": "60", "prefix": "64"}, "real_servers": [
                {"address": "[2001:db8::11]:0", "forward": "dr", "weight": "1"}]}]});
        assert_eq!(task(text), Ok(Some(wanted)));
        assert_eq!(task("# nothing\n"), Ok(None));
        for (text, why) in [
            ("-C\n", "its line \"-C\" is not one that ipvsadm -Sn prints"),
            ("-A -t 192.0.2.10:80 --new\n", "is not one that"),
            ("-A -t\n", "is not one that"),
            ("-A -f 7\n-A -f 7\n", "its line \"-A -f 7\" adds a service that is there already"),
            ("-a -f 7 -r 10.0.0.11:0 -g\n", "is about a service that no line before adds"),
        ] {
            let said = task(text).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn lines_that_do_not_change_are_not_touched() {
        let text = "# mine\n-A -f 7  -s rr\n-A -f 8 -s rr\n-a -f 8 -r 10.0.0.11:0 -g\n";
        let entry = |line| entry(line).unwrap();
        let (gone, server) = (entry("-A -f 7"), entry("-a -f 8 -r 10.0.0.11:0"));
        assert_eq!(written(text, [(gone, None)].into()).unwrap(), text.replace("-A -f 7  -s rr\n", ""));
        assert_eq!(
            written(text, [(server, None)].into()).unwrap(),
            text.replace("-a -f 8 -r 10.0.0.11:0 -g\n", "")
        );
        assert_eq!(written(text, BTreeMap::new()).unwrap(), text);
    }
}
