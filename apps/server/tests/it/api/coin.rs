//! The coin from its beginning to a receipt, told as stories.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::town::{Anonymous, Ask, Story, Town, a_machine};

/// Longer than a server that listens to its parameters may need.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn the_beginning_and_the_supply() {
    let town = Town::new();
    let mut story = Story::new(&town);
    let (renter, operator) = (&town.renter, &town.operator);
    let (genesis, supply) = ("/v1/io-token/genesis", "/v1/io-token/supply");
    story.ask(&Anonymous, "GET", supply);
    story.say(renter, "POST", genesis, &json!({}));
    story.say(operator, "POST", genesis, &json!({ "first_month": "soon" }));
    // A schedule that begins late has emitted nothing yet, whenever this is read.
    story.say(operator, "POST", genesis, &json!({ "first_month": "2126-01" }));
    story.say(operator, "POST", genesis, &json!({}));
    story.note("what leaves the treasury circulates");
    let account = &renter.person.account;
    let body = json!({ "from": "treasury", "to": account, "money": "1000.5 IO" });
    story.say(operator, "POST", "/v1/transfers", &body);
    for figure in ["circulating", "total", "circulating/plaintext", "total/plaintext"] {
        story.ask(&Anonymous, "GET", &format!("{supply}/{figure}"));
    }
    insta::assert_snapshot!(story.text());
    let plain = town.get(&Anonymous, &format!("{supply}/total/plaintext"));
    assert_eq!(plain.header("content-type"), "text/plain; charset=utf-8");
}

#[test]
fn a_month_that_has_begun_has_emitted_its_hours() {
    let town = Town::new();
    let supply = town.post(&town.operator, "/v1/io-token/genesis", &json!({})).expect(201).json();
    let coins = |field: &str| {
        let text = supply[field].as_str().unwrap().replace('.', "");
        text.parse::<u64>().unwrap()
    };
    assert_eq!(supply["minted"], "800000000.00000000");
    assert_eq!(coins("total"), 50_000_000_000_000_000 + coins("emitted"));
    assert_eq!(coins("circulating"), 0, "those hours had nobody to pay: it is the treasury's");
    assert_eq!(town.book()["balanced"], true);
}

#[test]
fn the_rate() {
    let town = Town::new();
    let mut story = Story::new(&town);
    let (renter, operator) = (&town.renter, &town.operator);
    let (rate, readings) = ("/v1/io-token/rate", "/v1/io-token/rate/readings");
    let told = |rates: &[&str]| {
        let reading = |(at, rate): (usize, &&str)| json!({ "source": format!("source {at}"), "usd_per_coin": rate });
        json!({ "readings": rates.iter().enumerate().map(reading).collect::<Vec<_>>() })
    };
    story.ask(&Anonymous, "GET", rate);
    story.ask(renter, "GET", "/v1/conversions/quote?give=1%20USD&take=IO");
    story.say(renter, "POST", readings, &told(&["0.25", "0.25"]));
    story.note("what makes no rate");
    let before = town.journal_seq();
    story.say(operator, "POST", readings, &told(&["0.25"]));
    story.say(operator, "POST", readings, &told(&["0.25", "0.30"]));
    town.post(operator, readings, &told(&["0.25"; 33])).expect_problem(409, "rate-rejected");
    assert_eq!(town.journal_seq(), before, "it left no trace");
    story.note("what does");
    story.say(operator, "POST", readings, &told(&["0.25", "0.252", "9"]));
    story.say(operator, "POST", readings, &told(&["0.25", "0.252"]));
    story.ask(&Anonymous, "GET", rate);
    insta::assert_snapshot!(story.text());
}

