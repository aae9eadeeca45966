//! Versions of the parameters: which of them an hour is judged by, and how one that waits is taken back.

use control::{Command, Purse};
use units::{Hour, Money};

use crate::town::{Town, account, coins, worker};

/// One machine that earns, at a full hour and a minute.
fn earning() -> Town {
    let mut town = Town::with(&[1]);
    town.now = "2025-06-15T18".parse::<Hour>().unwrap().start();
    town.silent("m0");
    let first_month = Hour::of(town.now).month();
    town.ok("operator", Command::Genesis { first_month });
    // Nothing here binds wallets, and nobody has said where rewards are to be paid.
    let all = r#"["cluster-formation","wallet","connectivity","account-wallets",
        "supplier-agreement","payout-address","proof-of-work"]"#;
    town.patch(&format!(r#"{{"checklist":{{"proof_of_work_required":true}},"exempt":{all}}}"#));
    let money = Money::from(coins("200"));
    let (from, to) = (Purse::Treasury, Purse::Account(account("sue")));
    town.ok("operator", Command::Transfer { from, to, money });
    town.ok("sue", Command::Stake { worker: worker("m0"), coins: coins("200") });
    town.up("m0");
    town.minutes(6 * 60 + 1);
    town
}

fn tell_version(town: &mut Town, patch: &str, from: Hour) {
    let patch = patch.to_owned();
    town.ok("operator", Command::SetParameters { patch, from: Some(from) });
}

/// Whether each of the last hours was earned, oldest first.
fn earned(town: &Town, hours: usize) -> Vec<bool> {
    let closed = &town.control.economy().blocks.closed;
    let last = closed.iter().skip(closed.len() - hours);
    last.map(|block| block.counts.succeeded == 1).collect()
}

/// From an hour on nobody is excused from proving work.
fn strict(town: &mut Town, from: Hour) {
    let rest = r#"{"exempt":["cluster-formation","wallet","connectivity","account-wallets",
        "supplier-agreement","payout-address"]}"#;
    tell_version(town, rest, from);
}

#[test]
fn an_hour_is_judged_by_what_excused_machines_in_it() {
    let mut town = earning();
    let next = Hour::of(town.now).next();
    strict(&mut town, next);
    town.minutes(60);
    assert_eq!(earned(&town, 1), [true], "all were excused until the hour was over");
    town.minutes(60);
    assert_eq!(earned(&town, 2), [true, false]);
}

#[test]
fn an_hour_that_is_judged_late_is_judged_by_its_own_version() {
    let mut town = earning();
    let hour = Hour::of(town.now);
    strict(&mut town, hour.later(2));
    // Nobody looks for three hours.
    town.now = hour.later(3).start().after(units::MINUTE);
    town.ok("clock", Command::Wake {});
    assert_eq!(earned(&town, 3), [true, true, false]);
    let versions: Vec<u32> =
        town.control.economy().blocks.closed.iter().map(|block| block.version).collect();
    let [.., before, strict] = versions[..] else { panic!("there are more") };
    assert_eq!(strict, before + 1);
}
