//! Whether seasons add up, asked of them as they stand and not of how they came to be.

use std::collections::BTreeMap;

use units::{AccountId, Coins, SeasonId};

use super::points::Points;
use super::rules::SEASONS_CEILING;
use super::stage::Stage;
use super::{Season, Seasons};

/// What does not add up. Checks run in the order of these variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsound {
    /// More seasons than may be.
    #[error("{count} seasons are remembered and at most {SEASONS_CEILING} may be")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// The prizes are more than can be written down.
    #[error("the prizes of all seasons are more than can be written down")]
    Prizes,
    /// The stage ends at another time than the plan says, or the counted hours are not the plan's.
    #[error("{season} is not where its plan says")]
    Times {
        /// Which.
        season: SeasonId,
    },
    /// Points without activity, before the season began or without any counted hour.
    #[error("{season} has points it cannot have")]
    Points {
        /// Which.
        season: SeasonId,
    },
    /// Quest points are not what the completed quests earn, or a quest was completed too often.
    #[error("the quests of {season} do not add up")]
    Quests {
        /// Which.
        season: SeasonId,
    },
    /// Two completions share a proof.
    #[error("the proofs of {season} are not one for each completion")]
    Proofs {
        /// Which.
        season: SeasonId,
    },
}

impl Seasons {
    /// Whether every point of a quest was earned, every stage is the plan's and the prizes can be paid. Takes time in
    /// proportion to the accounts.
    ///
    /// # Errors
    /// The first thing that does not add up.
    pub fn audit(&self) -> Result<(), Unsound> {
        if self.seasons.len() > SEASONS_CEILING {
            return Err(Unsound::TooMany { count: self.seasons.len() });
        }
        let unpaid = self.seasons.values().filter(|season| season.stage.owes_prizes());
        let prizes = |sum: Coins, season: &Season| sum.checked_add(season.plan.prizes()?);
        if unpaid.map(Some).try_fold(Coins::ZERO, |sum, season| prizes(sum, season?)).is_none() {
            return Err(Unsound::Prizes);
        }
        self.seasons.iter().try_for_each(|(id, season)| audit_season(*id, season))
    }
}

fn audit_season(id: SeasonId, season: &Season) -> Result<(), Unsound> {
    if !season.is_on_time() {
        return Err(Unsound::Times { season: id });
    }
    let planned = matches!(season.stage, Stage::Planned { .. });
    let worked = season.standings.values().any(|standing| standing.work > Points::ZERO);
    if (planned && !season.standings.is_empty()) || (worked && season.recorded.is_none()) {
        return Err(Unsound::Points { season: id });
    }
    let completions: usize = season.done.values().map(BTreeMap::len).sum();
    let proofs_known = season.done.values().flat_map(BTreeMap::values);
    if completions != season.proofs.len()
        || !proofs_known.into_iter().all(|proof| season.proofs.contains(proof))
    {
        return Err(Unsound::Proofs { season: id });
    }
    // Once it is paid nobody remembers who did what; the points stand.
    let paid = season.stage.paid_at().is_some();
    let sound = if paid { season.done.is_empty() } else { season.has_earned_quests() };
    if sound { Ok(()) } else { Err(Unsound::Quests { season: id }) }
}

impl Season {
    fn is_on_time(&self) -> bool {
        let begins = self.plan.from.start();
        let ends = self.plan.until.start().after(units::HOUR * self.plan.closing_hours);
        let stage = match self.stage {
            Stage::Planned { until } => until == begins,
            Stage::Running { until } => until == ends,
            Stage::Ended { at } => at == ends,
            Stage::Paid { at } => at >= ends,
        };
        stage && self.recorded.is_none_or(|hour| self.plan.contains(hour))
    }

    fn has_earned_quests(&self) -> bool {
        let mut earned: BTreeMap<AccountId, Points> = BTreeMap::new();
        for (name, done) in &self.done {
            let Some(quest) = self.plan.quests.get(name) else { return false };
            if u32::try_from(done.len()).is_ok_and(|count| count > quest.completions_max) {
                return false;
            }
            for account in done.keys() {
                let points = earned.entry(*account).or_default();
                *points = points.plus(quest.points());
            }
        }
        let stands = |(account, points): (&AccountId, &Points)| {
            self.standing(*account).is_some_and(|standing| standing.quests == *points)
        };
        let unearned = |(account, standing): (&AccountId, &super::Standing)| {
            standing.quests > Points::ZERO && !earned.contains_key(account)
        };
        earned.iter().all(stands) && !self.standings.iter().any(unearned)
    }
}
