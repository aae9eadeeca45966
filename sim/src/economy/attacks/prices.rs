//! Taking machines off the market so that the others' cost more.

use control::{Actor, Command};
use units::{AccountId, ProjectId};

use super::Told;
use super::stage::{Stage, country, wanted};
use crate::economy::supplier::Class;

/// Suppliers with one machine of four cards each; each is a twentieth of the market.
const SUPPLIERS: usize = 20;
/// Renters, with one machine each.
const RENTERS: usize = 11;
/// Days of honest business.
const DAYS: u32 = 21;
/// For how many days machines are withdrawn: while the market remembers them, and when it begins to forget.
const AWAY: (u32, u32) = (2, 7);

pub(super) fn stories() -> Vec<Told> {
    [1, 2, 4, 8].map(|mine| withhold(mine, AWAY)).into()
}

/// What a card costs in the end, and at rest, when so many of the market's machines, all of one account, are withdrawn.
fn play(mine: usize, withdraws: bool, days: u32) -> (u64, u64) {
    let mut stage = Stage::new();
    let me = stage.holder("me", 100_000);
    let machine = Class::Community.machine(country());
    let rest = stage.network.control.price_of(&machine).expect("it has cards").price.units();
    let workers: Vec<_> = (0..mine).map(|_| stage.machine(me, machine.clone())).collect();
    stage.suppliers(Class::Community, SUPPLIERS - mine);
    let others: std::collections::BTreeSet<AccountId> = stage
        .network
        .control
        .workers()
        .map(|(_, worker)| worker.owner)
        .filter(|owner| *owner != me)
        .collect();
    let renters: Vec<(ProjectId, AccountId)> = (0..RENTERS)
        .map(|index| {
            let account = stage.holder(&format!("renter-{index}"), 0);
            (stage.network.open_project(account, &format!("renter-{index}")), account)
        })
        .collect();
    let hours = 24 * (DAYS + days);
    for renter in renters {
        let mut order = wanted(Class::Community, 4);
        order.filters.suppliers.clone_from(&others);
        stage.network.rent(renter, order, hours, None).expect("there are enough");
    }
    stage.hours(24 * DAYS);
    if withdraws {
        for worker in workers {
            stage.network.must(Actor::Account(me), Command::SetPaused { worker, paused: true });
        }
    }
    stage.hours(24 * days);
    let quote = stage.network.control.price_of(&machine).expect("it has cards");
    (quote.price.units(), rest)
}

pub(super) fn withhold(mine: usize, away: (u32, u32)) -> Told {
    let raised = |days| {
        let ((honest, rest), (withdrawn, _)) = (play(mine, false, days), play(mine, true, days));
        (honest, withdrawn, withdrawn.saturating_sub(honest) * 10_000 / rest)
    };
    let (honest, soon, soon_bp) = raised(away.0);
    let (_, later, later_bp) = raised(away.1);
    let bound = market::PricingRules::default().withdrawal_influence_max_bp();
    assert!(soon_bp <= bound, "{soon_bp} bp, more than {bound}");
    // Ten-thousandths of a dollar are enough to see.
    let cents = |micros: u64| format!("{}.{:02} ct", micros / 10_000, micros % 10_000 / 100);
    let percent = |bp: u64| format!("{}.{:02} %", bp / 100, bp % 100);
    let share = mine * 100 / SUPPLIERS;
    Told {
        tried: format!(
            "a supplier withdraws all its cards, {share} % of the market, for two days, and for a week"
        ),
        cost: format!("what {share} % of the market would have earned"),
        gain: format!(
            "the others' cards cost {}, {} after two days and {} after a week: {} and {} of the price at rest",
            cents(honest),
            cents(soon),
            cents(later),
            percent(soon_bp),
            percent(later_bp),
        ),
        bound: "for two days at most what the pricing rules promise, 5.84 % of the price at rest",
    }
}
