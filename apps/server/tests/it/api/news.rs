//! Who hears of what: each subject's news goes to everyone whom it concerns, and to nobody else.

use serde_json::{Value, json};

use super::staking::{charge, now_without_cooldown};
use super::streams::{Event, Events};
use super::{governance, staking};
use crate::town::{Ask, Caller, Machine, Town};

/// What each of them has heard.
struct Heard {
    owner: Vec<Event>,
    co_staker: Vec<Event>,
    stranger: Vec<Event>,
    operator: Vec<Event>,
}

/// Does something, and stops the town: what everyone has heard of it.
fn hear(mut town: Town, done: impl FnOnce(&Town)) -> Heard {
    let path = format!("/v1/events?after={}.4294967295", town.journal_seq());
    let listeners: [&dyn Caller; 4] =
        [&town.supplier, &town.renter, &town.stranger, &town.operator];
    let streams = listeners.map(|who| Events::open(&town, who, &path, None));
    done(&town);
    // A server that stops ends its streams after what there is.
    town.stop();
    let [owner, co_staker, stranger, operator] = streams.map(Iterator::collect);
    Heard { owner, co_staker, stranger, operator }
}

/// A field of the views of the events of a kind, one after the other.
fn told(events: &[Event], kind: &str, field: &str) -> Vec<Value> {
    let of_kind = events.iter().filter(|event| event.kind == kind);
    of_kind.map(|event| event.data["view"].pointer(field).cloned().unwrap_or_default()).collect()
}

/// A town in which the renter has co-staked the supplier's machine, and the offer's place.
fn co_staked() -> (Town, Machine, String) {
    let (town, machine) = staking::town();
    now_without_cooldown(&town);
    let stake = format!("/v1/io-staking/devices/{}/stake", machine.worker);
    town.post(&town.supplier, &stake, &json!({ "coins": "200" })).expect(200);
    let body = json!({ "worker": machine.worker, "portion_bp": 5_000, "share_bp": 4_000 });
    let made = town.post(&town.supplier, "/v1/co-staking/offers", &body).expect(201).json();
    let place = format!("/v1/co-staking/offers/{}", made["offer"]["id"].as_str().unwrap());
    (town, machine, place)
}

fn accept(town: &Town, place: &str) {
    town.post(&town.renter, &format!("{place}/accept"), &Value::Null).expect(200);
}

#[test]
fn both_sides_of_a_co_stake_hear_its_life_from_their_side() {
    let (town, machine, place) = co_staked();
    let device = format!("/v1/io-staking/devices/{}", machine.worker);
    let heard = hear(town, |town| {
        accept(town, &place);
        town.post(&town.supplier, &format!("{device}/unstake"), &Value::Null).expect(200);
        town.post(&town.renter, &format!("{place}/withdraw"), &Value::Null).expect(200);
    });
    let life = [json!("sufficient-active"), json!("in-cooldown"), json!("withdrawn")];
    for (who, side) in [
        (&heard.owner, "owner"),
        (&heard.co_staker, "co-staker"),
        // Once, though each side was told its own.
        (&heard.operator, "owner"),
    ] {
        assert_eq!(told(who, "offer", "/offer/status"), life, "{side}");
        assert!(told(who, "offer", "/side").iter().all(|told| told == side), "{who:?}");
    }
    assert!(told(&heard.co_staker, "offer", "/earned_until")[1].is_string(), "the payout stopped");
    assert_eq!(told(&heard.co_staker, "worker", "/id"), [] as [Value; 0], "no machine of theirs");
    assert_eq!(heard.stranger, []);
}

