//! A director of the test's own, on a kernel that has IPVS: a network namespace with its table, seen by ipvsadm(8), and real
//! servers and clients on its loopback.

#![allow(dead_code, reason = "not every test binary uses all of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use lvs_host::Report;
use lvs_host::virtual_service::{Task, VirtualService};
use serde_json::Value;

use crate::host::{Run, apply_by_the_laws, fail_by_the_laws, ip, task};

/// Where clients come in.
pub(crate) const VIP: &str = "192.0.2.10";

/// Gives the calling thread a network namespace of its own, in which packets to [`VIP`] stay.
pub(crate) fn enter_director() {
    super::host::only_in_a_guest();
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    ip("link set lo up");
    ip("address add 192.0.2.10/32 dev lo");
    ip("-6 address add 2001:db8::10/128 dev lo");
    // Clients and real servers of IPv6; those of IPv4 have all of 127.0.0.0/8.
    ip("-6 route add local 2001:db8:7f::/64 dev lo");
    std::fs::write("/proc/sys/net/ipv6/ip_nonlocal_bind", "1").unwrap();
}

/// Returns what ipvsadm(8) shows of the table, without what counts.
pub(crate) fn look() -> String {
    let mut lines: Vec<String> = ipvsadm("-Sn").lines().map(|line| line.trim().to_owned()).collect();
    let thresholds = ipvsadm("-Ln --thresholds");
    // Behind them are the connections.
    lines.extend(
        thresholds.lines().skip(3).map(|line| line.split_whitespace().take(4).collect::<Vec<_>>().join(" ")),
    );
    lines.sort();
    lines.join("\n")
}

/// Returns the lines that ipvsadm(8) prints to save the table.
pub(crate) fn saved() -> Vec<String> {
    let mut lines: Vec<_> = ipvsadm("-Sn").lines().map(|line| line.trim().to_owned()).collect();
    lines.sort();
    lines
}

/// Runs ipvsadm(8), which must succeed; returns what it prints.
pub(crate) fn ipvsadm(arguments: &str) -> String {
    let output = try_ipvsadm(arguments);
    assert!(output.status.success(), "ipvsadm {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn try_ipvsadm(arguments: &str) -> Output {
    Command::new("ipvsadm").args(arguments.split_whitespace()).output().unwrap()
}

/// Gives ipvsadm(8) lines to restore, all of which it must take.
pub(crate) fn restore(lines: &str) {
    let mut child =
        Command::new("ipvsadm").arg("-R").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.stderr.is_empty(), "ipvsadm -R: {}", String::from_utf8_lossy(&output.stderr));
}

pub(crate) fn services(arguments: Value) -> Run<Task> {
    task(arguments)
}

/// Applies a task by the laws; returns its report.
pub(crate) fn apply(arguments: Value) -> Report<VirtualService> {
    apply_by_the_laws(&services(arguments), look)
}

/// Applies a task that must fail and change nothing; returns the sentence.
pub(crate) fn refuse(arguments: Value) -> String {
    fail_by_the_laws(&services(arguments), look)
}

/// Starts a real server, which says its name to a client and then what the client says; it ends with the test.
pub(crate) fn serve(name: &'static str, at: &str) {
    let listener = TcpListener::bind(at).unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            std::thread::spawn(move || {
                let _ = client.write_all(format!("{name}\n").as_bytes());
                let mut buffer = [0; 512];
                while let Ok(length @ 1..) = client.read(&mut buffer) {
                    if client.write_all(&buffer[..length]).is_err() {
                        return;
                    }
                }
            });
        }
    });
}

/// Starts the real servers a and b, and a service that sends to both.
pub(crate) fn balance(service: &str, a: &str, b: &str, scheduler: &str) {
    serve("a", a);
    serve("b", b);
    let servers = serde_json::json!([{"address": a}, {"address": b}]);
    let task = serde_json::json!({"address": service, "scheduler": scheduler, "forward": "nat", "real_servers": servers});
    services(task).apply().unwrap();
}

/// A connection of a client.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    /// Who serves it.
    pub(crate) server: String,
}

