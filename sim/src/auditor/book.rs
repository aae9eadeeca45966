//! What the auditor believes of everybody's money.

use std::collections::BTreeMap;

use control::Control;
use ledger::{Account, Holder};
use market::Stage;
use units::{AccountId, ProjectId, RentalId};

use super::rentals::{Sum, View};
use crate::broken::{Invariant, Step, must};

/// Who should have what.
#[derive(Clone, Debug, Default)]
pub(super) struct Money {
    /// By project: what is there, and how much of it is held.
    projects: BTreeMap<ProjectId, (i128, u64)>,
    suppliers: BTreeMap<AccountId, i128>,
    fees: i128,
    outside: i128,
}

impl Money {
    pub(super) fn top_up(&mut self, project: ProjectId, units: u64) {
        self.projects.entry(project).or_default().0 += i128::from(units);
        self.outside -= i128::from(units);
    }

    pub(super) fn hold(&mut self, project: ProjectId, units: u64) -> Step {
        let (balance, held) = self.projects.entry(project).or_default();
        *held += units;
        let (balance, held) = (*balance, *held);
        must(balance >= i128::from(held), Invariant::I1Book, || {
            format!("{project} has {balance} and {held} of it is held")
        })
    }

    pub(super) fn settle(&mut self, project: ProjectId, held: u64, sum: &Sum) -> Step {
        let account = self.projects.entry(project).or_default();
        must(account.1 >= held && sum.charged <= held, Invariant::I4Receipts, || {
            format!("{project} is charged {} of {held} held", sum.charged)
        })?;
        account.1 -= held;
        account.0 -= i128::from(sum.charged);
        for (supplier, units) in &sum.payouts {
            *self.suppliers.entry(*supplier).or_default() += i128::from(*units);
        }
        self.fees += i128::from(sum.fees);
        Ok(())
    }

    /// Whether the book says the same of everybody, and sums to zero.
    pub(super) fn agrees(&self, control: &Control, rentals: &BTreeMap<RentalId, View>) -> Step {
        let mut sum = 0;
        for (key, account) in control.book().accounts() {
            sum += i128::from(account.credits_posted) - i128::from(account.debits_posted);
            self.agrees_on(key.holder, account, rentals)?;
        }
        must(sum == 0, Invariant::I1Book, || format!("the book sums to {sum}"))?;
        for project in self.projects.keys() {
            let holder = Holder::Project(*project);
            self.agrees_on(holder, control.purse(holder), rentals)?;
        }
        for supplier in self.suppliers.keys() {
            let holder = Holder::Account(*supplier);
            self.agrees_on(holder, control.purse(holder), rentals)?;
        }
        self.agrees_on(Holder::Fees, control.purse(Holder::Fees), rentals)?;
        for (id, view) in rentals {
            let holds = matches!(view.stage, Stage::Deploying { .. } | Stage::Running { .. });
            let hold = control.rental(*id).and_then(|rental| rental.hold);
            must(hold.is_some() == (holds && view.held > 0), Invariant::I3Holds, || {
                format!("{id} is {:?} and its hold is {hold:?}", view.stage)
            })?;
            let holder = Holder::Escrow(*id);
            self.agrees_on(holder, control.purse(holder), rentals)?;
        }
        Ok(())
    }

    fn agrees_on(
        &self,
        holder: Holder,
        account: Account,
        rentals: &BTreeMap<RentalId, View>,
    ) -> Step {
        let (balance, held, promised) = match holder {
            Holder::Outside => (self.outside, 0, 0),
            Holder::Project(project) => {
                let (balance, held) = self.projects.get(&project).copied().unwrap_or_default();
                (balance, held, 0)
            }
            Holder::Account(account) => {
                (self.suppliers.get(&account).copied().unwrap_or_default(), 0, 0)
            }
            Holder::Escrow(rental) => (0, 0, rentals.get(&rental).map_or(0, |view| view.held)),
            Holder::Fees => (self.fees, 0, 0),
            Holder::Emission
            | Holder::Rewards
            | Holder::Stakes
            | Holder::SafetyModule
            | Holder::Grant(_)
            | Holder::Treasury
            | Holder::Exchange
            | Holder::Burned
            | Holder::Season(_) => (0, 0, 0),
        };
        let says = (account.balance(), account.debits_pending, account.credits_pending);
        must(says == (balance, held, promised), Invariant::I1Book, || {
            format!("{holder:?} should have {balance} ({held} held), the book says {account:?}")
        })
    }
}
