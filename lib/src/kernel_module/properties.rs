//! What must hold for the files that have a boot load modules.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{KernelModule, Task};
use crate::properties::{Host, arguments_and_files, is_a_sentence};
use crate::resource::{Layer, Mode, Plan, Resource, State, Task as _};

/// A task, and the files of a host. No module is loaded or removed, and all else is done: what is stored reads back and is stored once,
/// the way back leads to what was there, and the files of others stay as they are.
pub fn kernel_module_files(data: &[u8]) {
    let Some((arguments, files)) = arguments_and_files(data) else { return };
    let Ok(task) = serde_json::from_value::<Task>(arguments.into()) else { return };
    let host = Host::with(files);
    let Ok(mut resource) = task.open(Mode::Check, host.root()) else { return };
    let own: Vec<PathBuf> = resource
        .options
        .modules
        .iter()
        .flat_map(|it| resource.files.of(it))
        .map(|it| it.to_path_buf())
        .collect();
    let others = || -> BTreeMap<_, _> {
        host.contents().into_iter().filter(|(path, _)| !own.contains(&host.root().at(path))).collect()
    };
    let (before, found) = (others(), resource.observe());
    let now = match found {
        Ok(now) => stored(now),
        Err(error) => return is_a_sentence(&error),
    };
    let Some(then) = resource.target(&now).ok().map(stored) else { return };
    for (from, to) in [(&now, &then), (&then, &now)] {
        carry_out(&mut resource, from, to);
        let is = resource.observe().map(stored).map_err(|error| error.sentence());
        assert_eq!(is.as_ref(), Ok(to), "what was written reads otherwise");
        assert_eq!(others(), before, "another file has changed");
    }
    let again = resource.target(&then).map(stored).map_err(|error| error.sentence());
    assert_eq!(again, Ok(then), "a second run changes something");
    assert!(resource.files.others(&resource.options.modules).iter().all(|warning| !warning.is_empty()));
}

/// Returns what of a state is in files.
fn stored(state: State<KernelModule>) -> State<KernelModule> {
    state.into_iter().filter(|(item, _)| !item.is_live()).collect()
}

/// Writes the files that lead from one state to another.
fn carry_out(resource: &mut KernelModule, from: &State<KernelModule>, to: &State<KernelModule>) {
    let plan = Plan::between(from, to);
    for (layer, part) in plan.split(|item, _| item.layer.clone()) {
        assert!(matches!(layer, Layer::File(_)));
        let written = resource.write(&layer, from, &part).map_err(|error| error.sentence());
        assert_eq!(written, Ok(()));
    }
}

/// Reads a file of modprobe.d(5).
pub(crate) fn parameters_read(content: &[u8]) {
    drop(super::boot::stored(&String::from_utf8_lossy(content), "ip_vs"));
}

#[cfg(test)]
#[test]
fn a_line_about_another_module_is_not_about_one_whose_name_it_begins_with() {
    let text = "options ip_vs_rr a=1\noptions ip-vs b=2 c\noptions ip_vs d=3\n";
    let found = super::boot::stored(text, "ip_vs");
    assert_eq!(found, [("b".into(), "2".into()), ("d".into(), "3".into())]);
}
