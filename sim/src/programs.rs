//! What the operator does about reward programs: plans them, takes them back, and says which quests were done.

use std::collections::BTreeMap;

use control::{Actor, Command, SeasonRecord};
use rewards::season::{Basis, PointRules, PrizePool, Quest, SeasonPlan};
use units::{Coins, Hour, Name, SeasonId};

use crate::habits::name;
use crate::people::Purpose;
use crate::world::{Due, World};

/// Quests that there are; the last is in no season.
const QUESTS: [&str; 3] = ["first-job", "ten-friends", "to-the-moon"];

impl World {
    /// Something about reward programs.
    pub(crate) fn run_programs(&mut self) {
        if !self.raining {
            return;
        }
        let later = self.dice.seconds(3, 30);
        self.agenda.at(self.now.after(later), Due::Programs);
        let known = &self.people.seasons;
        let recent = &known[known.len().saturating_sub(2)..];
        let season = self.dice.pick(recent).copied();
        match (self.dice.between(0, 9), season) {
            (0..=6, Some(season)) => self.quest(season),
            (7, Some(season)) => {
                let command = Command::WithdrawSeason { season };
                self.ask(Actor::Operator, command, Purpose::Other);
            }
            (8, Some(season)) => self.cheat(season),
            (_, _) => self.open_season(),
        }
    }

    fn quest(&mut self, season: SeasonId) {
        let account = self.any_account();
        let quest = name(self.dice.pick(&QUESTS).expect("three"));
        // Few proofs, so that some are shown again: by the same account, or by another.
        let proof = format!("tx-{}", self.dice.between(0, 12));
        let command = Command::CompleteQuest { season, quest, account, proof };
        self.ask(Actor::Operator, command, Purpose::Other);
    }

    fn open_season(&mut self) {
        let from = Hour::of(self.server_clock()).later(self.some_hours(1, 2));
        let until = from.later(self.some_hours(0, 5));
        let (uptime_weight, job_weight) = (self.some_hours(0, 3), self.some_hours(0, 5));
        // Whose connection was not measured counts too: none is here.
        let tier_none = units::Multiplier::from_hundredths(25).expect("a quarter");
        let nominated_only = self.dice.chance(400);
        let points = PointRules {
            uptime_weight,
            job_weight,
            tier_none,
            nominated_only,
            ..PointRules::default()
        };
        let plan = SeasonPlan {
            title: "ignition".to_owned(),
            from,
            until,
            closing_hours: self.some_hours(1, 3),
            points,
            pools: self.pools(),
            quests: self.quests(),
        };
        let season = SeasonId::from_bits(self.fresh_bits());
        let command = Command::OpenSeason { season: SeasonRecord { season, plan } };
        self.ask(Actor::Operator, command, Purpose::Known);
    }

    pub(crate) fn some_hours(&mut self, low: u64, high: u64) -> u32 {
        u32::try_from(self.dice.between(low, high)).expect("a small number")
    }

    fn pools(&mut self) -> BTreeMap<Name, PrizePool> {
        let mut pools = BTreeMap::new();
        for (pool, basis) in [("work", Basis::Work), ("quests", Basis::Quests), ("all", Basis::All)]
        {
            if self.dice.chance(600) {
                let prize = Coins::from_units(self.dice.between(0, 1_000_000_007));
                pools.insert(name(pool), PrizePool { prize, basis });
            }
        }
        pools
    }

    fn quests(&mut self) -> BTreeMap<Name, Quest> {
        let mut quests = BTreeMap::new();
        for quest in &QUESTS[..2] {
            let (points, completions_max) = (self.some_hours(1, 500), self.some_hours(1, 3));
            let title = "do it".to_owned();
            quests.insert(name(quest), Quest { title, points, completions_max });
        }
        quests
    }

    /// Somebody says of themselves what only the operator may say.
    fn cheat(&mut self, season: SeasonId) {
        let account = self.any_account();
        let (quest, proof) = (name(QUESTS[0]), "mine".to_owned());
        let command = if self.dice.chance(500) {
            Command::CompleteQuest { season, quest, account, proof }
        } else {
            Command::WithdrawSeason { season }
        };
        self.ask(Actor::Account(account), command, Purpose::Theft);
    }
}
