//! Versions of the parameters: which of them an hour is judged by, and how one that waits is taken back.

use control::{Command, Effect, Needs, ProposalRecord, Purse, Refusal, Subject};
use stakes::votes::{Choice, Kind, Switch};
use units::{Hour, Money, ProposalId};

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

fn withdraw(town: &mut Town, who: &str, version: u32) -> Result<(), Refusal> {
    town.tell(who, Command::WithdrawVersion { version }).map(|_| ())
}

fn why(told: Result<(), Refusal>) -> String {
    match told {
        Err(Refusal::Invalid { field: "version", why }) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_version_that_waits_is_withdrawn_by_who_told_it() {
    let mut town = Town::new();
    let hour = Hour::of(town.now);
    let now = town.control.version().number;
    let days = |days: u32| format!(r#"{{"stakes":{{"wait_days":{days}}}}}"#);
    tell_version(&mut town, &days(5), hour.later(700));
    tell_version(&mut town, &days(6), hour.later(701));
    let told = withdraw(&mut town, "ann", now + 2);
    assert_eq!(told, Err(Refusal::Forbidden(Needs::Operator)));
    let told = why(withdraw(&mut town, "operator", now + 1));
    assert_eq!(told, format!("version {} rests on it: withdraw that first", now + 2));
    for version in [now, now + 3] {
        let told = why(withdraw(&mut town, "operator", version));
        let expected = "is not one that waits: tell a new version, which changes it back";
        assert_eq!(told, format!("version {version} {expected}"));
    }
    town.effects.clear();
    withdraw(&mut town, "operator", now + 2).unwrap();
    withdraw(&mut town, "operator", now + 1).unwrap();
    assert!(town.effects.contains(&Effect::Changed(Subject::Parameters(now + 1))));
    // What waited for a month no longer holds up what is told for tomorrow.
    tell_version(&mut town, &days(8), hour.later(24));
    town.careful = false;
    town.minutes(701 * 60);
    let version = town.control.version();
    assert_eq!((version.number, version.parameters.stakes.wait_days), (now + 1, 8));
}

#[test]
fn a_version_whose_hour_came_while_everybody_slept_is_not_withdrawn() {
    let mut town = Town::new();
    let (hour, number) = (Hour::of(town.now), town.control.version().number + 1);
    tell_version(&mut town, r#"{"stakes":{"wait_days":5}}"#, hour.next());
    town.now = hour.next().start();
    let told = why(withdraw(&mut town, "operator", number));
    assert!(told.starts_with(&format!("version {number} is not one that waits")), "{told}");
}

#[test]
fn a_version_is_withdrawn_under_the_brake_too() {
    let mut town = Town::new();
    let next = Hour::of(town.now).next();
    let before = town.control.version().clone();
    tell_version(&mut town, r#"{"stakes":{"wait_days":5}}"#, next);
    let what = [Switch::ParameterChanges].into();
    let brake = control::BrakeRecord {
        what,
        reason: "a wrong number".to_owned(),
        by: account("bob"),
        hours: 2,
    };
    town.ok("operator", Command::PullBrake { brake });
    withdraw(&mut town, "operator", before.number + 1).unwrap();
    town.minutes(120);
    assert_eq!(*town.control.version(), before);
}

#[test]
fn what_holders_decided_is_not_the_operators_to_withdraw() {
    let mut town = earning();
    town.careful = false;
    let (ann, id) = (account("ann"), ProposalId::from_bits(1));
    let money = Money::from(coins("1000"));
    town.ok(
        "operator",
        Command::Transfer { from: Purse::Treasury, to: Purse::Account(ann), money },
    );
    town.ok("ann", Command::SafetyStake { account: ann, coins: coins("1000") });
    town.minutes(7 * 24 * 60);
    let what = Kind::Parameters { patch: r#"{"stakes":{"wait_days":5}}"#.to_owned() };
    let (title, body) = ("Leave sooner".to_owned(), String::new());
    let proposal = ProposalRecord { proposal: id, account: ann, title, body, what };
    town.ok("ann", Command::Propose { proposal });
    town.minutes(24 * 60);
    town.ok("ann", Command::Vote { proposal: id, account: ann, choice: Choice::Yes });
    town.minutes(9 * 24 * 60);
    let waits = town.control.versions_waiting().last().unwrap().clone();
    assert_eq!(waits.decided_by, Some(id));
    let told = why(withdraw(&mut town, "operator", waits.number));
    assert_eq!(told, format!("holders decided it in {id}: only another vote undoes it"));
    town.minutes(60);
    assert_eq!(town.control.parameters().stakes.wait_days, 5);
}
