//! Reward programs with a beginning and an end: points for work, uptime and quests, prizes paid by points.
//!
//! An operator plans a season; while it runs, each hour of activity and each quest done earns points; when it has
//! ended, every pool of prizes is shared by points. No coin moves here: [`Seasons::pay`] answers who gets what.
//!
//! ```text
//! Planned ──► Running ──► Ended ──► Paid
//!    └─► withdrawn, and forgotten
//! ```
//!
//! # Invariants
//! - What a pool pays and what is left of it sum to its prize.
//! - Who has more points of a pool's kind never gets less of it than who has fewer.
//! - An hour counts once, a quest once per account, a proof once per season.
//! - Points and prizes go by the plan as it was made: a change of rules moves no season that exists.
//!
//! Deliberately absent: who owns a wallet to be paid to (the caller knows), and the check of a quest's proof (whoever
//! receives the signed call does that).

mod audit;
mod board;
mod payout;
mod plan;
mod points;
mod rules;
mod stage;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use units::{AccountId, Coins, HOUR, Hour, Name, SeasonId, Timestamp, WorkerId};

pub use audit::Unsound;
pub use board::{PAGE_MAX, Rank};
pub use payout::{Payout, PoolPayout};
pub use plan::{Basis, PlanRefusal, PrizePool, Quest, SeasonPlan};
pub use points::{Activity, BadActivity, GPUS_MAX, PointRules, Points};
pub use rules::{BadSeasonRules, SEASONS_CEILING, SeasonRules};
pub use stage::{Event, Stage, StageRefusal};

/// How many accounts may take part in one season before a quest of a newcomer is refused; who works is bounded by the
/// fleet and always counted.
pub const ACCOUNTS_MAX: usize = 1_000_000;
/// The longest proof of a quest, in bytes: a digest or an id of whoever verified it, not the evidence itself.
pub const PROOF_BYTES_MAX: usize = 128;

/// Every season that is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seasons {
    seasons: BTreeMap<SeasonId, Season>,
}

/// One season.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Season {
    /// What it goes by.
    pub plan: SeasonPlan,
    /// Where it stands.
    pub stage: Stage,
    /// The latest hour that was counted.
    pub recorded: Option<Hour>,
    /// Who has which points.
    standings: BTreeMap<AccountId, Standing>,
    /// Who did a quest, with which proof; empty once the season is paid.
    done: BTreeMap<Name, BTreeMap<AccountId, String>>,
    /// Every proof in `done`, to know one that is shown again.
    proofs: BTreeSet<String>,
}

/// What an account earned in a season so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// For uptime and jobs.
    pub work: Points,
    /// For quests.
    pub quests: Points,
}

impl Standing {
    /// The points that count for pools and boards of this kind.
    pub const fn points(&self, basis: Basis) -> Points {
        match basis {
            Basis::Work => self.work,
            Basis::Quests => self.quests,
            Basis::All => self.work.plus(self.quests),
        }
    }
}

/// What an hour came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// All points it earned.
    pub points: Points,
    /// How many machines earned any.
    pub workers: usize,
}

/// What became of a quest that was reported done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// It earned these points.
    Earned(Points),
    /// It was told before, with the same proof: nothing changed.
    Before,
}

/// Why an hour was not counted. Checks run in the order of these variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordRefusal {
    /// There is no such season.
    #[error("there is no such season")]
    NotFound,
    /// The season takes no activity: not yet, or no more.
    #[error("the season is {stage}; activity counts only while it is running")]
    NotRunning {
        /// Where it stands.
        stage: &'static str,
    },
    /// The hour is not one of the season.
    #[error("{hour} is not an hour of the season")]
    OutOfSeason {
        /// Which.
        hour: Hour,
    },
    /// The hour is not over.
    #[error("{hour} is not over; tell its activity when it is")]
    NotOver {
        /// Which.
        hour: Hour,
    },
    /// It, or a later one, was counted.
    #[error("the hours up to {latest} are counted already")]
    AlreadyRecorded {
        /// The latest that was.
        latest: Hour,
    },
    /// One activity makes no sense; none is counted.
    #[error("the activity of {worker} makes no sense: {why}")]
    Activity {
        /// Whose.
        worker: WorkerId,
        /// What is wrong with it.
        why: BadActivity,
    },
}

