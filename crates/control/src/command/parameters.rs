//! What the network goes by: changed by patches, in effect from an hour on.

use rewards::rule::Rule;
use units::{Hour, Timestamp};

use crate::effect::Subject;
use crate::record::Actor;
use crate::refusal::Refusal;
use crate::state::{Control, Reply};

impl Control {
    pub(crate) fn set_parameters(
        &mut self,
        by: Actor,
        patch: &str,
        from: Option<Hour>,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        Self::only_operator(by)?;
        self.add_version(patch, from, now)?;
        Ok(Reply::Done)
    }

    /// Takes a version back that the operator told and that is not in effect. The brake does not stop this: all stays
    /// as it is.
    pub(crate) fn withdraw_version(
        &mut self,
        by: Actor,
        number: u32,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        Self::only_operator(by)?;
        self.versions.withdraw(number, Hour::of(now))?;
        self.changed(Subject::Parameters(number));
        Ok(Reply::Done)
    }

    /// Adds a version of the parameters: asked for by the operator, or decided by a vote.
    pub(crate) fn add_version(
        &mut self,
        patch: &str,
        from: Option<Hour>,
        now: Timestamp,
    ) -> Result<u32, Refusal> {
        let hour = Hour::of(now);
        let number = self.versions.add(patch, from.unwrap_or(hour), hour)?;
        self.changed(Subject::Parameters(number));
        self.parameters_on(now);
        Ok(number)
    }

    /// Lets versions of the parameters take effect whose hour has come.
    pub(crate) fn parameters_on(&mut self, now: Timestamp) {
        let Some(number) = self.versions.on_hour(Hour::of(now)).map(|version| version.number)
        else {
            return;
        };
        self.changed(Subject::Parameters(number));
        if self.parameters().exempt.has(Rule::ProofOfWork) {
            // Whoever is not asked any more cannot pass.
            self.workers.values_mut().for_each(|worker| worker.checks.failed = None);
        }
        let workers: Vec<_> = self.workers.keys().copied().collect();
        for worker in workers {
            let offers = self.live_offers(worker, now);
            self.list(worker);
            self.changed(Subject::Worker(worker));
            self.offers_moved(&offers, now);
        }
        self.settle_pending(now);
    }
}
