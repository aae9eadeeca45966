//! A rental from the quote to the receipt, on three machines that speak the real protocol.

use serde_json::{Value, json};

use super::coverage::put_package;
use crate::cluster::Cluster;
use crate::town::{Ask, Machine, Town, a_machine, dollars_in};

#[test]
fn a_rental_from_quote_to_receipt_on_sqlite() {
    from_quote_to_receipt(&Town::new());
}

#[test]
fn a_rental_from_quote_to_receipt_on_postgres() {
    from_quote_to_receipt(&Town::with(|config| {
        config.store = Some(Cluster::shared().fresh_address());
    }));
}

fn from_quote_to_receipt(town: &Town) {
    town.top_up("10");
    let mut machines: Vec<Machine> = (1..=3).map(|n| town.machine(n, &a_machine(2))).collect();
    let quote = town.quote(3);
    let seen = town.get(&town.renter, &format!("/v1/quotes/{quote}")).expect(200).json();
    assert_eq!(seen["state"], "quoted");
    // 3 nodes of a small processor at 0.016 for 2 hours, and fees of 0.25 % and 2 % on top.
    assert_eq!(seen["price"]["hold"], "0.098160");
    let body = json!({ "quote": quote, "name": "train" });
    let rental = town.post(&town.renter, "/v1/rentals", &body).expect(201).json();
    assert_eq!(rental["state"], "deploying");
    let id = rental["id"].as_str().unwrap();
    let place = format!("/v1/rentals/{id}");
    let project = format!("/v1/projects/{}", town.renter.project);
    assert_eq!(town.get(&town.renter, &project).json()["held"], "0.098160");

    bring_up(town, &mut machines, &place);
    let job = run_a_job(town, &mut machines, id);
    let files = town.get(&town.renter, &format!("/v1/jobs/{job}/files")).expect(200).json();
    assert_eq!(files["items"], json!([{ "path": "out/model.bin", "bytes": 3 }]));
    let file = town.get(&town.renter, &format!("/v1/jobs/{job}/files/out/model.bin")).expect(200);
    assert_eq!(file.body, b"\0\x01\x02");
    assert_eq!(file.header("x-content-type-options"), "nosniff");

    town.get(&town.renter, &format!("{place}/receipt")).expect_problem(404, "not-found");
    let ended = town.send(Ask::post(&format!("{place}/end")).by(&town.renter)).expect(200).json();
    assert_eq!(ended["state"], "ending");
    for machine in &mut machines {
        machine.act(&town.client);
        assert!(machine.nodes.is_empty(), "it is told to clear its node");
    }
    let ended = town.get(&town.renter, &place).expect(200).json();
    assert_eq!((&ended["state"], &ended["ending"]), (&json!("ended"), &json!("cancelled")));
    check_receipt(town, &ended, &project);
}

/// Each machine waits for news, finds a node, and reports it; others than the head are told where the head listens.
fn bring_up(town: &Town, machines: &mut [Machine], place: &str) {
    for round in 0..2 {
        for machine in &mut *machines {
            let wait = format!("/v1/worker/wanted?revision={}&wait_secs=30", round);
            let wanted = town.get(machine, &wait).expect(200).json();
            assert_eq!(wanted["nodes"].as_array().unwrap().len(), 1);
            machine.follow(&wanted);
            machine.beat(&town.client).expect(200);
        }
    }
    let running = town.get(&town.renter, place).expect(200).json();
    assert_eq!(running["state"], "running", "{running}");
    let tokens: Vec<_> = machines
        .iter()
        .map(|it| it.wanted(&town.client)["nodes"][0]["cluster_token"].clone())
        .collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]), "one cluster, one token");
    let heads: Vec<_> = machines
        .iter()
        .filter(|it| it.wanted(&town.client)["nodes"][0]["head"].is_null())
        .collect();
    assert_eq!(heads.len(), 1, "all but the head are told where it listens");
}

