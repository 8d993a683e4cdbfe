//! The engine on a host of numbered cells that can fail in each way a real one does.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use nix::sys::signal::{SigSet, Signal};

use super::*;
use crate::file::Lock;
use crate::resource::{Change, Layer};

/// A host of numbered cells with the faults of a real one.
#[derive(Default)]
struct Cells {
    there: State<Self>,
    wanted: State<Self>,
    /// What was written, in that order.
    written: Vec<Item<u8>>,
    /// The kernel refuses this value.
    refused: Option<i32>,
    /// The kernel stores another value in its place.
    rounded: Option<(i32, i32)>,
    /// Writes that succeed before all fail.
    until_broken: Option<u32>,
    /// What somebody else writes while we do.
    intruder: Option<(u8, i32)>,
    /// What vanishes while we write, and whether it may.
    vanishing: Option<u8>,
    vanishing_is_fine: bool,
    /// The ranks of cells, where they have one.
    ranks: BTreeMap<u8, u8>,
    /// Which rank is waited for, how often, and what happens meanwhile.
    awaited: Option<(u8, u32)>,
    meanwhile: Option<fn(&mut Cells)>,
    /// What stays as it was written.
    kept: Option<u8>,
    /// What must be right at the end though it is not planned, and what is lost all the same.
    named: Option<u8>,
    lost: Option<&'static str>,
    lock: Option<Lock>,
    /// A write comes upon a defect of ours.
    panics: bool,
    finished: u32,
}

fn cell(number: u8) -> Item<u8> {
    Item::kernel(number)
}

fn stored(number: u8) -> Item<u8> {
    Item::stored(number, &Rc::from(Path::new("/cells")))
}

impl Cells {
    fn new(there: &[(u8, i32)], wanted: &[(u8, i32)]) -> Self {
        let state =
            |cells: &[(u8, i32)]| cells.iter().map(|(number, value)| (cell(*number), *value)).collect();
        Self { there: state(there), wanted: state(wanted), ..Self::default() }
    }

    fn cells(&self) -> Vec<(u8, i32)> {
        self.there.iter().map(|(item, value)| (item.key, *value)).collect()
    }

    fn write_one(&mut self, item: &Item<u8>, value: Option<i32>) -> Result<()> {
        assert!(!self.panics, "a defect");
        let left = self.until_broken;
        self.until_broken = left.map(|left| left.saturating_sub(1));
        if left == Some(0) || (value.is_some() && value == self.refused) {
            return Err(Error::invalid(format!("cannot set cell {item}: refused")));
        }
        self.written.push(item.clone());
        match value.map(|value| self.rounded.filter(|(from, _)| *from == value).map_or(value, |(_, to)| to)) {
            Some(value) => self.there.insert(item.clone(), value),
            None => self.there.remove(item),
        };
        Ok(())
    }
}

impl Resource for Cells {
    type Key = u8;
    type Value = i32;

    fn observe(&mut self) -> Result<State<Self>> {
        Ok(self.there.clone())
    }

    fn target(&self, now: &State<Self>) -> Result<State<Self>> {
        let mut then = now.clone();
        then.extend(self.wanted.clone());
        Ok(then)
    }

    fn write(&mut self, layer: &Layer, _now: &State<Self>, plan: &Plan<Self>) -> Result<()> {
        assert!(SigSet::thread_get_mask().unwrap().contains(Signal::SIGTERM), "signals are held back");
        assert!(plan.items().all(|item| item.layer == *layer), "one layer at a time");
        self.there.extend(self.intruder.map(|(number, value)| (cell(number), value)));
        for (item, change) in plan.iter() {
            self.write_one(item, change.after)?;
        }
        if let Some(number) = self.vanishing {
            self.there.remove(&cell(number));
        }
        Ok(())
    }

    fn rank(&self, item: &Item<u8>, _change: &Change<i32>) -> u8 {
        self.ranks.get(&item.key).copied().unwrap_or(0)
    }

