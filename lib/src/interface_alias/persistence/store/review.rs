//! Whether something may be kept where a boot finds it.

use std::path::Path;

use super::{Files, Store};
use crate::interface_alias::InterfaceAlias;
use crate::interface_alias::address::Address;
use crate::interface_alias::item::{Alias, addresses};
use crate::interface_alias::persistence::brought::{Known, Others};
use crate::interface_alias::persistence::entry::label;
use crate::interface_alias::persistence::form::{Objection, Rewrite};
use crate::interface_alias::persistence::primary;
use crate::interface_alias::wish::Wish;
use crate::resource::{Plan, State};
use crate::{Error, Result};

impl Store {
    /// Returns an error if the plan puts something there that the manager cannot keep or that the person has put there
    /// already; else what the person should know.
    pub(in crate::interface_alias::persistence) fn review(
        &self,
        files: &mut Files,
        plan: &Plan<InterfaceAlias>,
        wishes: &[Wish],
        found: &State<InterfaceAlias>,
        known: &mut Known,
    ) -> Result<Vec<String>> {
        let others = self.others(files, known)?;
        let put: Vec<_> =
            self.differences(plan).filter_map(|(alias, _, after)| Some((alias, after?))).collect();
        self.review_rewrite(plan, &put)?;
        for (alias, before, after) in self.differences(plan) {
            if let (None, Some(address)) = (before, after) {
                self.review_new(&others, alias, address)?;
            }
        }
        let mut warnings: Vec<String> = self.form.warning().filter(|_| !put.is_empty()).into_iter().collect();
        let is_late = |(own, address): &(&Alias, &Address)| {
            let is_leased = self.manager.is_before_lease && address.status.counts_down();
            is_leased || others.bring(Some(own.address), None).is_some_and(|path| self.comes_before(path))
        };
        warnings.extend(primary::outrun(&put, addresses(found).filter(is_late)));
        for wish in wishes.iter().filter(|wish| !wish.present && wish.interface == self.interface) {
            warnings.extend(others.bring_back(wish));
        }
        Ok(warnings)
    }

    /// Returns whether ours is read before `path`, which is a drop-in as well.
    fn comes_before(&self, path: &Path) -> bool {
        path.extension().is_some_and(|end| end == "conf") && self.file.file_name() < path.file_name()
    }

    /// Returns an error if the manager cannot have what the plan makes of the file.
    fn review_rewrite(&self, plan: &Plan<InterfaceAlias>, put: &[(&Alias, &Address)]) -> Result<()> {
        if let (Some(why), Some((alias, _))) = (&self.objection, put.first()) {
            return Err(self.refuse(alias, why));
        }
        let before = self.content()?;
        let Some(after) = self.planned(&before, plan)? else { return Ok(()) };
        self.form.review(&Rewrite { before: &before, after: &after, put }).map_err(
            |objection| match objection {
                Objection::Alias(alias, why) => self.refuse(&alias, &why),
                Objection::File(why) => {
                    Error::invalid(format!("cannot change {}: {why}", self.file.display()))
                }
            },
        )
    }

    /// Returns an error if an address that is new there is the person's elsewhere.
    fn review_new(&self, others: &Others, alias: &Alias, address: &Address) -> Result<()> {
        match others.bring(Some(alias.address), label(alias, address).as_deref()) {
            None => Ok(()),
            Some(path) => Err(self.refuse(
                alias,
                &format!(
                    "{}, which we did not write, has the address or its label already; remove that there, or leave persist out",
                    path.display()
                ),
            )),
        }
    }

    /// Returns a warning if something stays there that nothing may be kept in.
    pub(in crate::interface_alias::persistence) fn hazard(
        &self,
        plan: &Plan<InterfaceAlias>,
    ) -> Result<Option<String>> {
        let Some(why) = &self.objection else { return Ok(None) };
        let is_left = !self.after(&self.content()?, plan)?.is_empty();
        let file = self.file.display();
        Ok(is_left.then(|| format!("{file} puts the next boot at risk, and state absent removes it: {why}")))
    }
}
