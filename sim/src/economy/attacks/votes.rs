//! Coins borrowed for a vote.

use control::{Actor, Command, ProposalRecord};
use stakes::votes::{Choice, Kind};
use units::{AccountId, Coins, ProposalId};

use super::Told;
use super::stage::{COIN, Stage};

pub(super) fn stories() -> Vec<Told> {
    vec![flash()]
}

fn stake(stage: &mut Stage, account: AccountId, coins: u64) {
    let coins = Coins::from_units(coins * COIN);
    stage.network.must(Actor::Account(account), Command::SafetyStake { account, coins });
}

fn vote(stage: &mut Stage, proposal: ProposalId, account: AccountId, choice: Choice) -> bool {
    let command = Command::Vote { proposal, account, choice };
    stage.network.tell(Actor::Account(account), command).is_ok()
}

/// Ten times the coins of everybody are staked the moment that a proposal can be voted on, and vote for it.
fn flash() -> Told {
    let mut stage = Stage::new();
    let honest = stage.holder("honest", 1_000_000);
    let raider = stage.holder("raider", 20_000_000);
    stake(&mut stage, honest, 900_000);
    stake(&mut stage, raider, 10_000);
    stage.hours(8 * 24);
    let proposal = ProposalId::from_bits(stage.network.id());
    let record = ProposalRecord {
        proposal,
        account: raider,
        title: "Lower the bar".to_owned(),
        body: "For everybody's good.".to_owned(),
        what: Kind::Parameters { patch: r#"{"stakes":{"cooldown_days":1}}"#.to_owned() },
    };
    stage.network.must(Actor::Account(raider), Command::Propose { proposal: record });
    stake(&mut stage, raider, 10_000_000);
    stage.hours(24);
    assert!(vote(&mut stage, proposal, raider, Choice::Yes), "with what it had before");
    assert!(vote(&mut stage, proposal, honest, Choice::No));
    let votes = &stage.network.control.economy().votes;
    let yes = votes.proposal(proposal).expect("it was made").tally.yes;
    let old = Coins::from_units(10_000 * COIN);
    assert!(yes <= old, "coins younger than the proposal voted: {yes}");
    stage.hours(24 * 8);
    let votes = &stage.network.control.economy().votes;
    let found = votes.proposal(proposal).expect("it was made").stage.text();
    assert_eq!(found, "defeated");
    Told {
        tried: "ten times the voting coins of everybody are staked as a proposal is made"
            .to_owned(),
        cost: "10 M IO lie still for the 14 days of the cooldown".to_owned(),
        gain: format!("none: {yes} IO voted yes, and it was {found}"),
        bound: "coins that are younger than seven days at the proposal have no vote",
    }
}
