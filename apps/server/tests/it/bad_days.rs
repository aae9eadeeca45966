//! What goes wrong around a server: no room, no port, another server, a broken file. It says so and loses nothing.

use std::time::Duration;

use serde_json::json;

use crate::town::{Anonymous, Ask, Folder, Town, a_machine, config, eventually};

/// Why a server does not start, in full.
fn refusal(config: &server::Config) -> String {
    format!("{:#}", server::start(config).expect_err("it must not start"))
}

#[test]
fn a_second_server_on_the_same_folder_does_not_start() {
    let town = Town::new();
    let why = refusal(&config(town.folder.path()));
    assert!(why.contains("another server"), "{why}");
    town.top_up("1");
}

#[test]
fn a_taken_port_is_named() {
    let town = Town::new();
    let folder = Folder::new();
    let mut second = config(folder.path());
    second.listen = town.client.address();
    let why = refusal(&second);
    assert!(why.contains(&second.listen.to_string()) && why.contains("--listen"), "{why}");
    second.listen = "127.0.0.1:0".parse().unwrap();
    server::start(&second).unwrap().stop().unwrap();
}

#[test]
fn a_broken_secret_is_named_and_not_replaced() {
    let mut town = Town::new();
    town.stop();
    let place = town.folder.path().join("secret.key");
    let good = std::fs::read(&place).unwrap();
    std::fs::write(&place, b"short").unwrap();
    let why = refusal(&town.config);
    assert!(why.contains("secret.key"), "{why}");
    assert_eq!(std::fs::read(&place).unwrap(), b"short");
    std::fs::remove_file(&place).unwrap();
    let why = refusal(&town.config);
    assert!(why.contains("secret.key"), "a lost secret is not made anew beside a journal: {why}");
    std::fs::write(&place, good).unwrap();
    town.start();
    town.get(&town.renter, "/v1/me").expect(200);
}

#[test]
fn keys_and_secrets_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let town = Town::new();
    for name in ["secret.key", "operator.key"] {
        let mode = std::fs::metadata(town.folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_full_disk_loses_nothing_and_room_lets_it_go_on() {
    let mut town = Town::with(|config| config.store_max_bytes = Some(2 << 20));
    let path = format!("/v1/projects/{}/top-ups", town.renter.project);
    let mut sum = 0;
    let refused = loop {
        let body = json!({ "amount": "1", "note": "n".repeat(200) });
        let ask = Ask::post(&path).json(&body).by(&town.operator).once(&format!("{sum}"));
        let answer = town.send(ask);
        if answer.status != 200 {
            break answer;
        }
        sum += 1;
        assert!(sum < 10_000, "two mebibytes are not that much");
    };
    refused.expect_problem(507, "disk-full");
    let project = format!("/v1/projects/{}", town.renter.project);
    let available =
        |town: &Town| town.get(&town.renter, &project).expect(200).json()["available"].clone();
    assert_eq!(
        available(&town),
        format!("{sum}.000000"),
        "what was acknowledged is there, no more"
    );
    town.stop();
    town.config.store_max_bytes = None;
    town.start();
    assert_eq!(available(&town), format!("{sum}.000000"));
    town.top_up("1");
    assert_eq!(available(&town), format!("{}.000000", sum + 1));
    assert_eq!(town.book()["balanced"], true);
}

#[test]
fn a_server_that_is_told_to_stop_ends_what_waits() {
    let mut town = Town::new();
    let machine = town.machine(1, &a_machine(4));
    let revision = machine.wanted(&town.client)["revision"].clone();
    let poll =
        Ask::get(&format!("/v1/worker/wanted?revision={revision}&wait_secs=30")).by(&machine);
    let client = town.client.clone();
    let waiting = std::thread::spawn(move || client.send(poll));
    let events = town.client.stream(Ask::get("/v1/events").by(&town.renter));
    let figures = || town.get(&Anonymous, "/metrics").text();
    eventually("an open poll", || figures().contains("iog_polls_open 1").then_some(()));
    let server = town.take_server();
    let (done, stopped) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(server.stop().is_ok()));
    let patience = server::limits::SHUTDOWN_MAX + Duration::from_secs(20);
    assert_eq!(stopped.recv_timeout(patience), Ok(true));
    assert_eq!(std::io::read_to_string(events).unwrap(), "");
    let answer = waiting.join().unwrap();
    assert_eq!(answer.expect(200).json()["nodes"], json!([]), "it has its answer");
    town.start();
    town.top_up("1");
}

#[test]
fn an_idempotency_key_is_remembered_over_a_restart() {
    let mut town = Town::new();
    let path = format!("/v1/projects/{}/top-ups", town.renter.project);
    let ask = Ask::post(&path).json(&json!({ "amount": "5" })).by(&town.operator).once("five");
    let first = town.send(ask.clone()).expect(200).json();
    town.stop();
    town.start();
    assert_eq!(town.send(ask).expect(200).json(), first);
    let other = Ask::post(&path).json(&json!({ "amount": "6" })).by(&town.operator).once("five");
    town.send(other).expect_problem(422, "id-reused");
}

#[test]
fn a_machine_and_its_rental_outlive_a_restart() {
    let mut town = Town::new();
    town.top_up("10");
    let mut machine = town.machine(1, &a_machine(4));
    let rental = town.running_rental(&mut machine);
    town.stop();
    town.start();
    machine.beat(&town.client).expect_problem(401, "session-unknown");
    machine.open_session(&town.client);
    machine.act(&town.client);
    let path = format!("/v1/rentals/{rental}");
    assert_eq!(town.get(&town.renter, &path).expect(200).json()["state"], "running");
    assert_eq!(town.get(&town.supplier, "/v1/workers").json()["items"][0]["state"], "open");
}

#[test]
fn a_client_that_stalls_does_not_keep_a_server_from_stopping() {
    let mut town = Town::new();
    town.top_up("1");
    let blob = format!("/v1/blobs/{}", "7".repeat(64));
    // It promises bytes and sends none.
    let stalled = town.client.begin_head(&Ask::put(&blob).by(&town.renter), 1_000);
    let half = town.folder.path().join("files/half");
    eventually("half a file", || (std::fs::read_dir(&half).unwrap().count() == 1).then_some(()));
    town.stop();
    drop(stalled);
    town.start();
    assert_eq!(std::fs::read_dir(&half).unwrap().count(), 0, "nothing half is left");
    assert_eq!(town.book()["assets"][0]["entered"], "1.000000 USD");
}

#[test]
fn a_server_that_another_took_over_from_writes_no_more() {
    let mut first = Town::new();
    first.top_up("1");
    let mut config = first.config.clone();
    config.take_over = true;
    let second = server::start(&config).unwrap();
    let path = format!("/v1/projects/{}/top-ups", first.renter.project);
    let ask = Ask::post(&path).json(&json!({ "amount": "5" })).by(&first.operator).once("five");
    first.send(ask.clone()).expect_problem(503, "unavailable");
    // It ends by itself, and says why.
    let why = first.take_server().until_told().expect_err("it was taken over");
    assert!(format!("{why:#}").contains("took over"), "{why:#}");
    let client = crate::town::Client::new(second.address());
    let view = client.send(ask.clone()).expect(200).json();
    assert_eq!(view["available"], "6.000000");
    assert_eq!(client.send(ask).expect(200).json(), view);
    second.stop().unwrap();
}