    fn waits(&mut self, rank: u8, _now: &State<Self>) -> Result<bool> {
        let Some((_, rounds)) = self.awaited.as_mut().filter(|(awaited, _)| *awaited == rank) else {
            return Ok(false);
        };
        let waits = *rounds > 0;
        *rounds = rounds.saturating_sub(1);
        if let Some(meanwhile) = self.meanwhile.filter(|_| waits) {
            meanwhile(self);
        }
        Ok(waits)
    }

    fn lock(&mut self) -> Option<&mut Lock> {
        self.lock.as_mut()
    }

    fn show(&self, item: &Item<u8>, value: &i32) -> (String, String) {
        ("cells".into(), format!("{item} = {value}"))
    }

    fn may_vanish(&self, item: &Item<u8>) -> bool {
        self.vanishing_is_fine && self.vanishing == Some(item.key)
    }

    fn is_kept(&self, item: &Item<u8>) -> bool {
        self.kept == Some(item.key)
    }

    fn is_named(&self, item: &Item<u8>) -> bool {
        self.named == Some(item.key)
    }

    fn lost(&self) -> Option<String> {
        self.lost.map(ToOwned::to_owned)
    }

    fn finish(&mut self, _plan: &Plan<Self>) -> Vec<String> {
        self.finished += 1;
        Vec::new()
    }
}

#[test]
fn check_says_what_apply_does_and_writes_nothing() {
    let mut cells = Cells::new(&[(1, 10), (2, 20)], &[(2, 21), (3, 30)]);
    let checked = check(&mut cells).unwrap();
    assert_eq!(cells.cells(), [(1, 10), (2, 20)]);
    let applied = apply(&mut cells).unwrap();
    assert_eq!(checked.plan, applied.plan);
    assert_eq!(cells.cells(), [(1, 10), (2, 21), (3, 30)]);
    assert!(apply(&mut cells).unwrap().plan.is_empty());
    assert_eq!(cells.finished, 1, "what follows a change does not follow no change");
}

#[test]
fn a_refused_write_undoes_those_before_it() {
    let mut cells =
        Cells { refused: Some(30), ..Cells::new(&[(1, 10), (2, 20)], &[(1, 11), (2, 21), (3, 30)]) };
    let error = apply(&mut cells).err().unwrap();
    assert_eq!(cells.cells(), [(1, 10), (2, 20)]);
    assert!(!error.left_changes());
    assert_eq!(
        error.sentence(),
        "cannot set cell 3: refused; nothing is changed, in force is 1 = 10, 2 = 20"
    );
    assert_eq!(cells.finished, 0);
}

#[test]
fn what_the_kernel_makes_of_a_value_is_an_error_that_names_it_and_is_undone() {
    let mut cells = Cells { rounded: Some((7, 8)), ..Cells::new(&[(1, 10)], &[(1, 7), (2, 5)]) };
    let error = apply(&mut cells).err().unwrap().sentence();
    assert_eq!(cells.cells(), [(1, 10)]);
    assert!(error.starts_with("cannot set 1: 7 was asked for and 8 is read back; ask for 8"), "{error}");
}

#[test]
fn what_others_write_meanwhile_is_neither_an_error_nor_taken_back() {
    let mut cells = Cells { intruder: Some((9, 90)), ..Cells::new(&[(1, 10)], &[(1, 11)]) };
    apply(&mut cells).unwrap();
    assert_eq!(cells.cells(), [(1, 11), (9, 90)]);

    let mut cells =
        Cells { intruder: Some((9, 90)), refused: Some(11), ..Cells::new(&[(1, 10)], &[(1, 11)]) };
    apply(&mut cells).err().unwrap();
    assert_eq!(cells.cells(), [(1, 10), (9, 90)]);
}

