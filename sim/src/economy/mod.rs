//! Twenty years of the network's economy, hour by hour, through the real control plane.
//!
//! A [`Town`] is a fiftieth of a network. Its people come and go by profit; its prices, blocks, stakes, grants and
//! purses are the control plane's own, and a [`Watch`] with a schedule of its own looks at every block.
//!
//! # Invariants
//! - The same seed gives the same tables and plots, byte for byte: everything is a whole number.
//! - Of all hours of the schedule none is skipped, and what they emit is the total, to the unit.
//!
//! Absent on purpose: why anybody wants a coin. What it is worth is a model, said in [`bourse`].

mod attacks;
mod bourse;
mod deeds;
mod figures;
mod holder;
mod network;
mod plot;
mod renter;
mod sample;
mod season;
mod supplier;
mod table;
mod town;
mod watch;

use units::Month;

pub use self::attacks::report as attacks;
use self::sample::Sample;
use self::town::Town;

/// What the years came to.
#[derive(Clone, Debug)]
pub struct Economy {
    seed: u64,
    months: Vec<Sample>,
    entries: u64,
    blocks: u64,
    no_rate: u64,
    unearned: u128,
    hash: u64,
}

/// Plays so many years, at most the twenty of the schedule.
///
/// # Panics
/// When something does not hold that always must: the words say what and when.
pub fn play(years: u32, seed: u64) -> Economy {
    let first = Month::new(2024, 7).expect("a month of the calendar");
    assert!(years > 0 && years * 12 <= watch::MONTHS, "from one to twenty years");
    let mut town = Town::new(seed);
    let months: Vec<Sample> = (0..years * 12).map(|month| town.month(first.later(month))).collect();
    check_end(&town, years);
    let head = town.network.control.head().hash;
    Economy {
        seed,
        months,
        entries: town.network.entries,
        blocks: town.network.watch.blocks,
        no_rate: town.no_rate,
        unearned: town.network.watch.unearned,
        hash: u64::from_be_bytes(std::array::from_fn(|index| head[index])),
    }
}

/// What must be so when the schedule is over.
fn check_end(town: &Town, years: u32) {
    let coins = town.network.supply();
    let watch = &town.network.watch;
    assert_eq!(coins.emitted, watch.emitted, "two tallies of one emission");
    let made = watch::CAP - watch::TOTAL + coins.emitted;
    assert_eq!(coins.total, made - coins.burned, "what exists is what was made and not burned");
    if years * 12 >= watch::MONTHS {
        assert_eq!(coins.emitted, watch::TOTAL, "240 months emit it all");
        assert_eq!(coins.total, watch::CAP - coins.burned);
    }
}

impl Economy {
    /// The table of years, as text.
    pub fn table(&self) -> String {
        table::years(self)
    }

    /// The files of the study by name: plots, and the table for people and for programs.
    pub fn files(&self) -> Vec<(&'static str, String)> {
        figures::files(self)
    }

    fn years(&self) -> Vec<Sample> {
        let year = |months: &[Sample]| {
            let first = months[0];
            months[1..].iter().fold(first, |sum, month| sum.then(month))
        };
        self.months.chunks(12).map(year).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_the_same_twice_and_can_be_drawn() {
        let play = || {
            let mut town = Town::new(7);
            let first = Month::new(2024, 7).expect("a month of the calendar");
            let month = town.month(first);
            (month, town.network.control.head())
        };
        let (month, head) = play();
        assert_eq!((month, head), play());
        assert!(month.coins.emitted > 0 && month.rentals() > 0);
    }

    #[test]
    fn years_sum_months_and_keep_what_stands_at_their_end() {
        let mut month = Sample { micros: 2, refused: 3, ..Sample::default() };
        month.classes[0].rentals = 5;
        let sum = month.then(&Sample { micros: 7, ..month });
        assert_eq!((sum.micros, sum.refused, sum.rentals()), (7, 6, 10));
    }
}
