//! What the brain forgets is still there: offers, slashes and proposals of any age, in lists and one by one.

use serde_json::{Value, json};

use super::governance;
use super::staking::{charge, now_without_cooldown, town};
use crate::town::{Anonymous, Ask, Caller, Machine, Town};

/// More offers of one machine than the brain remembers.
const OFFERS: usize = 20;
/// More slashes of one machine than the brain remembers.
const SLASHES: usize = 68;

/// Every id of a list, page by page.
fn listed(town: &Town, caller: &dyn Caller, path: &str) -> Vec<String> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = town.get(caller, &format!("{path}limit=7{cursor}")).expect(200).json();
        let items = page["items"].as_array().unwrap();
        let id =
            |item: &Value| item["id"].as_str().or(item["offer"]["id"].as_str()).map(str::to_owned);
        ids.extend(items.iter().map(|item| id(item).unwrap()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
    }
}

fn offer(town: &Town, machine: &Machine) -> String {
    let body = json!({ "worker": machine.worker, "portion_bp": 5_000, "share_bp": 1_000 });
    let made = town.post(&town.supplier, "/v1/co-staking/offers", &body).expect(201).json();
    made["offer"]["id"].as_str().unwrap().to_owned()
}

fn stake(town: &Town, machine: &Machine, coins: &str) {
    let path = format!("/v1/io-staking/devices/{}/stake", machine.worker);
    town.post(&town.supplier, &path, &json!({ "coins": coins })).expect(200);
}

#[test]
fn offers_are_listed_as_long_ago_as_they_were_made() {
    let (mut town, machine) = town();
    stake(&town, &machine, "200");
    let mut made = Vec::new();
    for _ in 0..OFFERS {
        let id = offer(&town, &machine);
        let place = format!("/v1/co-staking/offers/{id}");
        town.send(Ask::delete(&place).by(&town.supplier)).expect(200);
        made.push(id);
    }
    let first = made[0].clone();
    let all = "/v1/co-staking/offers?status=closed&";
    assert_eq!(listed(&town, &Anonymous, all), made);
    assert_eq!(listed(&town, &Anonymous, &format!("{all}model=script&")), made);
    assert_eq!(listed(&town, &Anonymous, &format!("{all}number_of_gpu=8&")), [""; 0]);
    let one = town.get(&Anonymous, &format!("/v1/co-staking/offers/{first}")).expect(200);
    assert_eq!(one.json()["status"], "closed");
    assert!(!one.text().contains("acc_"), "{}", one.text());
    made.reverse();
    let mine = "/v1/users/me/co-staking";
    assert_eq!(listed(&town, &town.supplier, &format!("{mine}?")), made);
    assert_eq!(listed(&town, &town.operator, &format!("{mine}?")), made);
    assert_eq!(listed(&town, &town.renter, &format!("{mine}?")), [""; 0]);
    let old = format!("{mine}/{first}");
    assert_eq!(town.get(&town.supplier, &old).expect(200).json()["side"], "owner");
    town.get(&town.renter, &old).expect_problem(404, "not-found");
    town.stop();
    town.start();
    assert_eq!(listed(&town, &town.supplier, &format!("{mine}?")), made);
}