/// Why a quest does not count. Checks run in the order of these variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuestRefusal {
    /// There is no such season.
    #[error("there is no such season")]
    NotFound,
    /// The season has no such quest.
    #[error("the season has no quest `{quest}`; list the season's quests")]
    NoSuchQuest {
        /// What was asked for.
        quest: Name,
    },
    /// Quests count between the beginning and the end of the season.
    #[error("the season is {stage}, or its time is over; quests count only while it is running")]
    NotRunning {
        /// Where it stands.
        stage: &'static str,
    },
    /// No proof, or none that could be kept.
    #[error("a proof is from 1 to {PROOF_BYTES_MAX} bytes of visible ASCII")]
    Proof,
    /// The account did it with another proof.
    #[error("the account has completed `{quest}` already")]
    AlreadyDone {
        /// Which quest.
        quest: Name,
    },
    /// Another account or another quest showed that proof.
    #[error("that proof was used already")]
    ProofReused,
    /// As many completed it as may.
    #[error("`{quest}` is taken: {max} accounts completed it")]
    Full {
        /// Which quest.
        quest: Name,
        /// How many may.
        max: u32,
    },
    /// No newcomer is let in.
    #[error("{ACCOUNTS_MAX} accounts take part already")]
    TooManyAccounts,
}

/// Why a season is not paid or withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeasonRefusal {
    /// There is no such season.
    #[error("there is no such season")]
    NotFound,
    /// Only a season that has not begun can be withdrawn.
    #[error("the season is {stage}; only one that has not begun can be withdrawn")]
    Begun {
        /// Where it stands.
        stage: &'static str,
    },
    /// It stands where that does not apply.
    #[error(transparent)]
    Stage(#[from] StageRefusal),
}

impl Seasons {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Plans a season. When as many are remembered as may be, the one paid longest ago is forgotten.
    ///
    /// # Errors
    /// Why it is not planned.
    pub fn plan(
        &mut self,
        id: SeasonId,
        plan: SeasonPlan,
        now: Timestamp,
        rules: &SeasonRules,
    ) -> Result<(), PlanRefusal> {
        if self.seasons.contains_key(&id) {
            return Err(PlanRefusal::IdReused);
        }
        plan.check(now, rules)?;
        let prizes = plan.prizes().ok_or(PlanRefusal::TooMuchPrize)?;
        self.total().checked_add(prizes).ok_or(PlanRefusal::TooMuchPrize)?;
        let unpaid = self.seasons.values().filter(|season| season.stage.owes_prizes()).count();
        let max = usize::from(rules.seasons_max).min(SEASONS_CEILING);
        if unpaid >= max {
            return Err(PlanRefusal::TooManySeasons { max: rules.seasons_max });
        }
        while self.seasons.len() >= max {
            self.forget_oldest();
        }
        self.seasons.insert(id, Season::new(plan));
        Ok(())
    }

    fn forget_oldest(&mut self) {
        let paid =
            self.seasons.iter().filter_map(|(id, season)| Some((season.stage.paid_at()?, *id)));
        let (_, oldest) = paid.min().expect("more are remembered than are unpaid");
        self.seasons.remove(&oldest);
    }

    /// Takes back a season that has not begun; answers the prizes that are free again.
    ///
    /// # Errors
    /// When there is none, or it has begun.
    pub fn withdraw(&mut self, id: SeasonId, now: Timestamp) -> Result<Coins, SeasonRefusal> {
        let season = self.seasons.get(&id).ok_or(SeasonRefusal::NotFound)?;
        match season.stage {
            Stage::Planned { until } if now < until => {
                let season = self.seasons.remove(&id).expect("just found");
                Ok(season.plan.prizes().expect("summed when it was planned"))
            }
            Stage::Planned { .. }
            | Stage::Running { .. }
            | Stage::Ended { .. }
            | Stage::Paid { .. } => Err(SeasonRefusal::Begun { stage: season.stage.text() }),
        }
    }

