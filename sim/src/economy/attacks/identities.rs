//! One supplier who says he is many.

use units::{AccountId, WorkerId};

use super::Told;
use super::stage::{Stage, coins, country, percent};
use crate::economy::supplier::Class;

/// How long each is played: a day of hours that pay.
const HOURS: u32 = 30;

pub(super) fn stories() -> Vec<Told> {
    vec![
        accounts(),
        machines(Class::Enterprise, None),
        machines(Class::Community, Some("NVIDIA L4")),
    ]
}

/// What somebody with four machines earns, under one account or four.
fn with_accounts(count: usize) -> u128 {
    let mut stage = Stage::new();
    stage.suppliers(Class::Enterprise, 6);
    let mine: Vec<AccountId> =
        (0..count).map(|index| stage.holder(&format!("me-{index}"), 100_000)).collect();
    for index in 0..4 {
        stage.machine(mine[index % count], Class::Enterprise.machine(country()));
    }
    stage.hours(HOURS);
    stage.settle();
    mine.iter().map(|account| stage.earned(*account)).sum()
}

fn accounts() -> Told {
    let (one, four) = (with_accounts(1), with_accounts(4));
    let off = one.abs_diff(four);
    // What does not divide goes to machines by their ids, a unit each and hour.
    assert!(off <= u128::from(4 * HOURS), "accounts matter: {one} and {four}");
    Told {
        tried: "four machines under four accounts instead of one".to_owned(),
        cost: "three more accounts".to_owned(),
        gain: format!("{off} units of {}", coins(one)),
        bound: "at most one unit a machine and hour",
    }
}

/// What eight cards earn in one machine, or as eight.
fn with_machines(class: Class, model: Option<&str>, count: u32) -> (u128, u64) {
    let mut stage = Stage::new();
    stage.suppliers(class, 6);
    let mine = stage.holder("me", 100_000);
    let mut machine = class.machine(country());
    machine.gpu_model = model.or(class.model()).map(|name| name.parse().expect("a short name"));
    machine.offers.gpus = 8 / count;
    let workers: Vec<WorkerId> = (0..count).map(|_| stage.machine(mine, machine.clone())).collect();
    let staked = workers.iter().map(|worker| stage.stake_of(*worker).units()).sum();
    stage.hours(HOURS);
    stage.settle();
    (stage.earned(mine), staked)
}

fn machines(class: Class, model: Option<&'static str>) -> Told {
    let ((one, stake_one), (eight, stake_eight)) =
        (with_machines(class, model, 1), with_machines(class, model, 8));
    assert_eq!(stake_one, stake_eight, "as much is staked");
    let gain = eight.saturating_sub(one);
    assert!(gain * 100 <= one * 3, "a connection is worth {gain} of {one}");
    Told {
        tried: format!(
            "eight {} as eight machines instead of one, so that the points for a connection count eight times",
            model.or(class.model()).unwrap_or_default()
        ),
        cost: "seven more machines that must be up and prove their work; the same stake".to_owned(),
        gain: format!("{} of {} ({})", coins(gain), coins(one), percent(gain, one)),
        bound: "at most 3 %, for the weakest card there is",
    }
}
