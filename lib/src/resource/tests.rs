//! The engine on a host of numbered cells that can fail in each way a real one does.

use std::cell::{Cell, RefCell};

use super::*;

/// A host of numbered cells with the faults of a real one.
#[derive(Default)]
struct Cells {
    there: RefCell<BTreeMap<u8, i32>>,
    wanted: BTreeMap<u8, i32>,
    /// The kernel refuses this value.
    refused: Option<i32>,
    /// The kernel stores another value in its place.
    rounded: Option<(i32, i32)>,
    /// Writes that succeed before all fail.
    until_broken: Cell<Option<u32>>,
    /// What somebody else writes while we do.
    intruder: Option<(u8, i32)>,
    /// What vanishes while we write, and whether it may.
    vanishing: Option<u8>,
    vanishing_is_fine: bool,
    /// A write comes upon a defect of ours.
    panics: bool,
    finished: Cell<u32>,
}

impl Cells {
    fn new(there: &[(u8, i32)], wanted: &[(u8, i32)]) -> Self {
        Self {
            there: RefCell::new(there.iter().copied().collect()),
            wanted: wanted.iter().copied().collect(),
            ..Self::default()
        }
    }

    fn cells(&self) -> Vec<(u8, i32)> {
        self.there.borrow().iter().map(|(item, value)| (*item, *value)).collect()
    }

    fn write_one(&self, item: u8, value: Option<i32>) -> Result<()> {
        assert!(!self.panics, "a defect");
        let left = self.until_broken.get();
        self.until_broken.set(left.map(|left| left.saturating_sub(1)));
        if left == Some(0) || (value.is_some() && value == self.refused) {
            return Err(Error::invalid(format!("cannot set cell {item}: refused")));
        }
        match value.map(|value| self.rounded.filter(|(from, _)| *from == value).map_or(value, |(_, to)| to)) {
            Some(value) => self.there.borrow_mut().insert(item, value),
            None => self.there.borrow_mut().remove(&item),
        };
        Ok(())
    }
}

impl Resource for Cells {
    type Item = u8;
    type Value = i32;

    fn observe(&self) -> Result<State<Self>> {
        Ok(self.there.borrow().clone())
    }

    fn target(&self, now: &State<Self>) -> Result<State<Self>> {
        let mut then = now.clone();
        then.extend(self.wanted.clone());
        Ok(then)
    }

    fn write(&self, _now: &State<Self>, plan: &Plan<Self>) -> Result<()> {
        assert!(SigSet::thread_get_mask().unwrap().contains(Signal::SIGTERM), "signals are held back");
        self.there.borrow_mut().extend(self.intruder);
        for (item, change) in plan.iter() {
            self.write_one(*item, change.after)?;
        }
        if let Some(item) = self.vanishing {
            self.there.borrow_mut().remove(&item);
        }
        Ok(())
    }

    fn show(&self, item: &u8, value: &i32) -> (String, String) {
        ("cells".into(), format!("{item} = {value}"))
    }

    fn may_vanish(&self, item: &u8) -> bool {
        self.vanishing_is_fine && self.vanishing == Some(*item)
    }

    fn finish(&self, _plan: &Plan<Self>) -> Vec<String> {
        self.finished.set(self.finished.get() + 1);
        Vec::new()
    }
}

#[test]
fn check_says_what_apply_does_and_writes_nothing() {
    let cells = Cells::new(&[(1, 10), (2, 20)], &[(2, 21), (3, 30)]);
    let checked = cells.check().unwrap();
    assert_eq!(cells.cells(), [(1, 10), (2, 20)]);
    let applied = cells.apply().unwrap();
    assert_eq!(checked.plan, applied.plan);
    assert_eq!(cells.cells(), [(1, 10), (2, 21), (3, 30)]);
    assert!(cells.apply().unwrap().plan.is_empty());
    assert_eq!(cells.finished.get(), 1, "what follows a change does not follow no change");
}

#[test]
fn a_refused_write_undoes_those_before_it() {
    let cells = Cells { refused: Some(30), ..Cells::new(&[(1, 10), (2, 20)], &[(1, 11), (2, 21), (3, 30)]) };
    let error = cells.apply().err().unwrap();
    assert_eq!(cells.cells(), [(1, 10), (2, 20)]);
    assert!(!error.left_changes());
    assert_eq!(
        error.sentence(),
        "cannot set cell 3: refused; nothing is changed, in force is 1 = 10, 2 = 20"
    );
    assert_eq!(cells.finished.get(), 0);
}