    /// The seasons that an hour belongs to, and that still take its activity.
    pub fn running_in(&self, hour: Hour, now: Timestamp) -> impl Iterator<Item = SeasonId> {
        let takes =
            move |season: &Season| season.stage.is_running(now) && season.plan.contains(hour);
        self.seasons.iter().filter(move |(_, season)| takes(season)).map(|(id, _)| *id)
    }

    /// Counts what every machine did in an hour: all of it, or nothing when any of it makes no sense.
    ///
    /// # Errors
    /// Why nothing is counted.
    pub fn record(
        &mut self,
        id: SeasonId,
        hour: Hour,
        activities: &[Activity],
        now: Timestamp,
    ) -> Result<Recorded, RecordRefusal> {
        let season = self.seasons.get_mut(&id).ok_or(RecordRefusal::NotFound)?;
        season.record(hour, activities, now)
    }

    /// Counts a quest done by an account, proved elsewhere by `proof`. Told twice is told once.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn complete(
        &mut self,
        id: SeasonId,
        quest: &Name,
        account: AccountId,
        proof: &str,
        now: Timestamp,
    ) -> Result<Completion, QuestRefusal> {
        let season = self.seasons.get_mut(&id).ok_or(QuestRefusal::NotFound)?;
        season.complete(quest, account, proof, now)
    }

    /// Ends a season for good; answers who gets what, to be paid now. What a pool could not pay is left to whoever
    /// put it up.
    ///
    /// # Errors
    /// When it has not ended, or was paid before.
    pub fn pay(&mut self, id: SeasonId, now: Timestamp) -> Result<Payout, SeasonRefusal> {
        let season = self.seasons.get_mut(&id).ok_or(SeasonRefusal::NotFound)?;
        let stage = season.stage.on(Event::Paid, now)?;
        let payout = season.payout();
        season.stage = stage;
        season.done = BTreeMap::new();
        season.proofs = BTreeSet::new();
        Ok(payout)
    }

    /// When [`Seasons::on_wake`] next has something to do.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.seasons.values().filter_map(|season| season.stage.ends_at()).min()
    }

    /// Begins and ends what is due, in the order it was due, among equals by the season's id.
    pub fn on_wake(&mut self, now: Timestamp) -> Vec<(SeasonId, Stage)> {
        let mut moved = Vec::new();
        // A season has two stages that time ends: this ends.
        while let Some(due) = self.wake_at().filter(|due| *due <= now) {
            for (id, season) in &mut self.seasons {
                if season.stage.ends_at() == Some(due) {
                    season.stage = season.after_time(due);
                    moved.push((*id, season.stage));
                }
            }
        }
        moved
    }

    /// The prizes of all seasons that are not paid: what the purse of the seasons must hold.
    pub fn total(&self) -> Coins {
        let unpaid = self.seasons.values().filter(|season| season.stage.owes_prizes());
        let prizes = unpaid.filter_map(|season| season.plan.prizes());
        prizes.fold(Coins::ZERO, |sum, prize| {
            sum.checked_add(prize).unwrap_or(Coins::from_units(u64::MAX))
        })
    }

    /// A season, unless it was never planned or is forgotten.
    pub fn season(&self, id: SeasonId) -> Option<&Season> {
        self.seasons.get(&id)
    }

    /// Every season that is remembered, in order of id.
    pub fn seasons(&self) -> impl Iterator<Item = (SeasonId, &Season)> {
        self.seasons.iter().map(|(id, season)| (*id, season))
    }
}

impl Season {
    fn new(plan: SeasonPlan) -> Self {
        let stage = Stage::Planned { until: plan.from.start() };
        Self {
            plan,
            stage,
            recorded: None,
            standings: BTreeMap::new(),
            done: BTreeMap::new(),
            proofs: BTreeSet::new(),
        }
    }

    /// What an account earned, if it takes part.
    pub fn standing(&self, account: AccountId) -> Option<Standing> {
        self.standings.get(&account).copied()
    }

    /// How many accounts take part.
    pub fn accounts(&self) -> usize {
        self.standings.len()
    }

    /// How many accounts completed a quest; zero once the season is paid.
    pub fn completions(&self, quest: &Name) -> usize {
        self.done.get(quest).map_or(0, BTreeMap::len)
    }

