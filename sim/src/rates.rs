//! What a coin is worth outside, and the sources that tell of it: honest ones, liars, and those that fall silent.

use control::{Actor, Command};
use market::Reading;
use units::Timestamp;

use crate::broken::Step;
use crate::dice::Dice;
use crate::world::{Due, World};

/// How a source tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Within half a percent of the truth.
    Honest,
    /// As an honest one, when it tells anything at all.
    Silent,
    /// Anything.
    Liar,
}

/// What a coin is worth outside.
#[derive(Clone, Debug)]
pub(crate) struct Outside {
    /// Millionths of a dollar for one coin.
    worth: u64,
    sources: Vec<Source>,
    /// Whether it may double overnight.
    wild: bool,
}

impl Outside {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let kinds = [Source::Honest, Source::Honest, Source::Honest, Source::Silent, Source::Liar];
        let count = dice.index(4) + 1;
        let sources = (0..count).map(|_| *dice.pick(&kinds).expect("there are several")).collect();
        Self { worth: dice.between(20_000, 4_000_000), sources, wild: dice.chance(200) }
    }

    /// Time passes.
    fn move_on(&mut self, dice: &mut Dice) {
        let step = self.worth / 50;
        self.worth = self.worth.saturating_sub(step / 2) + dice.between(0, step.max(1));
        if self.wild && dice.once_in(10) {
            self.worth = if dice.chance(500) { self.worth * 2 } else { self.worth / 2 };
        }
        self.worth = self.worth.clamp(100, 1_000_000_000);
    }

    fn readings(&self, dice: &mut Dice, now: Timestamp) -> Vec<Reading> {
        let told = self.sources.iter().enumerate();
        told.filter_map(|(index, source)| self.reading(index, *source, dice, now)).collect()
    }

    fn reading(
        &self,
        index: usize,
        source: Source,
        dice: &mut Dice,
        now: Timestamp,
    ) -> Option<Reading> {
        let near = self.worth - self.worth / 200 + dice.between(0, self.worth / 100);
        let anything = [0, 1, self.worth / 2, self.worth + self.worth / 40, near, u64::MAX];
        let moments = [now, now, now.after(dice.millis(0, 90_000)), Timestamp::from_millis(0)];
        let (rate, at) = match source {
            Source::Honest => (near, now),
            Source::Silent if dice.chance(500) => return None,
            Source::Silent => (near, now),
            Source::Liar => (*dice.pick(&anything)?, *dice.pick(&moments)?),
        };
        Some(Reading { source: name(index, source), usd_micros_per_coin: rate, at })
    }
}

fn name(index: usize, source: Source) -> String {
    match source {
        Source::Honest | Source::Silent => format!("honest-{index}"),
        Source::Liar => format!("liar-{index}"),
    }
}

/// Whether a source of this name tells what is so.
pub(crate) fn is_honest(source: &str) -> bool {
    source.starts_with("honest")
}

impl World {
    /// The server asks its sources, now and then too early.
    pub(crate) fn tell_rates(&mut self) -> Step {
        let later = self.dice.seconds(20, 110);
        self.agenda.at(self.now.after(later), Due::Rates);
        self.outside.move_on(&mut self.dice);
        let now = self.server_clock();
        let readings = self.outside.readings(&mut self.dice, now);
        self.server_says(Actor::Clock, Command::ObserveRate { readings }).map(drop)
    }
}
