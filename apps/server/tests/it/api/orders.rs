//! Orders that wait, over HTTP: told once, served when a machine comes, seen by those who may.

use serde_json::json;

use crate::town::{Ask, Town, a_machine, eventually};

#[test]
fn an_order_waits_for_a_machine_and_becomes_a_rental_that_runs() {
    let town = Town::new();
    town.top_up("100");
    let waiting = town.wait(1);
    let path = format!("/v1/orders/{waiting}");
    let view = town.get(&town.renter, &path).expect(200).json();
    assert_eq!((view["state"].as_str(), view["place"].as_u64()), (Some("waiting"), None));
    let why = view["explanation"].as_str().unwrap();
    assert!(why.starts_with("no offer: 0 nodes possible on 0 machines"), "{why}");
    let mut machine = town.machine(1, &a_machine(2));
    let served = eventually("the order is served", || {
        let view = town.get(&town.renter, &path).expect(200).json();
        (view["state"] == "served").then_some(view)
    });
    assert!(served["place"].is_null() && served["why"].is_null(), "{served}");
    let rental = served["rental"].as_str().unwrap();
    machine.act(&town.client);
    let rental = town.get(&town.renter, &format!("/v1/rentals/{rental}")).expect(200).json();
    assert_eq!((rental["state"].as_str(), rental["name"].as_str()), (Some("running"), Some("run")));
    let leave = town.send(Ask::delete(&path).by(&town.renter));
    leave.expect_problem(409, "used");
}

#[test]
fn who_leaves_waits_no_longer_and_the_list_keeps_it() {
    let town = Town::new();
    let waiting = town.wait(3);
    let path = format!("/v1/orders/{waiting}");
    for _ in 0..2 {
        let left = town.send(Ask::delete(&path).by(&town.renter)).expect(200).json();
        assert_eq!(left["state"], "left");
    }
    let other = town.wait(4);
    let list = format!("/v1/orders?project={}", town.renter.project);
    let list = town.get(&town.viewer, &list).expect(200).json();
    let of = |id: &str| {
        let items = list["items"].as_array().unwrap();
        items.iter().find(|item| item["id"] == id).unwrap().clone()
    };
    assert_eq!(
        (of(&waiting)["state"].as_str(), of(&other)["state"].as_str()),
        (Some("left"), Some("waiting"))
    );
}

#[test]
fn what_no_wait_would_help_is_refused() {
    let town = Town::new();
    let told = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut order = town.order_that_waits(1);
        change(&mut order);
        town.post(&town.renter, "/v1/orders", &order)
    };
    told(&|order| order["wait_minutes"] = json!(0)).expect_problem(422, "invalid");
    told(&|order| order["wait_minutes"] = json!(31 * 24 * 60)).expect_problem(422, "invalid");
    told(&|order| order["hours"] = json!(0)).expect_problem(422, "invalid");
    told(&|order| order["order"]["nodes"] = json!(0)).expect_problem(422, "invalid");
    told(&|order| order["order"]["suppliers"] = json!([town.supplier.person.account]))
        .expect_problem(422, "invalid");
    let stranger = town.post(&town.stranger, "/v1/orders", &town.order_that_waits(1));
    stranger.expect_problem(404, "not-found");
}

#[test]
fn an_order_that_is_told_twice_waits_once() {
    let town = Town::new();
    let ask = Ask::post("/v1/orders").json(&town.order_that_waits(1_000)).by(&town.renter);
    let told = || town.send(ask.clone().once("twice")).expect(201).json()["id"].clone();
    assert_eq!(told(), told());
    let other = Ask::post("/v1/orders").json(&town.order_that_waits(999)).by(&town.renter);
    town.send(other.once("twice")).expect_problem(422, "id-reused");
    let list = format!("/v1/orders?project={}", town.renter.project);
    let list = town.get(&town.renter, &list).expect(200).json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(list["items"][0]["state"], json!("waiting"));
}