    /// Whether an account completed a quest; false once the season is paid.
    pub fn has_completed(&self, quest: &Name, account: AccountId) -> bool {
        self.done.get(quest).is_some_and(|done| done.contains_key(&account))
    }

    /// The stage that follows when time ends the one it is in.
    fn after_time(&self, due: Timestamp) -> Stage {
        let event = match self.stage {
            Stage::Planned { .. } => Event::Began {
                until: self.plan.until.start().after(HOUR * self.plan.closing_hours),
            },
            Stage::Running { .. } | Stage::Ended { .. } | Stage::Paid { .. } => Event::Ended,
        };
        self.stage.on(event, due).expect("time ends a planned and a running season")
    }

    fn record(
        &mut self,
        hour: Hour,
        activities: &[Activity],
        now: Timestamp,
    ) -> Result<Recorded, RecordRefusal> {
        self.check_hour(hour, now)?;
        let mut seen = BTreeSet::new();
        for activity in activities {
            let worker = activity.worker;
            let again = if seen.insert(worker) { Ok(()) } else { Err(BadActivity::Twice) };
            again
                .and_then(|()| activity.check())
                .map_err(|why| RecordRefusal::Activity { worker, why })?;
        }
        let mut recorded = Recorded { points: Points::ZERO, workers: 0 };
        for activity in activities {
            let points = self.plan.points.points(activity);
            if points > Points::ZERO {
                let standing = self.standings.entry(activity.account).or_default();
                standing.work = standing.work.plus(points);
                recorded.points = recorded.points.plus(points);
                recorded.workers += 1;
            }
        }
        self.recorded = Some(hour);
        Ok(recorded)
    }

    fn check_hour(&self, hour: Hour, now: Timestamp) -> Result<(), RecordRefusal> {
        if !self.stage.is_running(now) {
            return Err(RecordRefusal::NotRunning { stage: self.stage.text() });
        }
        if !self.plan.contains(hour) {
            return Err(RecordRefusal::OutOfSeason { hour });
        }
        if now < hour.end() {
            return Err(RecordRefusal::NotOver { hour });
        }
        match self.recorded {
            Some(latest) if hour <= latest => Err(RecordRefusal::AlreadyRecorded { latest }),
            Some(_) | None => Ok(()),
        }
    }

    fn complete(
        &mut self,
        quest: &Name,
        account: AccountId,
        proof: &str,
        now: Timestamp,
    ) -> Result<Completion, QuestRefusal> {
        let Some(asked) = self.plan.quests.get(quest) else {
            return Err(QuestRefusal::NoSuchQuest { quest: quest.clone() });
        };
        if !self.stage.is_running(now) || now >= self.plan.until.start() {
            return Err(QuestRefusal::NotRunning { stage: self.stage.text() });
        }
        let visible = proof.bytes().all(|byte| byte.is_ascii_graphic());
        if proof.is_empty() || proof.len() > PROOF_BYTES_MAX || !visible {
            return Err(QuestRefusal::Proof);
        }
        let done = self.done.get(quest);
        match done.and_then(|done| done.get(&account)) {
            Some(shown) if shown == proof => return Ok(Completion::Before),
            Some(_) => return Err(QuestRefusal::AlreadyDone { quest: quest.clone() }),
            None => {}
        }
        if self.proofs.contains(proof) {
            return Err(QuestRefusal::ProofReused);
        }
        let max = asked.completions_max;
        if done.map_or(0, BTreeMap::len) >= usize::try_from(max).unwrap_or(usize::MAX) {
            return Err(QuestRefusal::Full { quest: quest.clone(), max });
        }
        if !self.standings.contains_key(&account) && self.standings.len() >= ACCOUNTS_MAX {
            return Err(QuestRefusal::TooManyAccounts);
        }
        let points = asked.points();
        self.done.entry(quest.clone()).or_default().insert(account, proof.to_owned());
        self.proofs.insert(proof.to_owned());
        let standing = self.standings.entry(account).or_default();
        standing.quests = standing.quests.plus(points);
        Ok(Completion::Earned(points))
    }
}

#[cfg(test)]
mod tests;