#[test]
fn an_undo_that_fails_says_what_is_in_force_and_that_the_host_changed() {
    let mut cells = Cells::new(&[(1, 10), (2, 20)], &[(1, 11), (2, 21)]);
    cells.until_broken = Some(1);
    let error = apply(&mut cells).err().unwrap();
    assert!(error.left_changes());
    assert!(error.sentence().ends_with("in force is 1 = 11"), "{}", error.sentence());
}

#[test]
fn one_entry_that_cannot_be_put_back_keeps_no_other_from_it() {
    let mut cells = Cells::new(&[(1, 10), (2, 20)], &[(1, 11), (2, 21), (3, 30)]);
    (cells.refused, cells.rounded) = (Some(10), Some((30, 31)));
    let error = apply(&mut cells).err().unwrap();
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
    let mut lenient = cells(true);
    apply(&mut lenient).unwrap();
    assert_eq!(lenient.cells(), [(1, 11)]);
    let mut strict = cells(false);
    assert!(apply(&mut strict).err().unwrap().sentence().contains("is not there afterwards"));
}

#[test]
fn signals_are_held_back_while_writing_and_let_through_after() {
    let masked = || SigSet::thread_get_mask().unwrap().contains(Signal::SIGTERM);
    let held = HeldSignals::hold().unwrap();
    assert!(masked());
    drop(held);
    assert!(!masked());
}

#[test]
fn entries_are_written_by_rank_and_the_kernel_before_files() {
    let mut cells = Cells::new(&[(1, 10), (2, 20)], &[(1, 11), (2, 21)]);
    cells.wanted.extend([(stored(1), 11), (stored(3), 31)]);
    cells.ranks = BTreeMap::from([(1, 2), (2, 1)]);
    apply(&mut cells).unwrap();
    assert_eq!(cells.written, [stored(3), cell(2), cell(1), stored(1)]);
}

#[test]
fn a_rank_that_is_not_taken_keeps_the_next_from_being_written() {
    let mut cells = Cells { rounded: Some((11, 12)), ..Cells::new(&[(1, 10), (2, 20)], &[(1, 11), (2, 21)]) };
    cells.ranks = BTreeMap::from([(2, 1)]);
    apply(&mut cells).err().unwrap();
    assert_eq!(cells.written, [cell(1), cell(1)], "there and back");
    assert_eq!(cells.cells(), [(1, 10), (2, 20)]);
}

#[test]
fn what_an_earlier_rank_lost_in_a_later_one_is_an_error() {
    let mut cells = Cells::new(&[(1, 10), (2, 20)], &[(1, 11), (2, 21)]);
    cells.ranks = BTreeMap::from([(2, 1)]);
    // By the time the second rank is written, somebody has taken the first away.
    cells.awaited = Some((1, 1));
    cells.meanwhile = Some(|cells| cells.there.extend([(cell(1), 99)]));
    let error = apply(&mut cells).err().unwrap().sentence();
    assert!(error.starts_with("cannot set 1: 11 was asked for and 99 is read back"), "{error}");
    assert_eq!(cells.cells(), [(1, 10), (2, 20)]);
}

#[test]
fn the_engine_waits_between_ranks_without_the_lock_and_with_signals_let_through() {
    let mut cells = Cells::new(&[(1, 10), (2, 20)], &[(1, 11), (2, 21)]);
    cells.ranks = BTreeMap::from([(2, 1)]);
    cells.awaited = Some((1, 3));
    cells.lock = Some(Lock::on("engine-tests").unwrap());
    let other = std::thread::spawn(|| drop(Lock::on("engine-tests").unwrap()));
    apply(&mut cells).unwrap();
    other.join().unwrap();
    assert_eq!(cells.awaited, Some((1, 0)));
    assert_eq!(cells.cells(), [(1, 11), (2, 21)]);
}

