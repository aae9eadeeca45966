//! A second book that shares nothing with the first: it keeps every transfer and adds them up afresh each time.

use ledger::{Account, AccountKey, Closing, Kind, Refusal, Transfer};
use units::TransferId;

/// Every transfer that was accepted, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Oracle {
    history: Vec<Transfer>,
}

impl Oracle {
    pub(crate) fn apply(&mut self, batch: &[Transfer]) -> Result<(), (usize, Refusal)> {
        let mut trial = self.clone();
        for (index, transfer) in batch.iter().enumerate() {
            match trial.history.iter().find(|told| told.id == transfer.id) {
                Some(told) if told == transfer => continue,
                Some(_) => return Err((index, Refusal::IdReused)),
                None => trial.judge(transfer.kind).map_err(|refusal| (index, refusal))?,
            }
            trial.history.push(*transfer);
        }
        *self = trial;
        Ok(())
    }

    fn judge(&self, kind: Kind) -> Result<(), Refusal> {
        match kind {
            Kind::Move { from, to, units } | Kind::Hold { from, to, units } => {
                self.judge_pair(from, to, units)
            }
            Kind::Post { units: 0, .. } => Err(Refusal::Nothing),
            Kind::Post { hold, units } => match self.open(hold)? {
                held if held < units => Err(Refusal::MoreThanHeld { held, wanted: units }),
                _ => Ok(()),
            },
            Kind::Void { hold } => self.open(hold).map(|_| ()),
        }
    }

    fn judge_pair(&self, from: AccountKey, to: AccountKey, wanted: u64) -> Result<(), Refusal> {
        let (payer, payee) = (self.sums(from), self.sums(to));
        let free = payer.came - payer.went - payer.going;
        let full = |sum: i128| sum + i128::from(wanted) > i128::from(u64::MAX);
        match () {
            () if from == to => Err(Refusal::SameAccount),
            () if wanted == 0 => Err(Refusal::Nothing),
            () if free < i128::from(wanted) && !from.holder.may_go_below_zero() => {
                let available = u64::try_from(free).expect("nobody but the world is below zero");
                Err(Refusal::Insufficient { available, wanted })
            }
            () if full(payer.went + payer.going) || full(payee.came + payee.coming) => {
                Err(Refusal::Overflow)
            }
            () => Ok(()),
        }
    }

    /// How much an open hold set aside.
    fn open(&self, hold: TransferId) -> Result<u64, Refusal> {
        let made = self.history.iter().find_map(|told| match told.kind {
            Kind::Hold { units, .. } => (told.id == hold).then_some(units),
            Kind::Move { .. } | Kind::Post { .. } | Kind::Void { .. } => None,
        });
        let held = made.ok_or(Refusal::HoldUnknown)?;
        self.closing(hold).map_or(Ok(held), |closing| Err(Refusal::HoldClosed(closing)))
    }

    fn closing(&self, wanted: TransferId) -> Option<Closing> {
        self.history.iter().find_map(|told| match told.kind {
            Kind::Post { hold, units } => {
                (hold == wanted).then_some(Closing::Posted { by: told.id, units })
            }
            Kind::Void { hold } => (hold == wanted).then_some(Closing::Voided { by: told.id }),
            Kind::Move { .. } | Kind::Hold { .. } => None,
        })
    }

    /// What the book must count for `key`.
    pub(crate) fn account(&self, key: AccountKey) -> Account {
        let sums = self.sums(key);
        let count = |sum| u64::try_from(sum).expect("the oracle let nothing grow past 64 bits");
        Account {
            debits_pending: count(sums.going),
            debits_posted: count(sums.went),
            credits_pending: count(sums.coming),
            credits_posted: count(sums.came),
        }
    }

    fn sums(&self, key: AccountKey) -> Sums {
        let mut sums = Sums::default();
        for told in &self.history {
            let (from, to, pending, posted) = match told.kind {
                Kind::Move { from, to, units } => (from, to, 0, units),
                Kind::Hold { from, to, units } => match self.closing(told.id) {
                    None => (from, to, units, 0),
                    Some(Closing::Posted { units, .. }) => (from, to, 0, units),
                    Some(Closing::Voided { .. }) => (from, to, 0, 0),
                },
                Kind::Post { .. } | Kind::Void { .. } => continue,
            };
            if from == key {
                sums.going += i128::from(pending);
                sums.went += i128::from(posted);
            }
            if to == key {
                sums.coming += i128::from(pending);
                sums.came += i128::from(posted);
            }
        }
        sums
    }
}

#[derive(Default)]
struct Sums {
    going: i128,
    went: i128,
    coming: i128,
    came: i128,
}
