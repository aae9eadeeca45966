//! Reward programs.

use rewards::season::{Rank, Season};
use units::SeasonId;
use wire::{PoolView, QuestView, RankView, SeasonView, Time};

use super::slashing::word;

/// A season as everyone sees it.
pub(crate) fn season(id: SeasonId, season: &Season) -> SeasonView {
    let plan = &season.plan;
    let pools = plan.pools.iter().map(|(name, pool)| PoolView {
        name: name.clone(),
        prize: pool.prize,
        basis: word(&pool.basis),
    });
    let quests = plan.quests.iter().map(|(name, quest)| QuestView {
        name: name.clone(),
        title: quest.title.clone(),
        points: quest.points,
        completions: season.completions(name) as u64,
        completions_max: quest.completions_max,
    });
    SeasonView {
        id,
        title: plan.title.clone(),
        state: season.stage.text().to_owned(),
        from: plan.from,
        until: plan.until,
        paid_at: season.stage.paid_at().map(Time),
        recorded: season.recorded,
        accounts: season.accounts() as u64,
        pools: pools.collect(),
        quests: quests.collect(),
    }
}

/// A line of the leaderboard.
pub(crate) fn rank(rank: &Rank) -> RankView {
    RankView { place: rank.place as u64, account: rank.account, points: rank.points.to_string() }
}