#[test]
fn money_in_out_and_between() {
    let town = Town::new();
    let mut story = Story::new(&town);
    let (renter, operator) = (&town.renter, &town.operator);
    let (account, project) = (&renter.person.account, &renter.project);
    let deposits = "/v1/deposits";
    let body = json!({ "to": account, "money": "20 USDC", "reference": "transaction 7" });
    story.say(operator, "POST", deposits, &body);
    story.say(renter, "POST", deposits, &body);
    story.say(operator, "POST", deposits, &json!({ "to": "escrow", "money": "1 USD" }));
    story.say(operator, "POST", deposits, &json!({ "to": account, "money": "1 IO" }));
    story.note("out");
    let withdrawals = "/v1/withdrawals";
    story.say(renter, "POST", withdrawals, &json!({ "money": "5 USDC", "to": "a wallet" }));
    story.say(renter, "POST", withdrawals, &json!({ "money": "50 USDC", "to": "a wallet" }));
    let theirs = json!({ "account": account, "money": "5 USDC", "to": "a wallet" });
    story.say(&town.stranger, "POST", withdrawals, &theirs);
    story.note("between");
    let transfers = "/v1/transfers";
    let body = json!({ "from": account, "to": project, "money": "6 USDC" });
    story.say(renter, "POST", transfers, &body);
    story.say(&town.stranger, "POST", transfers, &body);
    story.say(
        renter,
        "POST",
        transfers,
        &json!({ "from": account, "to": account, "money": "1 USDC" }),
    );
    story.say(
        renter,
        "POST",
        transfers,
        &json!({ "from": "fees", "to": account, "money": "1 USD" }),
    );
    story.note("into another asset");
    town.post(operator, "/v1/io-token/genesis", &json!({ "first_month": "2126-01" })).expect(201);
    let body = json!({ "from": "treasury", "to": "exchange", "money": "30 IO" });
    story.say(operator, "POST", transfers, &body);
    let conversions = "/v1/conversions";
    let convert = |give: &str, take: &str, least: Option<&str>| {
        let mut body = json!({ "purse": project, "give": give, "take": take });
        least.into_iter().for_each(|least| body["at_least"] = json!(least));
        body
    };
    story.say(renter, "POST", conversions, &convert("1 USDC", "IO", None));
    town.tell_rate("0.25");
    story.ask(renter, "GET", "/v1/conversions/quote?give=5%20USDC&take=IO");
    story.ask(renter, "GET", "/v1/conversions/quote?give=5%20USDC&take=USDC");
    story.say(renter, "POST", conversions, &convert("5 USDC", "IO", Some("20.00000001 IO")));
    story.say(renter, "POST", conversions, &convert("5 USDC", "IO", Some("20 USD")));
    story.say(renter, "POST", conversions, &convert("5 USDC", "IO", Some("20 IO")));
    town.deposit(project, "5 USDC");
    story.say(renter, "POST", conversions, &convert("5 USDC", "IO", None));
    story.ask(renter, "GET", &format!("/v1/projects/{project}/transfers?limit=2"));
    insta::assert_snapshot!(story.text());
    assert_eq!(town.book()["balanced"], true);
}

#[test]
fn a_rental_paid_in_coins() {
    let town = Town::new();
    let mut machine = town.machine(1, &a_machine(4));
    let renter = &town.renter;
    let mut order = town.order(1);
    order["pay"] = json!("IO");
    town.post(renter, "/v1/quotes", &order).expect_problem(409, "no-rate");
    town.post(&town.operator, "/v1/io-token/genesis", &json!({})).expect(201);
    town.tell_rate("0.3");
    let body = json!({ "from": "treasury", "to": renter.project, "money": "10 IO" });
    town.post(&town.operator, "/v1/transfers", &body).expect(200);
    let quote = town.post(renter, "/v1/quotes", &order).expect(201).json();
    assert_eq!(
        (&quote["price"]["pay"], &quote["price"]["usd_per_coin"]),
        (&json!("IO"), &json!("0.300000"))
    );
    assert_eq!(quote["price"]["facilitation_bp"], 0, "coins are handled for nothing");
    let body = json!({ "quote": quote["quote"], "name": "coins" });
    let rental = town.post(renter, "/v1/rentals", &body).expect(201).json();
    let place = format!("/v1/rentals/{}", rental["id"].as_str().unwrap());
    machine.act(&town.client);
    let longer = town.post(renter, &format!("{place}/extend"), &json!({ "hours": 1 })).expect(200);
    assert_eq!(longer.json()["price"]["hours"], 3);
    town.send(Ask::post(&format!("{place}/end")).by(renter)).expect(200);
    let receipt = town.get(renter, &format!("{place}/receipt")).expect(200).json();
    let paid = &receipt["paid"];
    assert_eq!(paid["held"], longer.json()["price"]["held"]);
    let units = |money: &serde_json::Value| -> u64 {
        money.as_str().unwrap().strip_suffix(" IO").unwrap().replace('.', "").parse().unwrap()
    };
    let payouts = paid["payouts"].as_array().unwrap();
    let out: u64 = payouts.iter().map(|payout| units(&payout["amount"])).sum();
    assert_eq!(units(&paid["charged"]), out + units(&paid["fees"]));
    assert_eq!(units(&paid["held"]), units(&paid["charged"]) + units(&paid["returned"]));
    let me = town.get(&town.supplier, "/v1/me").expect(200).json();
    assert!(me["account"]["balances"].as_array().unwrap().contains(&payouts[0]["amount"]), "{me}");
    assert_eq!(town.book()["balanced"], true);
}

#[test]
fn the_server_asks_the_sources_that_it_was_given() {
    let town = Town::with(|config| config.oracle = vec!["fixed:0.25".parse().unwrap()]);
    let rate = || town.get(&Anonymous, "/v1/io-token/rate").expect(200).json();
    assert_eq!(rate()["usable"], false, "one source is not enough unless the operator says so");
    let before = town.journal_seq();
    town.patch(&json!({ "oracle": { "sources_min": 1 } }));
    let end = Instant::now() + PATIENCE;
    while rate()["usable"] == false {
        assert!(Instant::now() < end, "no rate: {}", rate());
        std::thread::yield_now();
    }
    assert_eq!(rate()["rate"]["usd_per_coin"], "0.250000");
    assert_eq!(
        town.journal_seq(),
        before + 2,
        "the parameters and the rate: refused readings leave no trace"
    );
}