#[test]
fn a_co_staker_finds_what_is_long_over() {
    let (town, machine) = town();
    now_without_cooldown(&town);
    stake(&town, &machine, "200");
    let taken = offer(&town, &machine);
    let at = |what: &str| format!("/v1/co-staking/offers/{taken}/{what}");
    town.post(&town.renter, &at("accept"), &Value::Null).expect(200);
    let device = format!("/v1/io-staking/devices/{}", machine.worker);
    town.post(&town.supplier, &format!("{device}/unstake"), &Value::Null).expect(200);
    town.post(&town.renter, &at("withdraw"), &Value::Null).expect(200);
    town.post(&town.supplier, &format!("{device}/withdraw"), &Value::Null).expect(200);
    stake(&town, &machine, "200");
    for _ in 0..OFFERS {
        let id = offer(&town, &machine);
        let place = format!("/v1/co-staking/offers/{id}");
        town.send(Ask::delete(&place).by(&town.supplier)).expect(200);
    }
    let mine = "/v1/users/me/co-staking";
    assert_eq!(listed(&town, &town.renter, &format!("{mine}?")), std::slice::from_ref(&taken));
    let old = town.get(&town.renter, &format!("{mine}/{taken}")).expect(200).json();
    assert_eq!((&old["side"], &old["offer"]["status"]), (&json!("co-staker"), &json!("withdrawn")));
    assert_eq!(listed(&town, &Anonymous, "/v1/co-staking/offers?status=withdrawn&"), [taken]);
}

#[test]
fn slashes_are_listed_as_long_ago_as_they_were_charged() {
    let (town, machine) = town();
    stake(&town, &machine, "900");
    let body = charge(&town, &machine);
    let mut made = Vec::new();
    for _ in 0..SLASHES {
        let slash = town.post(&town.operator, "/v1/slashes", &body).expect(201).json();
        let id = slash["id"].as_str().unwrap().to_owned();
        let decision = json!({ "uphold": false, "reason": "another machine's" });
        town.post(&town.operator, &format!("/v1/slashes/{id}/decision"), &decision).expect(200);
        made.push(id);
    }
    made.reverse();
    assert_eq!(listed(&town, &town.supplier, "/v1/slashes?"), made);
    assert_eq!(listed(&town, &town.operator, "/v1/slashes?"), made);
    assert_eq!(listed(&town, &town.renter, "/v1/slashes?"), [""; 0]);
    let first = format!("/v1/slashes/{}", made.last().unwrap());
    let seen = town.get(&town.supplier, &first).expect(200).json();
    assert_eq!((&seen["state"], &seen["owner"]), (&json!("overturned"), &Value::Null));
    let steps: Vec<_> = seen["history"].as_array().unwrap().iter().map(|it| &it["what"]).collect();
    assert_eq!(steps, [&json!("charged"), &json!("overturned")]);
    let whole = town.get(&town.operator, &first).expect(200).json();
    assert_eq!(whole["owner"], town.supplier.person.account.as_str());
    town.get(&town.renter, &first).expect_problem(404, "not-found");
}

#[test]
fn proposals_are_listed_newest_first_and_stand_as_they_were_decided() {
    let town = governance::town();
    let mut made: Vec<String> = (0..9)
        .map(|_| {
            let place = governance::propose(&town, &town.renter, &governance::patch());
            town.send(Ask::delete(&place).by(&town.renter)).expect(200);
            place.rsplit('/').next().unwrap().to_owned()
        })
        .collect();
    made.reverse();
    assert_eq!(listed(&town, &Anonymous, "/v1/governance/proposals?"), made);
    let first = format!("/v1/governance/proposals/{}", made.last().unwrap());
    assert_eq!(town.get(&Anonymous, &first).expect(200).json()["state"], "cancelled");
}

#[test]
fn what_has_no_rows_yet_is_written_down_at_the_next_start() {
    let (mut town, machine) = town();
    stake(&town, &machine, "200");
    let id = offer(&town, &machine);
    let slash = town.post(&town.operator, "/v1/slashes", &charge(&town, &machine)).expect(201);
    let slash = format!("/v1/slashes/{}", slash.json()["id"].as_str().unwrap());
    town.stop();
    // As a journal of before there were such rows.
    let address = town.config.data.join("iog.db").display().to_string();
    let mut journal = server::journal::open(&address, &Default::default()).unwrap();
    journal.clear_rows().unwrap();
    drop(journal);
    town.start();
    town.get(&town.supplier, &slash).expect(200);
    assert_eq!(listed(&town, &town.supplier, "/v1/users/me/co-staking?"), [id]);
}
