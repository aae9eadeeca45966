//! Who is ahead.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};
use units::AccountId;

use super::Season;
use super::plan::Basis;
use super::points::Points;

/// The longest page of a leaderboard.
pub const PAGE_MAX: usize = 1_000;

/// A line of the leaderboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rank {
    /// From 1. No two accounts share one: among equal points the lower account is ahead.
    pub place: usize,
    /// Who.
    pub account: AccountId,
    /// With how many points.
    pub points: Points,
}

impl Season {
    /// A page of the leaderboard after the first `skip` places, at most [`PAGE_MAX`] long. Accounts without points
    /// have no place.
    pub fn leaderboard(&self, basis: Basis, skip: usize, count: usize) -> Vec<Rank> {
        let mut lines: Vec<_> = self.placed(basis).collect();
        lines.sort_unstable();
        let page = lines.into_iter().enumerate().skip(skip).take(count.min(PAGE_MAX));
        page.map(|(index, (Reverse(points), account))| Rank { place: index + 1, account, points })
            .collect()
    }

    /// Where an account stands, if it has points.
    pub fn rank(&self, basis: Basis, account: AccountId) -> Option<Rank> {
        let points = self.standing(account)?.points(basis);
        if points == Points::ZERO {
            return None;
        }
        let ahead = self.placed(basis).filter(|line| *line < (Reverse(points), account)).count();
        Some(Rank { place: ahead + 1, account, points })
    }

    /// Everybody with points, as it is compared: the first is the least.
    fn placed(&self, basis: Basis) -> impl Iterator<Item = (Reverse<Points>, AccountId)> {
        let lines = self
            .standings
            .iter()
            .map(move |(account, standing)| (Reverse(standing.points(basis)), *account));
        lines.filter(|(Reverse(points), _)| *points > Points::ZERO)
    }
}