#[test]
fn what_the_kernel_makes_of_a_value_is_an_error_that_names_it_and_is_undone() {
    let cells = Cells { rounded: Some((7, 8)), ..Cells::new(&[(1, 10)], &[(1, 7), (2, 5)]) };
    let error = cells.apply().err().unwrap().sentence();
    assert_eq!(cells.cells(), [(1, 10)]);
    assert!(error.starts_with("cannot set 1: 7 was asked for and 8 is read back; ask for 8"), "{error}");
}

#[test]
fn what_others_write_meanwhile_is_neither_an_error_nor_taken_back() {
    let cells = Cells { intruder: Some((9, 90)), ..Cells::new(&[(1, 10)], &[(1, 11)]) };
    cells.apply().unwrap();
    assert_eq!(cells.cells(), [(1, 11), (9, 90)]);

    let cells = Cells { intruder: Some((9, 90)), refused: Some(11), ..Cells::new(&[(1, 10)], &[(1, 11)]) };
    cells.apply().err().unwrap();
    assert_eq!(cells.cells(), [(1, 10), (9, 90)]);
}

#[test]
fn an_undo_that_fails_says_what_is_in_force_and_that_the_host_changed() {
    let cells = Cells::new(&[(1, 10), (2, 20)], &[(1, 11), (2, 21)]);
    cells.until_broken.set(Some(1));
    let error = cells.apply().err().unwrap();
    assert!(error.left_changes());
    assert!(error.sentence().ends_with("in force is 1 = 11"), "{}", error.sentence());
}

#[test]
fn one_entry_that_cannot_be_put_back_keeps_no_other_from_it() {
    let mut cells = Cells::new(&[(1, 10), (2, 20)], &[(1, 11), (2, 21), (3, 30)]);
    (cells.refused, cells.rounded) = (Some(10), Some((30, 31)));
    let error = cells.apply().err().unwrap();
    assert_eq!(cells.cells(), [(1, 11), (2, 20)]);
    assert!(error.left_changes() && error.sentence().ends_with("in force is 1 = 11"), "{}", error.sentence());
    assert!(
        error.sentence().contains("could not be undone (cannot set cell 1: refused)"),
        "{}",
        error.sentence()
    );
}

#[test]
fn an_item_that_vanishes_fails_unless_it_may() {
    let cells = |fine| Cells {
        vanishing: Some(2),
        vanishing_is_fine: fine,
        ..Cells::new(&[(1, 10), (2, 20)], &[(1, 11), (2, 21)])
    };
    let lenient = cells(true);
    lenient.apply().unwrap();
    assert_eq!(lenient.cells(), [(1, 11)]);
    let strict = cells(false);
    assert!(strict.apply().err().unwrap().sentence().contains("is not there afterwards"));
}

#[test]
fn signals_are_held_back_while_writing_and_let_through_after() {
    let masked = || SigSet::thread_get_mask().unwrap().contains(Signal::SIGTERM);
    let held = HeldSignals::hold().unwrap();
    assert!(masked());
    drop(held);
    assert!(!masked());
}

/// The panic ends the process, so it is that of a run of this test alone.
#[test]
fn a_panic_says_that_something_may_have_changed_once_writing_has_begun() {
    const WHEN: &str = "LVS_HOST_PANICS";
    let Ok(when) = std::env::var(WHEN) else {
        for (when, changed) in [("before", false), ("while", true)] {
            let mut test = std::process::Command::new(std::env::current_exe().unwrap());
            test.args(["a_panic_says_that_something", "--nocapture"]).env(WHEN, when);
            let output = test.output().unwrap();
            assert_eq!(output.status.code(), Some(1));
            let said = String::from_utf8(output.stdout).unwrap();
            let answer = said.lines().find_map(|line| line.find('{').map(|at| &line[at..])).unwrap();
            let answer: Value = serde_json::from_str(answer).unwrap();
            assert_eq!(answer["changed"], Value::Bool(changed), "{answer}");
            assert_eq!(answer["failed"], Value::Bool(true), "{answer}");
        }
        return;
    };
    crate::ansible::answer_on_panic("cells");
    let cells = Cells { panics: when == "while", ..Cells::new(&[], &[(1, 1)]) };
    cells.check().unwrap();
    if when == "while" {
        drop(cells.apply());
    }
    panic!("a defect");
}
