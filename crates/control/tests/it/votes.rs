//! What holders decide: patches, slashes and the brake; and those who would decide what is not theirs.

use std::collections::BTreeSet;

use control::{
    BrakeRecord, Command, Control, GrantRecord, Needs, Noun, ProposalRecord, Purse, Refusal, Reply,
    Subject,
};
use ledger::Holder;
use stakes::votes::{
    BallotRefusal, BrakeRefusal, Cancellation, Choice, Defeat, Kind, Lift, ProposeRefusal, Stage,
    Switch,
};
use units::{GrantId, Hour, Money, ProposalId, SlashId};

use crate::town::{Town, account, coin_purse, coins, slash, worker};

const HOUR: u64 = 60;
const DAY: u64 = 24 * HOUR;
/// From the proposal to the vote, the vote, and from there to the execution.
const TO_VOTE: u64 = DAY;
const VOTE: u64 = 7 * DAY;
const TIMELOCK: u64 = 2 * DAY;

/// Ann, Bob and Sue have 600, 300 and 100 coins in the safety module, old enough to vote; and 1,000 more each.
fn town(machines: &[u32]) -> Town {
    let mut town = Town::with(machines);
    town.now = "2025-06-15T18".parse::<Hour>().unwrap().start();
    for index in 0..machines.len() {
        town.silent(&format!("m{index}"));
    }
    let first_month = Hour::of(town.now).month();
    town.ok("operator", Command::Genesis { first_month });
    for (person, staked) in [("ann", "600"), ("bob", "300"), ("sue", "100")] {
        give(&mut town, person, staked);
        give(&mut town, person, "1000");
        stake(&mut town, person, staked);
    }
    wait(&mut town, 7 * DAY);
    town
}

fn give(town: &mut Town, whose: &str, amount: &str) {
    let money = Money::from(coins(amount));
    let (from, to) = (Purse::Treasury, Purse::Account(account(whose)));
    town.ok("operator", Command::Transfer { from, to, money });
}

fn stake(town: &mut Town, who: &str, amount: &str) {
    let (account, coins) = (account(who), coins(amount));
    town.ok(who, Command::SafetyStake { account, coins });
}

fn unstake(town: &mut Town, who: &str, amount: &str) {
    let (account, coins) = (account(who), coins(amount));
    town.ok(who, Command::SafetyUnstake { account, coins });
}

/// A long time passes: what is checked at every step is checked before and after.
fn wait(town: &mut Town, minutes: u64) {
    town.careful = false;
    town.minutes(minutes);
    town.careful = true;
    let back = Control::from_snapshot(&town.control.snapshot()).unwrap();
    assert!(back == town.control, "a snapshot is the state");
}

fn proposed(who: &str, id: u128, what: Kind) -> Command {
    let (proposal, account) = (ProposalId::from_bits(id), account(who));
    let (title, body) = ("A better network".to_owned(), "Because.".to_owned());
    Command::Propose { proposal: ProposalRecord { proposal, account, title, body, what } }
}

fn parameters(patch: &str) -> Kind {
    Kind::Parameters { patch: patch.to_owned() }
}

fn propose(town: &mut Town, who: &str, id: u128, what: Kind) {
    let told = town.tell(who, proposed(who, id, what));
    assert_eq!(told, Ok(Reply::Proposal(ProposalId::from_bits(id))));
}

fn ballot(who: &str, id: u128, choice: Choice) -> Command {
    Command::Vote { proposal: ProposalId::from_bits(id), account: account(who), choice }
}

fn veto(who: &str, id: u128) -> Command {
    Command::VetoProposal { proposal: ProposalId::from_bits(id), account: account(who) }
}

fn proposal(town: &Town, id: u128) -> &stakes::votes::Proposal {
    town.control.economy().votes.proposal(ProposalId::from_bits(id)).unwrap()
}

fn stage(town: &Town, id: u128) -> &'static str {
    proposal(town, id).stage.text()
}