#[test]
fn a_co_staker_hears_when_the_machine_earns_nothing_any_more() {
    let (town, machine, place) = co_staked();
    accept(&town, &place);
    let heard = hear(town, |town| {
        let path = format!("/v1/workers/{}", machine.worker);
        town.send(Ask::delete(&path).by(&town.supplier)).expect(204);
    });
    assert_eq!(told(&heard.co_staker, "offer", "/offer/device"), [""]);
    assert_eq!(heard.stranger, []);

    let (town, _machine, place) = co_staked();
    accept(&town, &place);
    // A need of twice as much is not met by what is there.
    let heard = hear(town, |town| town.patch(&json!({ "stakes": { "stake_per_unit": "800" } })));
    assert_eq!(told(&heard.co_staker, "offer", "/offer/status"), ["insufficient-active"]);
    assert_eq!(told(&heard.stranger, "offer", ""), [] as [Value; 0]);
}

#[test]
fn both_sides_of_an_appeal_hear_its_steps() {
    let (town, machine, place) = co_staked();
    accept(&town, &place);
    let mut body = charge(&town, &machine);
    body["offended_at"] = town.get(&town.renter, "/v1/users/me/co-staking").expect(200).json()
        ["items"][0]["taken_at"]
        .clone();
    let account = town.supplier.person.account.clone();
    let heard = hear(town, |town| {
        let made = town.post(&town.operator, "/v1/slashes", &body).expect(201).json();
        let place = format!("/v1/slashes/{}", made["id"].as_str().unwrap());
        let words = json!({ "text": "the clock was wrong" });
        town.post(&town.renter, &format!("{place}/appeal"), &words).expect(200);
        town.post(&town.operator, &format!("{place}/statements"), &words).expect(200);
        let decision = json!({ "uphold": true, "reason": "it was not" });
        town.post(&town.operator, &format!("{place}/decision"), &decision).expect(200);
    });
    let steps = [json!("open"), json!("appealed"), json!("appealed"), json!("upheld")];
    for who in [&heard.owner, &heard.co_staker, &heard.operator] {
        assert_eq!(told(who, "slash", "/state"), steps);
    }
    assert_ne!(told(&heard.owner, "slash", "/yours")[0], Value::Null);
    assert_ne!(told(&heard.co_staker, "slash", "/yours")[0], Value::Null);
    assert_eq!(told(&heard.operator, "slash", "/owner")[0], account.as_str());
    assert!(told(&heard.co_staker, "slash", "/owner").iter().all(Value::is_null));
    assert!(!told(&heard.co_staker, "offer", "/held").is_empty(), "and of what is left");
    assert_eq!(heard.stranger, []);
}

#[test]
fn everyone_hears_what_is_open_to_everyone() {
    let town = governance::town();
    let heard = hear(town, |town| {
        town.tell_rate("2.5");
        let place = governance::propose(town, &town.renter, &governance::patch());
        town.post(&town.renter, &format!("{place}/votes"), &json!({ "choice": "yes" })).expect(200);
        town.send(Ask::delete(&place).by(&town.renter)).expect(200);
        let body = json!({ "what": ["claims"], "reason": "a bug in payouts", "hours": 24 });
        town.post(&town.operator, "/v1/governance/brakes", &body).expect(200);
        town.send(Ask::delete("/v1/governance/brakes").by(&town.operator)).expect(200);
    });
    for who in [&heard.stranger, &heard.owner, &heard.operator] {
        assert_eq!(told(who, "rate", "/rate/usd_per_coin"), ["2.500000"]);
        assert_eq!(told(who, "brake", "/lifted_by"), [Value::Null, json!("operator")]);
        assert!(!told(who, "parameters", "/version").is_empty());
    }
    let stages = |who: &[Event]| told(who, "proposal", "/state");
    let is_open = |stage: &Value| stage == "pending" || stage == "voting";
    assert!(is_open(&stages(&heard.stranger)[0]), "{:?}", stages(&heard.stranger));
    assert_eq!(stages(&heard.stranger).last().unwrap(), "cancelled");
    let ballots = |who: &[Event]| {
        told(who, "proposal", "/voters").iter().filter(|voters| **voters == 1).count()
    };
    assert!(ballots(&heard.co_staker) > ballots(&heard.stranger), "each ballot is the proposer's");
}
