//! What the auditor believes of blocks: what an hour emits, whom it pays, and what waits to be claimed.

use std::collections::{BTreeMap, BTreeSet};

use control::{Body, Command, Control, Parameters};
use ledger::Holder;
use units::{AccountId, Asset, HOUR, Hour, Timestamp, WorkerId};

use super::Belief;
use crate::broken::{Broken, Invariant, Step, must};

/// How far an hour's emission may lie from the auditor's own sum, in the smallest unit: both round once a month.
const EMISSION_OFF_MAX: u128 = 3;
/// Spans of a machine's life before this are counted in no block.
const SPAN_KEPT: std::time::Duration = std::time::Duration::from_secs(6 * 3_600);

/// What blocks have come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Blocks {
    /// The hour that closes next.
    open: Option<Hour>,
    emitted: u64,
    /// What each account may claim of what it earned with each machine.
    unclaimed: BTreeMap<(WorkerId, AccountId), u64>,
    lives: BTreeMap<WorkerId, Life>,
}

/// When a machine spoke.
#[derive(Clone, Debug, Default)]
struct Life {
    since: Option<Timestamp>,
    spans: Vec<(Timestamp, Timestamp)>,
}

impl Life {
    fn stop(&mut self, heard: Timestamp) {
        let Some(since) = self.since.take() else { return };
        self.spans.retain(|(_, until)| until.after(SPAN_KEPT) > heard);
        self.spans.push((since, heard.max(since)));
    }

    /// Whole minutes of an hour, as far as is known at `now`.
    fn minutes(&self, hour: Hour, now: Timestamp) -> u64 {
        let spans = self.spans.iter().copied().chain(self.since.map(|since| (since, now)));
        let within = |(from, until): (Timestamp, Timestamp)| {
            let (from, until) = (from.max(hour.start()), until.min(hour.end()));
            until.millis().saturating_sub(from.millis())
        };
        spans.map(within).sum::<u64>() / 60_000
    }
}

impl Blocks {
    /// The hour whose block closes next.
    pub(super) const fn open(&self) -> Option<Hour> {
        self.open
    }

    /// For how many minutes of an hour a machine spoke, as far as is known at `now`.
    pub(super) fn minutes_of(&self, worker: WorkerId, hour: Hour, now: Timestamp) -> u64 {
        self.lives.get(&worker).map_or(0, |life| life.minutes(hour, now))
    }
}

