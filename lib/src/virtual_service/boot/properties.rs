//! What must hold for the files that bring services back.

use std::collections::BTreeMap;

use super::{Item, Store, Task, Value, VirtualService, ansible, as_task, put, rules};
use crate::properties::{Host, is_a_sentence};
use crate::resource::State;
use crate::virtual_service::item::Entry;

/// A file of ipvsadm's: what is not changed stays to the letter, what is removed is gone, and what is put back is as it was, there and
/// in the task that a unit of ours carries out.
pub fn ipvs_files(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let host = Host::with("");
    let store = Store::of_ipvsadm(host.root());
    let state = match store.entries(text) {
        Ok(state) => state,
        Err(error) => return is_a_sentence(&error),
    };
    let entries = || state.iter().filter_map(|(item, value)| Some((*item.key.entry()?, value)));
    let rewritten = |text: &str, changes| rules::written(text, changes).unwrap_or_default();
    let lines: String = text.lines().map(|line| line.to_owned() + "\n").collect();
    assert_eq!(rewritten(text, BTreeMap::new()), lines, "a line has changed that nobody wanted changed");
    let removed = rewritten(text, entries().map(|(entry, _)| (entry, None)).collect());
    assert_eq!(held(&store, &removed), [], "what was removed is there");
    let back = rewritten(&removed, entries().map(|(entry, value)| (entry, Some(value))).collect());
    assert_eq!(held(&store, &back), held(&store, text), "what was put back is another thing");
    if !state.is_empty() {
        let task = as_task(&store.as_live(state.iter()));
        assert_eq!(carried_out(&store, &task), Ok(state), "a unit brings back another thing");
    }
}

/// Returns what a task of ours makes, as a unit has it carried out.
fn carried_out(store: &Store, task: &str) -> Result<State<VirtualService>, String> {
    let Task(options) = ansible::task(task.as_bytes()).map_err(|error| error.sentence())?;
    let mut state = State::<VirtualService>::new();
    for (ingress, wish) in &options.services {
        put(&store.layer(), *ingress, wish, &|_| None, &mut state).map_err(|error| error.sentence())?;
    }
    Ok(state)
}

/// Returns what a text brings; one that cannot be used fails.
fn held(store: &Store, text: &str) -> Vec<(Entry, Value)> {
    let state = store.entries(text).map_err(|error| error.sentence());
    assert!(state.is_ok(), "{state:?}:\n{text}");
    let entry = |(item, value): (Item, Value)| Some((*item.key.entry()?, value));
    state.unwrap_or_else(|_| State::<VirtualService>::new()).into_iter().filter_map(entry).collect()
}

/// Reads a file of ipvsadm's, and writes one line of it anew.
pub(crate) fn rules_read(content: &[u8]) {
    let Ok(text) = std::str::from_utf8(content) else { return };
    drop(rules::task(text));
    drop(rules::written(text, BTreeMap::new()));
}