/// Ann and Bob vote for what Ann proposed.
fn carried(town: &mut Town, id: u128) {
    wait(town, TO_VOTE);
    town.ok("ann", ballot("ann", id, Choice::Yes));
    town.ok("bob", ballot("bob", id, Choice::Yes));
    wait(town, VOTE);
    assert_eq!(stage(town, id), "queued");
}

fn brake(what: &[Switch], hours: u32) -> Command {
    let what: BTreeSet<Switch> = what.iter().copied().collect();
    let reason = "coins leave the wrong way".to_owned();
    Command::PullBrake { brake: BrakeRecord { what, reason, by: account("bob"), hours } }
}

#[test]
fn a_patch_that_is_voted_through_takes_effect_with_the_next_hour() {
    let mut town = town(&[]);
    let what = parameters(r#"{ "stakes": {"wait_days": 5, "cooldown_days": 10} }"#);
    propose(&mut town, "ann", 1, what);
    let canonical = r#"{"stakes":{"cooldown_days":10,"wait_days":5}}"#;
    assert_eq!(proposal(&town, 1).kind.patch(), Some(canonical));
    assert!(town.tell("ann", ballot("ann", 1, Choice::Yes)).is_err(), "a day to read it");
    wait(&mut town, TO_VOTE);
    town.ok("sue", ballot("sue", 1, Choice::No));
    town.ok("ann", ballot("ann", 1, Choice::Yes));
    assert_eq!(proposal(&town, 1).tally.yes, coins("600"));
    wait(&mut town, VOTE + TIMELOCK - 1);
    assert_eq!(stage(&town, 1), "queued");
    town.effects.clear();
    town.minutes(1);
    assert_eq!(stage(&town, 1), "executed");
    let moved = Subject::ProposalStage(ProposalId::from_bits(1));
    assert!(town.effects.contains(&control::Effect::Changed(moved)));
    assert_eq!(town.control.parameters().stakes.cooldown_days, 14);
    wait(&mut town, HOUR);
    assert_eq!(town.control.parameters().stakes.cooldown_days, 10);
    assert_eq!(town.control.version().patch, canonical);
}

#[test]
fn what_is_proposed_must_make_sense_today() {
    let mut town = town(&[]);
    let mut refused = |what| match town.tell("ann", proposed("ann", 1, what)) {
        Err(Refusal::Invalid { field: "patch", why }) => why,
        other => panic!("{other:?}"),
    };
    let why = refused(parameters(r#"{"votes":{"brake_hours_max":336}}"#));
    assert!(why.contains("a brake would let every change expire"), "{why}");
    refused(parameters("[]"));
    refused(parameters(r#"{"stakes":"#));
    refused(parameters(r#"{"no_such_group":{}}"#));
    for patch in [r#"{"stakes":{"wait_days":5}}"#, r#"{"registry":{},"stakes":{}}"#, "{}"] {
        let why = refused(Kind::Registry { patch: patch.to_owned() });
        assert!(why.starts_with("a patch of the registry alone"), "{why}");
    }
    let unknown = Kind::AppealJury { slash: SlashId::from_bits(1) };
    let refused = town.tell("ann", proposed("ann", 1, unknown));
    assert_eq!(refused, Err(Refusal::NotFound(Noun::Slash)));
}

#[test]
fn the_registry_is_changed_by_a_plain_majority() {
    let mut town = town(&[]);
    let patch = r#"{"registry":{"models":{"dollar-1":{"listed":false}}}}"#.to_owned();
    propose(&mut town, "ann", 1, Kind::Registry { patch });
    wait(&mut town, TO_VOTE);
    // 600 of 1,000: more than half, and not more than the 60 % that other parameters take.
    town.ok("ann", ballot("ann", 1, Choice::Yes));
    town.ok("bob", ballot("bob", 1, Choice::No));
    town.ok("sue", ballot("sue", 1, Choice::No));
    wait(&mut town, VOTE + TIMELOCK + HOUR);
    assert_eq!(stage(&town, 1), "executed");
    assert!(!town.control.parameters().registry.find("Dollar 1").unwrap().listed);
    propose(&mut town, "ann", 2, parameters(r#"{"stakes":{"wait_days":5}}"#));
    wait(&mut town, TO_VOTE);
    town.ok("ann", ballot("ann", 2, Choice::Yes));
    town.ok("bob", ballot("bob", 2, Choice::No));
    town.ok("sue", ballot("sue", 2, Choice::No));
    wait(&mut town, VOTE);
    let why = |stage: &Stage| matches!(stage, Stage::Defeated { why: Defeat::Outvoted, .. });
    assert!(why(&proposal(&town, 2).stage));
}

#[test]
fn coins_that_came_for_the_vote_have_none() {
    let mut town = town(&[]);
    give(&mut town, "bob", "1000000");
    stake(&mut town, "bob", "1000000");
    propose(&mut town, "ann", 1, parameters(r#"{"stakes":{"wait_days":5}}"#));
    assert_eq!(proposal(&town, 1).terms.total, coins("1000"));
    unstake(&mut town, "bob", "1000000");
    wait(&mut town, TO_VOTE);
    town.ok("bob", ballot("bob", 1, Choice::No));
    assert_eq!(proposal(&town, 1).tally.no, coins("300"));
    // Who comes with coins afterwards has no seat, however old they get.
    let eve = account("eve");
    let name = crate::town::name("eve");
    town.ok("operator", Command::OpenAccount { account: eve, name, email: None });
    give(&mut town, "eve", "1000000");
    stake(&mut town, "eve", "1000000");
    wait(&mut town, 6 * DAY);
    let refused = town.tell("eve", ballot("eve", 1, Choice::No));
    assert_eq!(refused, Err(Refusal::Ballot(BallotRefusal::NoPower)));
    let refused = town.tell("eve", proposed("eve", 2, Kind::Text));
    assert!(
        matches!(refused, Err(Refusal::Propose(ProposeRefusal::TooLittlePower { .. }))),
        "{refused:?}"
    );
}

#[test]
fn nobody_votes_for_another() {
    let mut town = town(&[]);
    propose(&mut town, "ann", 1, Kind::Text);
    wait(&mut town, TO_VOTE);
    let own = Err(Refusal::Forbidden(Needs::Self_));
    for command in [
        ballot("ann", 1, Choice::No),
        veto("ann", 1),
        Command::CancelProposal { proposal: ProposalId::from_bits(1), account: account("ann") },
        Command::Delegate { account: account("ann"), to: Some(account("bob")) },
        Command::VetoBrake { account: account("ann") },
        proposed("ann", 2, Kind::Text),
    ] {
        for who in ["operator", "bob", "clock", "m0"] {
            assert_eq!(town.tell(who, command.clone()), own, "{who}: {command:?}");
        }
    }
    assert!(town.tell("ann", brake(&[Switch::Claims], 1)).is_err(), "the operator's");
    assert!(town.tell("ann", Command::LiftBrake {}).is_err(), "the operator's");
    let cancel =
        Command::CancelProposal { proposal: ProposalId::from_bits(1), account: account("bob") };
    assert!(town.tell("bob", cancel).is_err(), "only the proposer");
    let unknown = town.tell("ann", ballot("ann", 7, Choice::No));
    assert_eq!(unknown, Err(Refusal::NotFound(Noun::Proposal)));
    let again = town.tell("ann", proposed("ann", 1, Kind::Text));
    assert_eq!(again, Err(Refusal::Exists(Noun::Proposal)));
}

#[test]
fn a_proposer_who_leaves_takes_the_proposal_along_until_it_is_voted_through() {
    let mut town = town(&[]);
    let why = |town: &Town, id| {
        let Stage::Cancelled { why, .. } = proposal(town, id).stage else { return None };
        Some(why)
    };
    propose(&mut town, "sue", 1, Kind::Text);
    unstake(&mut town, "sue", "50");
    assert_eq!(stage(&town, 1), "pending", "fifty are enough");
    unstake(&mut town, "sue", "49");
    assert_eq!(why(&town, 1), Some(Cancellation::PowerLost));
    propose(&mut town, "ann", 2, parameters(r#"{"stakes":{"wait_days":5}}"#));
    carried(&mut town, 2);
    unstake(&mut town, "ann", "600");
    wait(&mut town, TIMELOCK);
    assert_eq!(stage(&town, 2), "executed");
    propose(&mut town, "bob", 3, Kind::Text);
    let cancel =
        Command::CancelProposal { proposal: ProposalId::from_bits(3), account: account("bob") };
    town.ok("bob", cancel);
    assert_eq!(why(&town, 3), Some(Cancellation::ByProposer));
}

#[test]
fn a_machine_that_is_unstaked_or_slashed_takes_its_owners_proposal_along() {
    for slashed in [false, true] {
        let mut town = town(&[1]);
        town.ok("sue", Command::Stake { worker: worker("m0"), coins: coins("200") });
        wait(&mut town, 7 * DAY);
        unstake(&mut town, "sue", "100");
        propose(&mut town, "sue", 1, Kind::Text);
        let command = if slashed {
            town.ok("operator", slash(&town, 1, 1));
            // What is left of it after a slash of half is more than proposing takes.
            assert_eq!(stage(&town, 1), "pending");
            let (account, worker) = (account("sue"), worker("m0"));
            Command::Unstake { account, worker }
        } else {
            let (account, worker, coins) = (account("sue"), worker("m0"), coins("1"));
            Command::WithdrawOverflow { account, worker, coins, unstake: true }
        };
        town.ok("sue", command);
        assert_eq!(stage(&town, 1), "cancelled");
    }
}

#[test]
fn a_delegate_votes_for_others_until_they_do() {
    let mut town = town(&[]);
    let delegate =
        |to: Option<&str>| Command::Delegate { account: account("bob"), to: to.map(account) };
    assert!(town.tell("bob", delegate(Some("bob"))).is_err());
    assert!(town.tell("bob", delegate(None)).is_err());
    let nobody = town.tell("bob", delegate(Some("zoe")));
    assert_eq!(nobody, Err(Refusal::NotFound(Noun::Account)));
    town.ok("bob", delegate(Some("sue")));
    propose(&mut town, "ann", 1, Kind::Text);
    town.ok("bob", delegate(None));
    wait(&mut town, TO_VOTE);
    town.ok("sue", ballot("sue", 1, Choice::Yes));
    assert_eq!(proposal(&town, 1).tally.yes, coins("400"));
    town.ok("bob", ballot("bob", 1, Choice::No));
    let tally = proposal(&town, 1).tally;
    assert_eq!((tally.yes, tally.no), (coins("100"), coins("300")));
}

#[test]
fn a_third_of_all_power_stops_what_is_voted_through() {
    let mut town = town(&[]);
    propose(&mut town, "ann", 1, parameters(r#"{"stakes":{"wait_days":5}}"#));
    carried(&mut town, 1);
    town.ok("bob", veto("bob", 1));
    assert_eq!(stage(&town, 1), "queued");
    assert!(town.tell("bob", veto("bob", 1)).is_err(), "once");
    town.ok("sue", veto("sue", 1));
    assert_eq!(stage(&town, 1), "vetoed");
    wait(&mut town, TIMELOCK + HOUR);
    assert_eq!(town.control.parameters().stakes.wait_days, 7);
}

#[test]
fn a_patch_that_no_longer_fits_fails_and_says_why() {
    let mut town = town(&[]);
    propose(&mut town, "ann", 1, parameters(r#"{"votes":{"threshold_bp":5500}}"#));
    carried(&mut town, 1);
    town.patch(r#"{"votes":{"supermajority_bp":5400}}"#);
    wait(&mut town, TIMELOCK);
    let Stage::Failed { why, .. } = &proposal(&town, 1).stage else { panic!("it fails") };
    assert_eq!(
        why,
        "patch: votes: supermajority_bp is below threshold_bp; raise it or lower the other"
    );
    assert_eq!(town.control.parameters().votes.threshold_bp, 5_000);
}

#[test]
fn a_version_that_waits_already_comes_first() {
    let mut town = town(&[]);
    propose(&mut town, "ann", 1, parameters(r#"{"stakes":{"wait_days":5}}"#));
    carried(&mut town, 1);
    let later = Hour::of(town.now).later(100);
    let patch = r#"{"stakes":{"wait_days":6}}"#.to_owned();
    town.ok("operator", Command::SetParameters { patch, from: Some(later) });
    wait(&mut town, TIMELOCK + HOUR);
    assert_eq!(stage(&town, 1), "executed");
    assert_eq!(town.control.parameters().stakes.wait_days, 7);
    wait(&mut town, 100 * HOUR);
    assert_eq!(town.control.parameters().stakes.wait_days, 5);
}

#[test]
fn a_jury_of_the_others_overturns_a_slash_to_the_unit() {
    let mut town = town(&[1]);
    town.ok("sue", Command::Stake { worker: worker("m0"), coins: coins("200") });
    town.up("m0");
    wait(&mut town, 7 * DAY);
    town.silent("m0");
    wait(&mut town, 2 * HOUR);
    let holdings = |town: &Town| {
        let economy = town.control.economy();
        let need = coins("200");
        let rules = &town.control.parameters().stakes;
        let view = economy.stakes.view(worker("m0"), need, town.now, rules);
        let earned = economy.accruals.account_total(account("sue"));
        (view, earned, coin_purse(town, Holder::Stakes), coin_purse(town, Holder::Rewards))
    };
    let before = holdings(&town);
    town.ok("operator", slash(&town, 1, 1));
    assert_ne!(holdings(&town), before);
    let jury = || Kind::AppealJury { slash: SlashId::from_bits(1) };
    // Sue has votes in the safety module, and none in her own case.
    let refused = town.tell("sue", proposed("sue", 1, jury()));
    assert!(
        matches!(refused, Err(Refusal::Propose(ProposeRefusal::TooLittlePowerForJury { .. }))),
        "{refused:?}"
    );
    propose(&mut town, "ann", 1, jury());
    assert_eq!(proposal(&town, 1).terms.total, coins("900"));
    let refused = town.tell("bob", proposed("bob", 2, jury()));
    assert!(matches!(refused, Err(Refusal::Propose(ProposeRefusal::AlreadyAsked { .. }))));
    wait(&mut town, TO_VOTE);
    let refused = town.tell("sue", ballot("sue", 1, Choice::Yes));
    assert_eq!(refused, Err(Refusal::Ballot(BallotRefusal::NoPower)));
    town.ok("ann", ballot("ann", 1, Choice::Yes));
    town.ok("bob", ballot("bob", 1, Choice::No));
    wait(&mut town, VOTE + TIMELOCK);
    assert_eq!(stage(&town, 1), "executed");
    assert_eq!(holdings(&town), before);
    let of = town.control.economy().stakes.slash(SlashId::from_bits(1)).unwrap();
    assert_eq!(of.statements.last().unwrap().text, format!("holders overturned it: {}", id(1)));
    let refused = town.tell("ann", proposed("ann", 3, jury()));
    assert_eq!(refused.unwrap_err().to_string(), "the slash is overturned");
}

fn id(id: u128) -> ProposalId {
    ProposalId::from_bits(id)
}

#[test]
fn the_accused_has_no_vote_that_others_lent_in_a_jury_about_him() {
    let mut town = town(&[1]);
    town.ok("sue", Command::Stake { worker: worker("m0"), coins: coins("200") });
    town.ok("bob", Command::Delegate { account: account("bob"), to: Some(account("sue")) });
    wait(&mut town, 7 * DAY);
    town.ok("operator", slash(&town, 1, 1));
    propose(&mut town, "ann", 1, Kind::AppealJury { slash: SlashId::from_bits(1) });
    propose(&mut town, "bob", 2, Kind::Text);
    assert_eq!(proposal(&town, 1).terms.total, coins("600"), "Ann alone is the jury");
    assert!(proposal(&town, 1).seat(account("sue")).is_none());
    wait(&mut town, TO_VOTE);
    for who in ["sue", "bob"] {
        let refused = town.tell(who, ballot(who, 1, Choice::Yes));
        assert_eq!(refused, Err(Refusal::Ballot(BallotRefusal::NoPower)), "{who}");
        let refused = town.tell(who, veto(who, 1));
        assert_eq!(refused, Err(Refusal::Ballot(BallotRefusal::NoPower)), "{who}");
    }
    town.ok("sue", ballot("sue", 2, Choice::Yes));
    let lent = proposal(&town, 2).seat(account("sue")).unwrap().entrusted;
    assert_eq!(lent, coins("300"), "in what is not about her she votes for Bob");
}

#[test]
fn a_jury_that_comes_too_late_fails_and_says_why() {
    let mut town = town(&[1]);
    town.ok("sue", Command::Stake { worker: worker("m0"), coins: coins("200") });
    town.ok("operator", slash(&town, 1, 1));
    propose(&mut town, "ann", 1, Kind::AppealJury { slash: SlashId::from_bits(1) });
    carried(&mut town, 1);
    let judge =
        Command::Judge { slash: SlashId::from_bits(1), uphold: false, reason: "sorry".to_owned() };
    town.ok("operator", judge);
    wait(&mut town, TIMELOCK);
    let Stage::Failed { why, .. } = &proposal(&town, 1).stage else { panic!("it fails") };
    assert_eq!(why, "the slash is overturned");
}

#[test]
fn the_brake_stops_what_it_names_and_nothing_else() {
    let mut town = town(&[2]);
    town.up("m0");
    town.ok("sue", Command::Stake { worker: worker("m0"), coins: coins("500") });
    let grant = GrantId::from_bits(1);
    let record = GrantRecord {
        grant,
        account: account("bob"),
        class: "seed".to_owned(),
        coins: coins("240"),
    };
    town.ok("operator", Command::OpenGrant { grant: record });
    town.quote("ann", "a", 1).unwrap();
    let (sue, ann, m0) = (account("sue"), account("ann"), worker("m0"));
    let money = Money::from(coins("5"));
    let slashed = slash(&town, 1, 1);
    let rows = [
        ("ann", Switch::Claims, claim("ann")),
        ("bob", Switch::Claims, Command::ClaimGrant { grant }),
        ("ann", Switch::Claims, Command::SafetyClaim { account: ann }),
        ("ann", Switch::NewRentals, rent("a")),
        ("sue", Switch::Withdrawals, Command::Withdraw { account: sue, money, to: "8".to_owned() }),
        ("sue", Switch::Withdrawals, Command::WithdrawStake { account: sue, worker: m0 }),
        ("sue", Switch::Withdrawals, Command::SafetyWithdraw { account: sue }),
        ("sue", Switch::Withdrawals, overflow()),
        ("operator", Switch::Slashing, slashed),
        ("operator", Switch::ParameterChanges, patch(r#"{"stakes":{"wait_days":5}}"#)),
    ];
    for what in Switch::ALL {
        let mut town = town_again(&town);
        town.ok("operator", brake(&[*what], 72));
        let until = town.control.economy().votes.brake_on(town.now).unwrap().until;
        for (who, switch, command) in rows.clone() {
            let braked = Err(Refusal::Braked { what: switch, until });
            let told = town.tell(who, command.clone());
            assert_eq!(told == braked, switch == *what, "{what:?}: {command:?}: {told:?}");
        }
        let told = town.quote("bob", "b", 1);
        assert_eq!(told.is_err(), *what == Switch::NewRentals);
    }
}

fn claim(who: &str) -> Command {
    Command::ClaimRewards { account: account(who), wanted: rewards::accruals::Wanted::All }
}

fn rent(of: &str) -> Command {
    let (rental, name) = (crate::town::rental(of), crate::town::name(of));
    Command::Rent { rental, name, may_wait: true }
}

fn overflow() -> Command {
    let (account, worker, coins) = (account("sue"), worker("m0"), coins("1"));
    Command::WithdrawOverflow { account, worker, coins, unstake: false }
}

fn patch(patch: &str) -> Command {
    Command::SetParameters { patch: patch.to_owned(), from: None }
}

/// The same town once more, to try something else in it.
fn town_again(town: &Town) -> Town {
    Town {
        control: town.control.clone(),
        now: town.now,
        journal: town.journal.clone(),
        effects: Vec::new(),
        told: town.told,
        careful: false,
    }
}

#[test]
fn a_brake_ends_by_itself_and_cannot_be_renewed() {
    let mut town = town(&[]);
    let withdraw = || {
        let (account, money) = (account("ann"), Money::from(coins("5")));
        Command::Withdraw { account, money, to: "8tvk…".to_owned() }
    };
    let all = || brake(Switch::ALL, 72);
    assert!(town.tell("operator", brake(Switch::ALL, 73)).is_err());
    town.ok("operator", all());
    let refused = town.tell("ann", withdraw()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the emergency brake stops withdrawals until 2025-06-25 18:00 UTC: try again then"
    );
    let refused = town.tell("operator", all());
    assert_eq!(refused, Err(Refusal::Brake(BrakeRefusal::AlreadyOn)));
    wait(&mut town, 72 * HOUR);
    town.ok("ann", withdraw());
    let lifted = town.control.economy().votes.brakes().next().unwrap().lifted.unwrap();
    assert_eq!((lifted.at, lifted.why), (town.now, Lift::Elapsed));
    let refused = town.tell("operator", all());
    assert!(matches!(refused, Err(Refusal::Brake(BrakeRefusal::Resting { .. }))), "{refused:?}");
    wait(&mut town, 7 * DAY);
    town.ok("operator", all());
    town.ok("operator", Command::LiftBrake {});
    town.ok("ann", withdraw());
    // Letting go and pulling again is renewing it, too.
    assert!(town.tell("operator", all()).is_err());
}

#[test]
fn holders_lift_a_brake() {
    let mut town = town(&[]);
    town.ok("operator", brake(Switch::ALL, 72));
    assert!(town.tell("ann", claim("ann")).is_err());
    town.effects.clear();
    town.ok("sue", Command::VetoBrake { account: account("sue") });
    assert!(town.effects.contains(&control::Effect::Changed(Subject::Brake)));
    let votes = &town.control.economy().votes;
    assert_eq!(votes.brakes().next().unwrap().lifted.unwrap().why, Lift::Holders);
    assert_eq!(votes.brake_on(town.now), None);
}

#[test]
fn what_was_decided_waits_for_the_brake() {
    let mut town = town(&[]);
    propose(&mut town, "ann", 1, parameters(r#"{"stakes":{"wait_days":5}}"#));
    carried(&mut town, 1);
    wait(&mut town, TIMELOCK - HOUR);
    town.ok("operator", brake(&[Switch::ParameterChanges], 72));
    wait(&mut town, 72 * HOUR - 1);
    assert_eq!(stage(&town, 1), "queued");
    wait(&mut town, 1);
    assert_eq!(stage(&town, 1), "executed");
    wait(&mut town, HOUR);
    assert_eq!(town.control.parameters().stakes.wait_days, 5);
}

#[test]
fn nothing_is_burned_while_slashing_is_stopped() {
    let mut town = town(&[1]);
    town.ok("sue", Command::Stake { worker: worker("m0"), coins: coins("200") });
    town.ok("operator", slash(&town, 1, 1));
    let locked = town.control.economy().stakes.slash(SlashId::from_bits(1)).unwrap().locked();
    wait(&mut town, 30 * DAY - HOUR);
    town.ok("operator", brake(&[Switch::Slashing], 72));
    let judge = |uphold| Command::Judge {
        slash: SlashId::from_bits(1),
        uphold,
        reason: "as it is".to_owned(),
    };
    assert!(matches!(town.tell("operator", judge(true)), Err(Refusal::Braked { .. })));
    let mut other = town_again(&town);
    wait(&mut town, 71 * HOUR);
    assert_eq!(coin_purse(&town, Holder::Burned), "0.00000000");
    wait(&mut town, HOUR);
    assert_eq!(coin_purse(&town, Holder::Burned), locked.to_string());
    // In time, it can be given back.
    wait(&mut other, 71 * HOUR);
    other.ok("operator", judge(false));
    wait(&mut other, HOUR);
    assert_eq!(coin_purse(&other, Holder::Burned), "0.00000000");
}
