//! What must hold for what IPVS answers, and for a task in view of it.

use serde_json::json;

use super::item::{Item, Value};
use super::message::{self, Command};
use super::{VirtualService, described, ipvs, item};
use crate::netlink::Message;
use crate::properties::{Host, arguments_and_files, is_a_sentence};
use crate::resource::{Mode, Plan, Resource, State, Task as _};

/// What the answers end and the task begins with.
const TASK: &[u8] = b"\n--\n";

/// Answers of the kernel's, each a byte for its length in fours and so many bytes, and behind `--` a task and the files of a host: an
/// entry reads the same from the request that would set it; what a task leads to is what it wants; and what the answer tells of
/// services, taken as a task, changes nothing.
pub fn ipvs(data: &[u8]) {
    let end = data.windows(TASK.len()).position(|part| part == TASK).unwrap_or(data.len());
    let now = state(&data[..end]);
    as_a_task_is_itself(&now);
    let task = data.get(end + TASK.len()..).unwrap_or_default();
    let Some((arguments, files)) = arguments_and_files(task) else { return };
    let host = Host::with(files);
    let Some(mut resource) = opened(arguments.into(), &host) else { return };
    match resource.target(&now) {
        Ok(then) => leads_to(&mut resource, &now, &then),
        Err(error) => is_a_sentence(&error),
    }
}

/// Returns the state that answers describe: services, each with the real servers that follow it.
fn state(mut data: &[u8]) -> State<VirtualService> {
    let mut state = State::<VirtualService>::new();
    let mut last = None;
    while let Some((length, rest)) = data.split_first() {
        let (body, rest) = rest.split_at(rest.len().min(4 * usize::from(*length)));
        data = rest;
        let answer = Message::new(0, body);
        if let Some((ingress, service)) = message::read_service(&answer) {
            let again = message::service(0, Command::SetService, ingress, &service);
            assert_eq!(message::read_service(&again), Some((ingress, service.clone())));
            state.insert(Item::service(ingress), Value::Service(service));
            last = Some(ingress);
        }
        let Some(ingress) = last else { continue };
        if let Some((at, server, _)) = message::read_real_server(&answer, ingress.is_ipv4()) {
            let again = message::real_server(0, Command::SetDest, ingress, at, Some(&server));
            let again = message::read_real_server(&again, ingress.is_ipv4());
            assert_eq!(again.map(|(at, server, _)| (at, told(server))), Some((at, told(server.clone()))));
            state.insert(Item::real_server(ingress, at), Value::RealServer(server));
        }
    }
    state
}

/// Returns what a request tells of a real server: a tunnel only where there is one.
fn told(server: super::RealServer) -> super::RealServer {
    match server.forward {
        super::Forward::Tun => server,
        _ => super::RealServer { tunnel: super::Tunnel::default(), ..server },
    }
}

/// Returns the resource of a task on a host that has no IPVS, nothing if it is none.
fn opened(arguments: serde_json::Value, host: &Host) -> Option<VirtualService> {
    let task: super::Task = serde_json::from_value(arguments).ok()?;
    task.open(Mode::Check, host.root()).ok()
}

/// Fails unless `then` is where the task stays, and every entry on the way can be sent, shown and told.
fn leads_to(resource: &mut VirtualService, now: &State<VirtualService>, then: &State<VirtualService>) {
    let again = resource.target(then).map_err(|error| error.sentence());
    assert_eq!(again.as_ref(), Ok(then), "the target of a target is another one");
    let plan = Plan::between(now, then);
    for (item, change) in plan.iter() {
        if let Some(entry) = item.live() {
            ipvs::request(0, entry, change.before.is_some(), change.after.as_ref());
        }
        for value in [&change.before, &change.after].into_iter().flatten() {
            assert!(!resource.show(item, value).1.contains('\n'), "{item} is shown in two lines");
        }
    }
    match resource.review(now, &plan, Mode::Check) {
        Ok(warnings) => assert!(warnings.iter().all(|warning| !warning.is_empty())),
        Err(error) => is_a_sentence(&error),
    }
}

/// Fails if the services of an answer, taken as the option `services`, lead to another answer. What no task can name is refused.
fn as_a_task_is_itself(now: &State<VirtualService>) {
    let told = |state| {
        let services = item::services(state);
        json!(services.map(|(ingress, service)| described(ingress, service, state)).collect::<Vec<_>>())
    };
    let Some(resource) = opened(json!({"services": told(now)}), &Host::with("")) else { return };
    if let Ok(then) = resource.target(now) {
        assert_eq!(told(&then), told(now), "what is told, as a task, is another thing");
    }
}