#[test]
fn a_signal_ends_the_wait_and_what_was_written_is_put_back() {
    let mut cells = Cells::new(&[(1, 10), (2, 20)], &[(1, 11), (2, 21)]);
    cells.ranks = BTreeMap::from([(2, 1)]);
    cells.awaited = Some((1, u32::MAX));
    cells.meanwhile = Some(|_| nix::sys::signal::raise(Signal::SIGTERM).unwrap());
    let error = apply(&mut cells).err().unwrap();
    assert!(
        error
            .sentence()
            .starts_with("cannot wait any longer: SIGTERM told the run to end; nothing is changed")
    );
    assert_eq!(cells.cells(), [(1, 10), (2, 20)]);
}

#[test]
fn what_is_kept_stays_as_it_was_written() {
    let mut cells = Cells {
        refused: Some(31),
        kept: Some(1),
        ..Cells::new(&[(1, 10), (2, 20)], &[(1, 11), (2, 21), (3, 31)])
    };
    apply(&mut cells).err().unwrap();
    assert_eq!(cells.cells(), [(1, 11), (2, 20)]);
}

#[test]
fn what_is_kept_is_a_change_that_is_said() {
    let mut cells = Cells {
        refused: Some(31),
        kept: Some(1),
        ..Cells::new(&[(1, 10), (2, 20)], &[(1, 11), (2, 21), (3, 31)])
    };
    cells.ranks = BTreeMap::from([(3, 1)]);
    let error = apply(&mut cells).err().unwrap();
    assert!(error.left_changes());
    assert!(
        error.sentence().ends_with("; nothing else is changed, in force is 1 = 11"),
        "{}",
        error.sentence()
    );
    let mut cells = Cells { refused: Some(31), kept: Some(3), ..Cells::new(&[(1, 10)], &[(1, 11), (3, 31)]) };
    assert!(!apply(&mut cells).err().unwrap().left_changes(), "what is kept was not written");
}

#[test]
fn the_end_is_waited_for_also_where_nothing_is_to_be_written() {
    let mut cells = Cells { awaited: Some((END, 2)), ..Cells::new(&[(1, 10)], &[(1, 10)]) };
    assert!(apply(&mut cells).unwrap().plan.is_empty());
    assert_eq!(cells.awaited, Some((END, 0)));
    let mut cells = Cells { awaited: Some((END, 2)), ..Cells::new(&[(1, 10)], &[(1, 11)]) };
    // By then somebody has taken it back.
    cells.meanwhile = Some(|cells| cells.there.extend([(cell(1), 99)]));
    let error = apply(&mut cells).err().unwrap().sentence();
    assert!(error.starts_with("cannot set 1: 11 was asked for and 99 is read back"), "{error}");
}

#[test]
fn what_is_named_and_right_already_must_be_right_at_the_end() {
    let mut cells = Cells::new(&[(1, 10), (2, 20)], &[(1, 11), (2, 20)]);
    cells.intruder = Some((2, 21));
    apply(&mut cells).unwrap();
    let mut cells = Cells::new(&[(1, 10), (2, 20), (3, 30)], &[(1, 11), (2, 20)]);
    (cells.named, cells.lost) = (Some(2), Some("the first try"));
    cells.meanwhile = Some(|cells| cells.there.extend([(cell(2), 21)]));
    cells.awaited = Some((0, 1));
    let error = apply(&mut cells).err().unwrap().sentence();
    assert_eq!(
        error,
        "cannot set 2: 20 was asked for and 21 is read back; ask for 21 if that will do; \
         nothing is changed, in force is 1 = 10; lost is the first try"
    );
    assert_eq!(cells.cells(), [(1, 10), (2, 20), (3, 30)]);
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
            let answer: serde_json::Value = serde_json::from_str(answer).unwrap();
            assert_eq!(answer["changed"], serde_json::Value::Bool(changed), "{answer}");
            assert_eq!(answer["failed"], serde_json::Value::Bool(true), "{answer}");
        }
        return;
    };
    crate::ansible::answer_on_panic("cells");
    let mut cells = Cells { panics: when == "while", ..Cells::new(&[], &[(1, 1)]) };
    check(&mut cells).unwrap();
    if when == "while" {
        drop(apply(&mut cells));
    }
    panic!("a defect");
}
