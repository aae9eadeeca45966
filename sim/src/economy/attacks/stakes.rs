//! Leaving just in time: co-stakers at the edge of an hour, and suppliers before they are slashed.

use control::{Actor, Command, Digest, OfferRecord, SlashRecord};
use stakes::{Evidence, EvidenceKind, Offence};
use units::{AccountId, Hour, OfferId, SlashId, Timestamp, WorkerId};

use super::Told;
use super::stage::{Stage, coins};
use crate::economy::supplier::Class;

pub(super) fn stories() -> Vec<Told> {
    vec![edge(), front_run()]
}

/// A stage on which somebody shares a machine's stake and four tenths of its rewards, at six hours up.
fn shared() -> (Stage, (AccountId, WorkerId), AccountId, OfferId) {
    let mut stage = Stage::new();
    let (owner, worker) = stage.suppliers(Class::Enterprise, 1)[0];
    let co = stage.holder("co", 100_000);
    let offer = OfferId::from_bits(stage.network.id());
    let record = OfferRecord { offer, worker, portion_bp: 5_000, share_bp: 4_000 };
    stage.network.must(Actor::Account(owner), Command::OfferCoStake { offer: record });
    stage.network.must(Actor::Account(co), Command::AcceptOffer { account: co, offer });
    stage.hours(8);
    (stage, (owner, worker), co, offer)
}

/// In how many whole hours a co-staker shares who leaves so many milliseconds from the start of an hour.
fn hours_shared(millis: i64) -> u128 {
    let (mut stage, _, co, offer) = shared();
    stage.settle();
    let before = stage.earned(co);
    let edge = Hour::of(stage.network.now).next().start().millis();
    let at = edge.checked_add_signed(millis).expect("after 1970");
    stage.network.until(Timestamp::from_millis(at));
    stage.network.must(Actor::Account(co), Command::LeaveOffer { account: co, offer });
    stage.hours(4);
    let block = stage.network.control.economy().blocks.closed.back().expect("hours have passed");
    let share = u128::from(block.worker_emission.share_floor(4_000).units());
    let earned = stage.earned(co) - before;
    // Blocks of a month differ by a unit at most.
    (earned + share / 2) / share
}

fn edge() -> Told {
    let (early, late) = (hours_shared(-1), hours_shared(0));
    assert_eq!((early, late), (0, 1), "only whole hours are shared");
    Told {
        tried: "a co-staker leaves a millisecond before the end of an hour, and at its end"
            .to_owned(),
        cost: "the rewards of the hour; coins lie still for 21 days".to_owned(),
        gain: format!("{early} hours shared, and {late}"),
        bound: "an hour is shared if the coins stood for all of it, and not otherwise",
    }
}

/// What a forged proof costs somebody who unstakes a minute before it is charged, or does not.
fn slashed(unstakes: bool) -> u64 {
    let mut stage = Stage::new();
    let (owner, worker) = stage.suppliers(Class::Enterprise, 1)[0];
    stage.hours(8);
    let offended_at = stage.network.now;
    if unstakes {
        let command = Command::Unstake { account: owner, worker };
        stage.network.must(Actor::Account(owner), command);
    }
    stage.settle();
    let evidence = vec![Evidence {
        kind: EvidenceKind::ProofTranscript,
        blob: Digest::from_sha256([3; 32]),
        summary: "an answer of another machine".to_owned(),
    }];
    let slash = SlashId::from_bits(stage.network.id());
    let offence = Offence::ForgedProof;
    let record = SlashRecord { slash, worker, offence, offended_at, cards: 8, evidence };
    stage.network.must(Actor::Operator, Command::Slash { slash: record });
    let locked = stage.network.control.economy().stakes.slash(slash).expect("it was told");
    locked.stake().units()
}

fn front_run() -> Told {
    let (stays, runs) = (slashed(false), slashed(true));
    assert_eq!(stays, runs, "who runs answers all the same");
    Told {
        tried: "a supplier unstakes two minutes before it is slashed".to_owned(),
        cost: "the machine earns nothing from then on".to_owned(),
        gain: format!("none: {} are locked either way", coins(u128::from(runs))),
        bound: "what cools down answers as what is staked",
    }
}
