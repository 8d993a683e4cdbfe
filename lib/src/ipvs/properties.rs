//! What must hold for what IPVS answers of timeouts and daemons, and for a task in view of it.

use super::{Ipvs, Item, Key, Task, Value, kernel};
use crate::netlink::Message;
use crate::properties::{Host, arguments_and_files, is_a_sentence};
use crate::resource::{Mode, Plan, Resource, State, Task as _};

/// What the answers end and the task begins with.
const TASK: &[u8] = b"\n--\n";

/// Answers of the kernel's, each a byte for its length in fours and so many bytes, and behind `--` a task: what is read is read again
/// from the request that would set it, and a task leads to where it stays, by steps that can be sent and shown.
pub fn ipvs_settings(data: &[u8]) {
    let end = data.windows(TASK.len()).position(|part| part == TASK).unwrap_or(data.len());
    let now = state(&data[..end]);
    let task = data.get(end + TASK.len()..).unwrap_or_default();
    let Some((arguments, files)) = arguments_and_files(task) else { return };
    let Ok(task) = serde_json::from_value::<Task>(arguments.into()) else { return };
    match task.open(Mode::Check, Host::with(files).root()) {
        Ok(resource) => leads_to(&resource, &now),
        Err(error) => is_a_sentence(&error),
    }
}

/// Returns the state that answers describe.
fn state(mut data: &[u8]) -> State<Ipvs> {
    let mut state = State::<Ipvs>::new();
    while let Some((length, rest)) = data.split_first() {
        let (body, rest) = rest.split_at(rest.len().min(4 * usize::from(*length)));
        data = rest;
        let answer = Message::new(0, body);
        for (timeout, seconds) in kernel::read_timeouts(&answer) {
            state.insert(Item::kernel(Key::Timeout(timeout)), Value::Seconds(seconds));
        }
        if let Some((role, daemon)) = kernel::read_daemon(&answer) {
            state.insert(Item::kernel(Key::SyncDaemon(role)), Value::Daemon(daemon));
        }
    }
    state.iter().for_each(|(item, value)| is_sent_as_read(item, value));
    state
}

/// Fails unless the request that sets an entry reads as that entry.
fn is_sent_as_read(item: &Item, value: &Value) {
    match (item.key, value) {
        (Key::Timeout(timeout), Value::Seconds(seconds)) => {
            let request = kernel::setting(0, timeout, *seconds);
            assert_eq!(kernel::read_timeouts(&request).collect::<Vec<_>>(), [(timeout, *seconds)]);
        }
        (Key::SyncDaemon(role), Value::Daemon(daemon)) => {
            let request = kernel::starting(0, role, daemon);
            assert_eq!(kernel::read_daemon(&request), Some((role, daemon.clone())));
        }
        _ => unreachable!("{item} is {value}"),
    }
}

/// Fails unless a task stays where it leads to, and every step there can be sent and is shown in one line.
fn leads_to(resource: &Ipvs, now: &State<Ipvs>) {
    let then = match resource.target(now) {
        Ok(then) => then,
        Err(error) => return is_a_sentence(&error),
    };
    let again = resource.target(&then).map_err(|error| error.sentence());
    assert_eq!(again.as_ref(), Ok(&then), "the target of a target is another one");
    for (item, change) in Plan::<Ipvs>::between(now, &then).iter() {
        let Some(value) = &change.after else { continue };
        is_sent_as_read(item, value);
        assert!(!resource.show(item, value).1.contains('\n'), "{item} is shown in two lines");
    }
}
