//! What is wrong is refused, by name, and changes nothing.

use serde_json::{Value, json};

use super::coverage::put_package;
use crate::town::{Anonymous, Ask, Machine, Town, a_machine, dollars_in, hex, join_request};

#[test]
fn requests_that_make_no_sense_are_refused_by_name() {
    let town = Town::new();
    let before = town.journal_seq();
    let order = |change: fn(&mut Value)| {
        let mut order = town.order(1);
        change(&mut order);
        order.to_string()
    };
    let project = town.renter.project.clone();
    let requests = [
        ("/v1/projects", "{", 400, "bad-request"),
        ("/v1/projects", "{\"name\":\"x\"", 400, "bad-request"),
        ("/v1/projects", "\u{1F4A5}", 400, "bad-request"),
        ("/v1/projects", "", 422, "invalid"),
        ("/v1/projects", "[]", 422, "invalid"),
        ("/v1/projects", r#"{"name":3}"#, 422, "invalid"),
        ("/v1/projects", r#"{"name":"x","color":"red"}"#, 422, "invalid"),
        ("/v1/projects", r#"{"name":"  "}"#, 422, "invalid"),
        ("/v1/keys", r#"{"label":"x","scopes":["everything"]}"#, 422, "invalid"),
        ("/v1/keys", r#"{"label":"x","scopes":[]}"#, 422, "invalid"),
        ("/v1/keys", r#"{"label":"x","scopes":["operator"]}"#, 403, "forbidden"),
        ("/v1/quotes", &order(|it| it["hours"] = json!(0)), 422, "invalid"),
        ("/v1/quotes", &order(|it| it["hours"] = json!(9_000)), 422, "invalid"),
        ("/v1/quotes", &order(|it| it["hours"] = json!(-1)), 422, "invalid"),
        ("/v1/quotes", &order(|it| it["hours"] = json!(1.5)), 422, "invalid"),
        ("/v1/quotes", &order(|it| it["order"]["nodes"] = json!(0)), 422, "invalid"),
        ("/v1/quotes", &order(|it| it["order"]["nodes"] = json!(100_000)), 422, "invalid"),
        ("/v1/quotes", &order(|it| it["order"]["each"]["vcpus"] = json!(0)), 422, "invalid"),
        ("/v1/quotes", &order(|it| it["project"] = json!("rnt_0")), 422, "invalid"),
        ("/v1/quotes", &order(|_| ()), 409, "no-offer"),
    ];
    for (path, body, status, code) in requests {
        let answer = town.send(Ask::post(path).bytes(body.as_bytes()).by(&town.renter));
        assert_eq!(
            (answer.status, answer.problem()["code"].as_str().unwrap()),
            (status, code),
            "{path} {body}: {}",
            answer.text()
        );
    }
    let top_ups = format!("/v1/projects/{project}/top-ups");
    for amount in ["0", "-1", "1.0000001", "a lot", "99999999999999999999", ""] {
        town.post(&town.operator, &top_ups, &json!({ "amount": amount }))
            .expect_problem(422, "invalid");
    }
    let note = json!({ "amount": "1", "note": "n".repeat(201) });
    town.post(&town.operator, &top_ups, &note).expect_problem(422, "invalid");
    // The one order that made sense and found no machine is told as demand.
    assert_eq!(town.journal_seq(), before + 1, "nothing else of it is in the journal");
}

#[test]
fn paths_that_lead_nowhere_are_problems_too() {
    let town = Town::new();
    for (method, path, status, code) in [
        ("GET", "/v1/nothing", 404, "not-found"),
        ("GET", "/v1/rentals/", 404, "not-found"),
        ("DELETE", "/v1/me", 405, "method-not-allowed"),
        ("BREW", "/v1/me", 405, "method-not-allowed"),
        ("GET", "/v1/rentals", 422, "invalid"),
        ("GET", "/v1/rentals/rnt_1", 422, "invalid"),
        ("GET", "/v1/rentals/%ff", 422, "invalid"),
        ("GET", "/v1/jobs/wkr_00000000000000000000000007", 422, "invalid"),
        ("GET", "/v1/rentals/rnt_00000000000000000000000007", 404, "not-found"),
        ("GET", "/v1/offers?gpus=-1", 422, "invalid"),
        ("GET", "/v1/offers?gpu=1", 422, "invalid"),
        ("GET", "/v1/offers?cursor=x", 422, "invalid"),
        ("GET", "/v1/offers?tier_min=warp", 422, "invalid"),
        ("GET", "/v1/offers?facets=some", 422, "invalid"),
    ] {
        let answer = town.send(Ask::new(method, path).by(&town.renter));
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert_eq!(answer.problem()["code"], code, "{method} {path}");
    }
    let metrics = town.get(&Anonymous, "/metrics").text();
    assert!(!metrics.contains("BREW"), "a caller's words are no labels");
}

#[test]
fn bodies_have_an_end() {
    let town = Town::new();
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(server::limits::BODY_BYTES_MAX));
    let no_rental = "/v1/rentals/rnt_00000000000000000000000007";
    for path in
        ["/v1/projects", "/v1/quotes", &format!("{no_rental}/jobs"), &format!("{no_rental}/end")]
    {
        let ask = Ask::post(path).bytes(large.as_bytes()).by(&town.renter);
        town.send(ask).expect_problem(413, "too-large");
    }
    town.send(Ask::post("/v1/worker/join").bytes(large.as_bytes()))
        .expect_problem(413, "too-large");
    // A length that is too large is refused before a byte of it is read.
    let blob = format!("/v1/blobs/{}", hex(&[7; 32]));
    let length = server::limits::BLOB_BYTES_MAX + 1;
    let answer = town.client.send_head(&Ask::put(&blob).by(&town.renter), length);
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("too-large"), "{answer}");
    for key in ["", &"k".repeat(129), "n\u{e4}me"] {
        let ask = Ask::post("/v1/projects").json(&json!({ "name": "x" })).by(&town.renter);
        town.send(ask.once(key)).expect_problem(422, "invalid");
    }
}

#[test]
fn a_package_is_what_its_name_says() {
    let town = Town::new();
    let path = format!("/v1/blobs/{}", hex(&[7; 32]));
    town.send(Ask::put(&path).bytes(b"other").by(&town.renter)).expect_problem(422, "invalid");
    town.send(Ask::put("/v1/blobs/x").bytes(b"x").by(&town.renter)).expect_problem(422, "invalid");
    let name = put_package(&town, b"one");
    assert_eq!(put_package(&town, b"one"), name, "twice is once");
    let halves = std::fs::read_dir(town.folder.path().join("files/half")).unwrap();
    assert_eq!(halves.count(), 0, "nothing half is left");
}

#[test]
fn no_name_of_a_file_leads_out_of_its_folder() {
    let town = Town::new();
    town.top_up("10");
    let mut machine = town.machine(1, &a_machine(4));
    let rental = town.running_rental(&mut machine);
    let body = json!({ "entrypoint": "true" });
    let job =
        town.post(&town.renter, &format!("/v1/rentals/{rental}/jobs"), &body).expect(201).json();
    let job = job["id"].as_str().unwrap();
    for path in
        ["..%2fx", "%2e%2e/%2e%2e/x", "a/..%2f..%2fx", "%2fetc%2fpasswd", "a%00b", &"x".repeat(600)]
    {
        let put = Ask::put(&format!("/v1/worker/jobs/{job}/files/{path}")).bytes(b"x").by(&machine);
        town.send(put).expect_problem(422, "invalid");
        town.get(&town.renter, &format!("/v1/jobs/{job}/files/{path}"))
            .expect_problem(422, "invalid");
    }
    let put = |path: &str| {
        Ask::put(&format!("/v1/worker/jobs/{job}/files/{path}")).bytes(b"x").by(&machine)
    };
    town.send(put("a/b")).expect(204);
    town.send(put("a")).expect_problem(422, "invalid");
    town.send(put("a/b/c")).expect_problem(422, "invalid");
    for none in ["a", "a/b/c", "c"] {
        let path = format!("/v1/jobs/{job}/files/{none}");
        town.get(&town.renter, &path).expect_problem(404, "not-found");
    }
    let log = format!("/v1/worker/jobs/{job}/log");
    town.send(Ask::put(&format!("{log}?offset=9")).bytes(b"x").by(&machine))
        .expect_problem(409, "log-gap");
    town.send(Ask::put(&log).bytes(b"x").by(&machine)).expect_problem(422, "invalid");
    let large = vec![b'x'; server::limits::LOG_PIECE_BYTES_MAX + 1];
    let ask = Ask::put(&format!("{log}?offset=0")).bytes(&large).by(&machine);
    town.send(ask).expect_problem(413, "too-large");
    let missing = json!({ "entrypoint": "true", "package": hex(&[9; 32]) });
    let jobs = format!("/v1/rentals/{rental}/jobs");
    town.post(&town.renter, &jobs, &missing).expect_problem(422, "invalid");
    for body in [
        json!({ "entrypoint": " " }),
        json!({ "entrypoint": "x".repeat(5_000) }),
        json!({ "entrypoint": "x", "env": { "1A": "x" } }),
        json!({ "entrypoint": "x", "env": { "A": "x".repeat(40_000) } }),
    ] {
        town.post(&town.renter, &jobs, &body).expect_problem(422, "invalid");
    }
}

#[test]
fn of_two_renters_of_the_last_machine_one_gets_it() {
    let town = Town::new();
    town.top_up("10");
    town.machine(1, &a_machine(2));
    let quotes: Vec<String> = (0..8).map(|_| town.quote(1)).collect();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let rent = |quote: &String| {
            let body = json!({ "quote": quote, "name": "mine" });
            let ask = Ask::post("/v1/rentals").json(&body).by(&town.renter);
            let client = &town.client;
            scope.spawn(move || client.send(ask))
        };
        let all: Vec<_> = quotes.iter().map(rent).collect();
        all.into_iter().map(|answer| answer.join().unwrap()).collect()
    });
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|it| it.status == 201);
    assert_eq!(won.len(), 1);
    lost.into_iter().for_each(|it| drop(it.expect_problem(409, "no-offer")));
    let book = town.book();
    assert_eq!(book["balanced"], true);
    assert_eq!(dollars_in(&book, "projects")["held"], "0.032720 USD", "one hold");
}

#[test]
fn a_quote_is_paid_for_once() {
    let town = Town::new();
    town.machine(1, &a_machine(4));
    let quote = town.quote(1);
    let body = json!({ "quote": quote, "name": "x" });
    town.post(&town.renter, "/v1/rentals", &body).expect_problem(402, "insufficient-balance");
    let end = format!("/v1/rentals/{}/end", quote.replace("quo_", "rnt_"));
    town.send(Ask::post(&end).by(&town.renter)).expect_problem(404, "not-found");
    let waits = json!({ "quote": quote, "name": "x", "may_wait": true });
    let rental = town.post(&town.renter, "/v1/rentals", &waits).expect(201).json();
    assert_eq!(rental["state"], "awaiting-payment");
    town.post(&town.renter, "/v1/rentals", &body).expect_problem(409, "used");
    town.top_up("1");
    let path = format!("/v1/rentals/{}", rental["id"].as_str().unwrap());
    assert_eq!(town.get(&town.renter, &path).json()["state"], "deploying", "it was paid");
    let jobs = json!({ "entrypoint": "true" });
    town.post(&town.renter, &format!("{path}/jobs"), &jobs).expect_problem(409, "wrong-state");
}

#[test]
fn only_the_machine_itself_speaks_for_it() {
    let town = Town::new();
    let mut machine = town.machine(1, &a_machine(4));
    let other = town.machine(2, &a_machine(4));
    let session = |asked: &Value| town.send(Ask::post("/v1/worker/session").json(asked));
    // A challenge is good once.
    let asked = machine.session_request(&machine.challenge(&town.client));
    session(&asked).expect(200);
    session(&asked).expect_problem(401, "unauthenticated");
    // Another's challenge, another's signature, none at all.
    let challenge = machine.challenge(&town.client);
    let mut forged = other.session_request(&challenge);
    session(&forged).expect_problem(401, "unauthenticated");
    forged["worker"] = json!(machine.worker);
    forged["challenge"] = json!(machine.challenge(&town.client));
    session(&forged).expect_problem(401, "unauthenticated");
    forged["signature"] = json!("");
    forged["challenge"] = json!(machine.challenge(&town.client));
    session(&forged).expect_problem(401, "unauthenticated");
    // The session before ended with the next.
    machine.beat(&town.client).expect_problem(401, "session-unknown");
    machine.open_session(&town.client);
    machine.beat(&town.client).expect(200);
    retire_ends_its_session(&town, &mut machine);
}

fn retire_ends_its_session(town: &Town, machine: &mut Machine) {
    let waiting = {
        let (client, revision) =
            (town.client.clone(), machine.wanted(&town.client)["revision"].clone());
        let ask =
            Ask::get(&format!("/v1/worker/wanted?revision={revision}&wait_secs=30")).by(machine);
        std::thread::spawn(move || client.send(ask))
    };
    let path = format!("/v1/workers/{}", machine.worker);
    town.send(Ask::delete(&path).by(&town.supplier)).expect(204);
    let answer = waiting.join().unwrap();
    assert!(answer.status == 401 || answer.json()["nodes"] == json!([]), "{}", answer.text());
    machine.beat(&town.client).expect_problem(401, "session-unknown");
    let asked = json!({ "worker": machine.worker });
    town.send(Ask::post("/v1/worker/challenge").json(&asked)).expect_problem(404, "not-found");
    assert_eq!(
        town.get(&Anonymous, "/v1/network").json()["workers_up"],
        1,
        "it is not counted any more"
    );
}

#[test]
fn an_invitation_is_for_one_machine_with_its_own_key() {
    let town = Town::new();
    let invite = |body: &Value| {
        let issued = town.post(&town.supplier, "/v1/invites", body).expect(201).json();
        issued["token"].as_str().unwrap().to_owned()
    };
    let join = |asked: &Value| town.send(Ask::post("/v1/worker/join").json(asked));
    let token = invite(&json!({}));
    let asked = join_request(&token, 1, &a_machine(4));
    let mut forged = asked.clone();
    forged["signature"] = join_request(&token, 2, &a_machine(4))["signature"].clone();
    join(&forged).expect_problem(401, "unauthenticated");
    let mut guessed = token.clone().into_bytes();
    let last = guessed.last_mut().unwrap();
    *last = if *last == b'0' { b'1' } else { b'0' };
    let guessed = String::from_utf8(guessed).unwrap();
    join(&join_request(&guessed, 1, &a_machine(4))).expect_problem(404, "not-found");
    let mut odd = a_machine(4);
    odd["offers"]["gpus"] = json!(2);
    join(&join_request(&token, 1, &odd)).expect_problem(422, "invalid");
    let joined = join(&asked).expect(201).json();
    assert_eq!(join(&asked).expect(201).json(), joined, "joining twice is joining once");
    join(&join_request(&token, 2, &a_machine(4))).expect_problem(409, "used");
    join(&join_request(&invite(&json!({})), 1, &a_machine(4))).expect_problem(409, "same-machine");
    let stale = invite(&json!({ "valid_hours": 0 }));
    join(&join_request(&stale, 3, &a_machine(4))).expect_problem(409, "expired");
}

#[test]
fn a_caller_who_asks_too_often_waits() {
    let town = Town::with(|config| config.rate_per_second = 50);
    let flood =
        |ask: Ask| (0..2_000).map(|_| town.send(ask.clone())).find(|it| it.status == 429).unwrap();
    for (ask, what) in
        [(Ask::get("/v1/me").by(&town.renter), "a key"), (Ask::get("/v1/network"), "an address")]
    {
        let slowed = flood(ask);
        let wait: u64 = slowed.header("retry-after").parse().unwrap();
        assert!(wait >= 1, "{what}");
        slowed.expect_problem(429, "rate-limited");
    }
    // A wrong key is held to its address's rate, which is used up; a right one is not.
    let guess = town.send(Ask::get("/v1/me").header("authorization", "Bearer iog_x_y"));
    assert!(guess.status == 429 || guess.status == 401, "{}", guess.text());
    town.get(&town.supplier, "/v1/me").expect(200);
}