impl Client {
    /// Returns a connection from one of many addresses of this host to the service, or why there is none.
    pub(crate) fn connect(from: u8, service: &str) -> std::io::Result<Self> {
        let service: SocketAddr = service.parse().unwrap();
        let socket =
            socket2::Socket::new(socket2::Domain::for_address(service), socket2::Type::STREAM, None)?;
        let from: IpAddr = match service {
            SocketAddr::V4(_) => [127, 0, 9, from].into(),
            SocketAddr::V6(_) => [0x2001, 0xdb8, 0x7f, 0, 0, 0, 9, from.into()].into(),
        };
        socket.bind(&SocketAddr::new(from, 0).into())?;
        socket.connect_timeout(&service.into(), Duration::from_secs(3))?;
        socket.set_read_timeout(Some(Duration::from_secs(3)))?;
        let mut stream = BufReader::new(TcpStream::from(socket));
        let mut server = String::new();
        stream.read_line(&mut server)?;
        if server.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Self { stream, server: server.trim().to_owned() })
    }

    /// Says something and returns whether it came back.
    pub(crate) fn is_alive(&mut self) -> bool {
        let mut line = String::new();
        self.stream.get_mut().write_all(b"still here\n").is_ok()
            && self.stream.read_line(&mut line).is_ok()
            && line == "still here\n"
    }
}

impl Client {
    /// Says something, and returns what becomes of it within a time: alive, silent or reset.
    pub(crate) fn fate(&mut self, within: Duration) -> &'static str {
        let mut line = String::new();
        self.stream.get_ref().set_read_timeout(Some(within)).unwrap();
        let said = self.stream.get_mut().write_all(b"still here\n");
        let heard = said.and_then(|()| self.stream.read_line(&mut line));
        match heard {
            Ok(1..) if line == "still here\n" => "alive",
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => "silent",
            _ => "reset",
        }
    }
}

/// Returns who serves new clients from `many` addresses, one after the other; `-` where one is refused.
pub(crate) fn served(many: u8, service: &str) -> Vec<String> {
    (1..=many).map(|from| Client::connect(from, service).map_or("-".into(), |client| client.server)).collect()
}

/// A socket to IPVS for requests that no task sends.
pub(crate) struct Raw {
    socket: rtnetlink::sys::Socket,
    family: u16,
}

impl Raw {
    pub(crate) fn open() -> Self {
        use rtnetlink::sys::{Socket, SocketAddr};
        // Before Linux 6.1 the kernel does not load it for the one who asks.
        assert!(Command::new("modprobe").arg("ip_vs").status().unwrap().success());
        let mut socket = Socket::new(16).unwrap();
        socket.bind_auto().unwrap();
        socket.connect(&SocketAddr::new(0, 0)).unwrap();
        let mut raw = Self { socket, family: 16 };
        let (error, answers) = raw.ask(3, 0, &attribute(2, b"IPVS\0"));
        assert_eq!(error, 0, "IPVS is there");
        // The number is the attribute 1, which is searched for as bytes: length 6, type 1.
        let at = answers.windows(4).position(|window| window == [6, 0, 1, 0]).unwrap();
        raw.family = u16::from_ne_bytes([answers[at + 4], answers[at + 5]]);
        raw
    }

    /// Sends a request; returns the errno, 0 for success, and all answers.
    pub(crate) fn ask(&self, command: u8, flags: u16, attributes: &[u8]) -> (i32, Vec<u8>) {
        const REQUEST_AND_ACK: u16 = 5;
        const ERROR: u16 = 2;
        const DONE: u16 = 3;
        let body = [&[command, 1, 0, 0][..], attributes].concat();
        let mut message = Vec::new();
        message.extend((16 + body.len() as u32).to_ne_bytes());
        message.extend(self.family.to_ne_bytes());
        message.extend((REQUEST_AND_ACK | flags).to_ne_bytes());
        message.extend([0; 8]);
        message.extend(body);
        self.socket.send(&message, 0).unwrap();
        let mut answers = Vec::new();
        loop {
            let (part, _) = self.socket.recv_from_full().unwrap();
            let mut rest = &part[..];
            while rest.len() >= 16 {
                let length = u32::from_ne_bytes(rest[..4].try_into().unwrap()) as usize;
                let kind = u16::from_ne_bytes([rest[4], rest[5]]);
                match kind {
                    ERROR => return (-i32::from_ne_bytes(rest[16..20].try_into().unwrap()), answers),
                    DONE => return (0, answers),
                    _ => answers.extend(&rest[16..length]),
                }
                rest = &rest[length.next_multiple_of(4).min(rest.len())..];
            }
        }
    }
}

/// Returns an attribute as bytes.
pub(crate) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