impl Belief {
    /// What one entry does to lives, blocks and what they pay; whether any money moved.
    pub(super) fn see_blocks(&mut self, control: &Control, body: &Body) -> Result<bool, Broken> {
        self.see_lives(&body.command);
        let claimed = self.see_claim(control, body)?;
        let economy = control.economy();
        if let (None, Some(genesis)) = (self.blocks.open, &economy.genesis) {
            self.blocks.open = Some(genesis.first_hour);
            self.blocks.emitted = economy.blocks.emitted.units();
        }
        let (Some(open), Some(next)) = (self.blocks.open, economy.blocks.open) else {
            return Ok(claimed);
        };
        let closed = next.since(open);
        if closed > 0 {
            must(matches!(body.command, Command::Wake {}), Invariant::I5Blocks, || {
                format!("{closed} blocks were closed by {:?}", body.command)
            })?;
            for hour in (0..closed).map(|count| open.later(count)) {
                self.see_block(control, hour)?;
            }
            let alone = closed == 1 && !self.is_any_slash_over(control);
            self.see_rows(control, alone)?;
            self.see_trials(control, open, closed);
            self.is_nominated_by_proofs(control, next)?;
        }
        self.blocks.open = Some(next);
        let late = matches!(body.command, Command::Wake {}) && next.end().after(HOUR) <= self.at;
        must(!late && open <= next, Invariant::I5Blocks, || {
            format!("{next} is open at {:?}", self.at)
        })?;
        Ok(claimed || closed > 0)
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "commands that are not looked at here are looked at elsewhere, or move nothing"
    )]
    fn see_lives(&mut self, command: &Command) {
        let at = self.at;
        match command {
            Command::WorkerUp { worker } => {
                self.blocks.lives.entry(*worker).or_default().since.get_or_insert(at);
            }
            Command::WorkerSilent { worker, heard_millis } => {
                let heard = Timestamp::from_millis(*heard_millis).min(at);
                self.blocks.lives.entry(*worker).or_default().stop(heard);
            }
            Command::Retire { worker } => {
                self.blocks.lives.remove(worker);
            }
            _ => {}
        }
    }

    /// One block: it emits what the schedule says, all of that goes somewhere, and it was time.
    fn see_block(&mut self, control: &Control, hour: Hour) -> Step {
        let found = control.economy().blocks.closed.iter().find(|block| block.hour == hour);
        let Some(block) = found else {
            let seen = format!("the block of {hour} was skipped");
            return Err(Broken { invariant: Invariant::I5Blocks, seen });
        };
        let emission = block.emission.units();
        let parts = [block.worker_emission, block.safety_module_emission, block.unearned];
        let parts = parts.map(units::Amount::units);
        let left = u128::from(self.money.has(Asset::Io, Holder::Emission));
        let scheduled = scheduled(control.parameters(), hour).min(left);
        let right = u128::from(emission).abs_diff(scheduled) <= EMISSION_OFF_MAX;
        let paid: u64 = parts.iter().sum();
        let groups: u64 = block.groups.iter().map(|group| group.amount.units()).sum();
        let agrees = right && paid == emission && groups == block.worker_emission.units();
        must(agrees && hour.end() <= self.at, Invariant::I5Blocks, || {
            format!("{hour} should emit {scheduled}: {block:?}")
        })?;
        self.blocks.emitted += emission;
        // Without members the safety module's share is the treasury's.
        let safety =
            if self.at_stake.anybody_safe() { Holder::SafetyModule } else { Holder::Treasury };
        let to = [Holder::Rewards, safety, Holder::Treasury];
        let mut flows = to.into_iter().zip(parts);
        flows
            .try_for_each(|(to, units)| self.money.flow(Asset::Io, Holder::Emission, to, units))?;
        self.see_top_up(control, block.safety_module_emission.units())
    }

    /// What a block leaves short of the least that members of the safety module earn, the treasury adds, as far as it
    /// may.
    fn see_top_up(&mut self, control: &Control, given: u64) -> Step {
        /// Ten-thousandths of a year's hours.
        const YEAR: u128 = 10_000 * 8_760;
        let rules = &control.parameters().safety;
        let staked: u64 = self.at_stake.safe.values().sum();
        let treasury = self.money.has(Asset::Io, Holder::Treasury);
        let least = u128::from(staked) * u128::from(rules.yield_min_bp) / YEAR;
        let most = u128::from(treasury) * u128::from(rules.treasury_year_max_bp) / YEAR;
        let more = least.saturating_sub(given.into()).min(most);
        let more = u64::try_from(more).expect("a part of what there is");
        self.money.flow(Asset::Io, Holder::Treasury, Holder::SafetyModule, more)
    }

    /// The rows of the newest block: what machines are paid, and for which minutes. With one block at a time, its
    /// payouts are exactly what has come to the accounts.
    fn see_rows(&mut self, control: &Control, alone: bool) -> Step {
        let economy = control.economy();
        let Some((hour, block)) = &economy.blocks.last else { return Ok(()) };
        let closed = economy.blocks.closed.iter().find(|closed| closed.hour == *hour);
        let version = closed.map_or(0, |closed| closed.version);
        let mut all = 0;
        for row in &block.rows {
            let worker = row.device.worker;
            let units = row.outcome.payout().units();
            all += units;
            let life = self.blocks.lives.get(&worker);
            let minutes = life.map_or(0, |life| life.minutes(*hour, self.at));
            let minutes = minutes.min(self.allowed(control, worker, *hour));
            let agrees = minutes == u64::from(row.device.proofs.up_minutes)
                && (units == 0 || row.device.missing.is_empty());
            must(agrees, Invariant::I5Blocks, || {
                format!("{worker} was up for {minutes} minutes of {hour}: {row:?}")
            })?;
            self.proved_its_work(control, row, (*hour, version))?;
            if alone {
                self.see_payout(control, worker, units)?;
            }
        }
        must(all == block.worker_emission.units(), Invariant::I5Blocks, || {
            format!("the rows of {hour} come to {all}, not {}", block.worker_emission)
        })?;
        if !alone {
            self.take_accruals_as_they_are(control);
        }
        Ok(())
    }

    /// What a machine is paid comes to its owner, and to a co-staker if it has one.
    fn see_payout(&mut self, control: &Control, worker: WorkerId, units: u64) -> Step {
        let economy = control.economy();
        let owner = control.worker(worker).map(|worker| worker.owner);
        let mut came = 0;
        for (account, amount) in economy.accruals.of_worker(worker) {
            let known = self.blocks.unclaimed.entry((worker, account)).or_default();
            let more = amount.units().saturating_sub(*known);
            let may = more == 0 || Some(account) == owner || self.at_stake.has_put_in(account);
            must(may, Invariant::I5Blocks, || format!("{account} was paid {more} for {worker}"))?;
            (*known, came) = (amount.units(), came + more);
        }
        must(came == units, Invariant::I5Blocks, || {
            format!("{worker} was paid {units}, and {came} came to accounts")
        })
    }

    /// What is taken by a slash, given back, or came of blocks that closed together is taken as it is: the purse of
    /// rewards must still agree.
    pub(super) fn take_accruals_as_they_are(&mut self, control: &Control) {
        let accruals = &control.economy().accruals;
        let known = self.blocks.unclaimed.keys().map(|(worker, _)| *worker);
        // Rewards of a machine that has left come back when its slash is overturned.
        let slashed = control.economy().stakes.slashes().map(|(_, slash)| slash.worker);
        let workers: BTreeSet<WorkerId> =
            known.chain(control.workers().map(|(worker, _)| worker)).chain(slashed).collect();
        let of = |worker: WorkerId| {
            let parts = accruals.of_worker(worker);
            parts.map(move |(account, amount)| ((worker, account), amount.units()))
        };
        self.blocks.unclaimed = workers.into_iter().flat_map(of).collect();
    }

    /// What is claimed is what was there; whether anything was.
    fn see_claim(&mut self, control: &Control, body: &Body) -> Result<bool, Broken> {
        let Command::ClaimRewards { account, .. } = &body.command else { return Ok(false) };
        self.only(body, *account)?;
        let mut claimed = 0;
        let parts = control.economy().accruals.of_account(*account);
        let left: BTreeMap<WorkerId, u64> =
            parts.map(|(worker, amount)| (worker, amount.units())).collect();
        let had = self.blocks.unclaimed.iter_mut().filter(|((_, whose), _)| whose == account);
        for ((worker, _), units) in had {
            let left = left.get(worker).copied().unwrap_or(0);
            must(left <= *units, Invariant::I5Blocks, || {
                format!("{account} had {units}, claimed, and has {left}")
            })?;
            claimed += *units - left;
            *units = left;
        }
        must(claimed > 0, Invariant::I5Blocks, || format!("{account} claimed nothing"))?;
        self.money.flow(Asset::Io, Holder::Rewards, Holder::Account(*account), claimed)?;
        Ok(true)
    }

    /// Purses of blocks hold what is accounted for.
    pub(super) fn blocks_agree(&self, control: &Control) -> Step {
        let economy = control.economy();
        let rewards = self.money.has(Asset::Io, Holder::Rewards);
        let unclaimed: u64 = self.blocks.unclaimed.values().sum();
        let accrued = economy.accruals.total().units();
        must(rewards == unclaimed && rewards == accrued, Invariant::I5Blocks, || {
            format!("{rewards} wait to be claimed: {unclaimed} by rows, {accrued} by accounts")
        })?;
        let emitted = economy.blocks.emitted.units();
        must(emitted == self.blocks.emitted, Invariant::I5Blocks, || {
            format!("{} were emitted, not {emitted}", self.blocks.emitted)
        })?;
        let mut all = self.blocks.unclaimed.iter();
        let wrong = all.find(|((worker, account), units)| {
            let known = economy.accruals.of_worker(*worker).find(|(whose, _)| whose == account);
            known.map_or(0, |(_, amount)| amount.units()) != **units
        });
        must(wrong.is_none(), Invariant::I5Blocks, || format!("{wrong:?} may be claimed"))
    }
}

/// What the schedule has for an hour: a month's part, each month a little less than the one before.
fn scheduled(parameters: &Parameters, hour: Hour) -> u128 {
    /// Digits behind the point while months are reckoned.
    const FINE: u128 = 1_000;
    let rules = &parameters.emission;
    let month = hour.month();
    let months = month.since(rules.first_month);
    if month < rules.first_month || months >= rules.months {
        return 0;
    }
    let genesis = u128::from(rules.genesis.units()) * FINE;
    let first = genesis * u128::from(rules.first_year_bp) / 120_000;
    let retained = |of: u128, _| of * u128::from(rules.retained_e18) / 1_000_000_000_000_000_000;
    (0..months).fold(first, retained) / FINE / u128::from(month.hours())
}