fn run_a_job(town: &Town, machines: &mut [Machine], rental: &str) -> String {
    let package = put_package(town, b"zip of a folder");
    let env = json!({ "EPOCHS": "3" });
    let body = json!({ "entrypoint": "python train.py", "package": package, "env": env });
    let job =
        town.post(&town.renter, &format!("/v1/rentals/{rental}/jobs"), &body).expect(201).json();
    assert_eq!(job["state"], "pending");
    let job = job["id"].as_str().unwrap().to_owned();
    let drives = |it: &Machine| it.wanted(&town.client)["nodes"][0]["node"] == 0;
    let (heads, others): (Vec<_>, Vec<_>) = machines.iter_mut().partition(|it| drives(it));
    let log = format!("/v1/worker/jobs/{job}/log?offset=0");
    let file = format!("/v1/worker/jobs/{job}/files/out/model.bin");
    let blob = format!("/v1/worker/blobs/{package}");
    for other in others {
        // Of the same rental, but it does not drive the job.
        town.send(Ask::put(&log).bytes(b"x").by(other)).expect_problem(404, "not-found");
        town.send(Ask::put(&file).bytes(b"x").by(other)).expect_problem(404, "not-found");
        town.get(other, &blob).expect_problem(404, "not-found");
    }
    let [head] = <[&mut Machine; 1]>::try_from(heads).ok().unwrap();
    let wanted = head.wanted(&town.client);
    let told = json!([{ "job": job, "entrypoint": "python train.py", "package": package, "env": env, "stop": false }]);
    assert_eq!(wanted["nodes"][0]["jobs"], told);
    assert_eq!(town.get(head, &blob).expect(200).body, b"zip of a folder");
    head.act(&town.client);
    let path = format!("/v1/jobs/{job}");
    assert_eq!(town.get(&town.renter, &path).json()["state"], "running");
    town.send(Ask::put(&log).bytes(b"epoch 3\n").by(head)).expect(200);
    town.send(Ask::put(&file).bytes(b"\0\x01\x02").by(head)).expect(204);
    head.all_jobs(&town.client, &json!("succeeded"));
    assert_eq!(town.get(&town.renter, &path).json()["state"], "succeeded");
    assert_eq!(town.get(&town.renter, &format!("{path}/log")).text(), "epoch 3\n");
    job
}

/// Dollars as millionths.
fn micros(amount: &Value) -> u64 {
    amount.as_str().unwrap().trim_end_matches(" USD").replace('.', "").parse().unwrap()
}

fn check_receipt(town: &Town, ended: &Value, project: &str) {
    let receipt = &ended["receipt"];
    let shown =
        town.get(&town.supplier, &format!("/v1/rentals/{}/receipt", ended["id"].as_str().unwrap()));
    assert_eq!(shown.expect(200).json(), *receipt, "both sides see the same");
    let lines = receipt["lines"].as_array().unwrap();
    let sum = |field: &str| lines.iter().map(|line| micros(&line[field])).sum::<u64>();
    for line in lines {
        assert_eq!(line["minutes_charged"], 60, "the first hour is not returned");
        assert_eq!(micros(&line["charge"]), micros(&line["node_hour"]));
        assert_eq!(
            micros(&line["payout"]),
            micros(&line["charge"]) - micros(&line["supplier_fee"])
        );
    }
    let renter_fees = micros(&receipt["renter_fee"]) + micros(&receipt["facilitation_fee"]);
    let fees = renter_fees + sum("supplier_fee");
    assert_eq!(micros(&receipt["subtotal"]), sum("charge"));
    assert_eq!(micros(&receipt["charged"]), sum("charge") + renter_fees);
    assert_eq!(micros(&receipt["fees"]), fees);
    assert_eq!(
        micros(&receipt["held"]),
        micros(&receipt["charged"]) + micros(&receipt["returned"])
    );

    let book = town.book();
    assert_eq!(book["balanced"], true, "{book}");
    assert_eq!(micros(&dollars_in(&book, "accounts")["balance"]), sum("payout"));
    assert_eq!(micros(&dollars_in(&book, "fees")["balance"]), fees);
    assert_eq!(micros(&dollars_in(&book, "escrow")["balance"]), 0);
    let purse = town.get(&town.renter, project).json();
    assert_eq!(micros(&purse["available"]), 10_000_000 - micros(&receipt["charged"]));
    assert_eq!(micros(&purse["held"]), 0);
    let me = town.get(&town.supplier, "/v1/me").json();
    assert_eq!(micros(&me["account"]["balances"][0]), sum("payout"));
    let statement = town.get(&town.renter, &format!("{project}/transfers")).json();
    let kinds: Vec<_> =
        statement["items"].as_array().unwrap().iter().map(|line| line["kind"].clone()).collect();
    let story = "newest first: returned, paid, set aside, topped up";
    assert_eq!(kinds, ["move", "post", "hold", "move"], "{story}");
    check_other_statements(town, ended, sum("payout"), fees);
}

/// The supplier sees each payout and whose rental it was; everyone sees what the network kept, and not of which.
fn check_other_statements(town: &Town, ended: &Value, payout: u64, fees: u64) {
    let items = |answer: Value| answer["items"].as_array().unwrap().clone();
    let supplier = format!("/v1/accounts/{}/transfers", town.supplier.person.account);
    let paid = items(town.get(&town.supplier, &supplier).expect(200).json());
    assert_eq!(paid.iter().map(|line| micros(&line["amount"])).sum::<u64>(), payout);
    assert!(paid.iter().all(|line| line["rental"] == ended["id"]), "{paid:?}");
    let kept = items(town.get(&town.stranger, "/v1/network/transfers").expect(200).json());
    assert_eq!(kept.iter().map(|line| micros(&line["amount"])).sum::<u64>(), fees);
    for line in kept {
        assert_eq!((line["from"].as_str(), line["to"].as_str()), (Some("escrow"), Some("fees")));
        assert_eq!(line.get("rental"), None);
    }
}
