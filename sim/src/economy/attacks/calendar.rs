//! The edges of months, a leap day, and a brain that slept.

use control::{Actor, Command};
use units::{Hour, Month, Timestamp};

use super::Told;
use super::stage::{COIN, Stage};
use crate::economy::supplier::Class;

pub(super) fn stories() -> Vec<Told> {
    let mut all = short();
    all.push(leap(2100, 28));
    all
}

/// Those that are told in a moment.
pub(super) fn short() -> Vec<Told> {
    vec![leap(2028, 29), slept()]
}

/// Plays January to March of a year: the watch sees to it that no hour is skipped or paid twice.
fn leap(year: u16, days: u32) -> Told {
    let january = Month::new(year, 1).expect("a year of the calendar");
    let mut stage = Stage::at(&january.first_hour().to_string());
    stage.suppliers(Class::Processor, 2);
    let mut months = Vec::new();
    for number in 1..=3 {
        stage.network.until(january.later(number).first_hour().start());
        stage.settle();
        let emitted = stage.network.watch.emitted;
        let block = stage.network.control.economy().blocks.closed.back().expect("hours passed");
        months.push((emitted, block.emission.units(), stage.network.watch.blocks));
    }
    let blocks = [months[0].2, months[1].2 - months[0].2, months[2].2 - months[1].2];
    assert_eq!(blocks, [744, u64::from(days) * 24, 744]);
    assert!(
        months[1].1 > months[0].1 && months[1].1 > months[2].1,
        "February's hours are the best"
    );
    let hour = |units: u64| format!("{}.{:02}", units / COIN, units % COIN / 1_000_000);
    Told {
        tried: format!("the hours of January to March {year}, with {days} days in February"),
        cost: "—".to_owned(),
        gain: format!(
            "{}, {} and {} blocks of {}, {} and {} IO",
            blocks[0],
            blocks[1],
            blocks[2],
            hour(months[0].1),
            hour(months[1].1),
            hour(months[2].1)
        ),
        bound: "every hour once; a month's blocks sum to the month",
    }
}

/// Nobody wakes the brain for three days over the end of a month.
fn slept() -> Told {
    let mut stage = Stage::at("2025-06-01T00");
    let mine = stage.suppliers(Class::Processor, 2)[0].0;
    let start: Hour = "2025-06-29T12".parse().expect("an hour, written here");
    stage.network.until(start.start());
    stage.settle();
    let (blocks, earned) = (stage.network.watch.blocks, stage.earned(mine));
    let late: Hour = "2025-07-02T12".parse().expect("an hour, written here");
    stage.network.now = Timestamp::from_millis(late.start().millis() + 120_000);
    stage.network.must(Actor::Clock, Command::Wake {});
    let closed = stage.network.watch.blocks - blocks;
    assert_eq!(closed, 72, "each hour has its block");
    let paid = stage.earned(mine) - earned;
    assert!(paid > 0, "machines that were up are paid");
    Told {
        tried: "nobody wakes the control plane for three days over the end of June".to_owned(),
        cost: "—".to_owned(),
        gain: format!("{closed} blocks are closed in one go, in order"),
        bound: "an hour may be paid late, but none is skipped and none paid twice",
    }
}
