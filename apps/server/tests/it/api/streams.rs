//! Events and logs as they come: without a gap, without a double, and not for ever.

use std::io::{BufRead, BufReader, Read};

use serde_json::{Value, json};

use crate::town::{Ask, Caller, Machine, Town, a_machine};

/// One event of a stream.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) data: Value,
}

/// Reads a stream of events one by one.
pub(super) struct Events(BufReader<Box<dyn Read + Send>>);

impl Events {
    pub(super) fn open(town: &Town, caller: &dyn Caller, path: &str, after: Option<&str>) -> Self {
        let ask = Ask::get(path).by(caller);
        let ask = match after {
            Some(id) => ask.header("last-event-id", id),
            None => ask,
        };
        Self(BufReader::new(town.client.stream(ask)))
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let mut event = Event { id: String::new(), kind: String::new(), data: Value::Null };
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("id", id)) => event.id = id.to_owned(),
                Some(("event", kind)) => event.kind = kind.to_owned(),
                Some(("data", data)) => event.data = serde_json::from_str(data).unwrap(),
                Some((other, _)) => panic!("{other}"),
                None if line == "\n" && !event.id.is_empty() => return Some(event),
                // A sign of life.
                None => {}
            }
        }
    }
}

#[test]
fn a_stream_of_events_goes_on_where_it_broke_off() {
    let town = Town::new();
    let path = format!("/v1/events?project={}", town.renter.project);
    let first = {
        let mut events = Events::open(&town, &town.renter, &path, Some("0.0"));
        town.top_up("1");
        events.by_ref().find(|event| event.data["view"]["available"] == "1.000000").unwrap()
    };
    (2..=20).for_each(|_| town.top_up("1"));
    // Read in pieces, each on a stream of its own.
    let mut seen = vec![first];
    while seen.len() < 20 {
        let after = seen.last().unwrap().id.clone();
        let events = Events::open(&town, &town.renter, &path, Some(&after));
        seen.extend(events.take(3.min(20 - seen.len())));
    }
    let balances: Vec<_> =
        seen.iter().map(|event| event.data["view"]["available"].clone()).collect();
    let expected: Vec<_> = (1..=20).map(|sum| json!(format!("{sum}.000000"))).collect();
    assert_eq!(balances, expected);
    assert!(seen.iter().all(|event| event.kind == "project"));
}

#[test]
fn nobody_hears_of_other_peoples_things() {
    let mut town = Town::new();
    let mut machine = town.machine(1, &a_machine(4));
    town.top_up("10");
    town.running_rental(&mut machine);
    let other = format!("/v1/events?project={}&after=0.0", town.renter.project);
    town.get(&town.stranger, &other).expect_problem(404, "not-found");
    let own = format!("/v1/events?project={}&after=0.0", town.stranger.project);
    let streams = [
        Events::open(&town, &town.stranger, &own, None),
        Events::open(&town, &town.stranger, "/v1/events?after=0.0", None),
        Events::open(&town, &town.supplier, "/v1/events?after=0.0", None),
        Events::open(&town, &town.operator, "/v1/events?after=0.0", None),
    ];
    // A server that stops ends its streams after what there is.
    town.stop();
    let [own, machines, supplied, all] = streams.map(|events| events.collect::<Vec<_>>());
    assert!(!own.is_empty() && own.iter().all(|event| event.data["id"] == town.stranger.project));
    // What is open to everyone is everyone's news.
    assert!(machines.iter().all(|event| event.kind == "parameters"), "{machines:?}");
    assert!(!supplied.is_empty());
    let own: Vec<_> = supplied.iter().filter(|event| event.kind != "parameters").collect();
    assert!(own.iter().all(|event| event.data["id"] == machine.worker), "{own:?}");
    assert!(
        ["project", "rental", "worker"]
            .iter()
            .all(|kind| all.iter().any(|event| event.kind == *kind))
    );
}

#[test]
fn a_stream_ends_with_the_key_or_the_role_it_was_opened_with() {
    let town = Town::new();
    let path = format!("/v1/events?project={}&after=0.0", town.renter.project);
    let mut events = Events::open(&town, &town.viewer, &path, None);
    events.next().unwrap();
    let seat =
        format!("/v1/projects/{}/members/{}", town.renter.project, town.viewer.person.account);
    town.send(Ask::delete(&seat).by(&town.renter)).expect(200);
    town.top_up("1");
    let rest: Vec<_> = events.collect();
    assert!(rest.iter().all(|event| event.data["view"]["available"] == "0.000000"), "{rest:?}");

    let body = json!({ "label": "lost", "scopes": ["read"] });
    let issued = town.post(&town.renter, "/v1/keys", &body).expect(201).json();
    let token = issued["secret"].as_str().unwrap().to_owned();
    let lost = crate::town::Person { account: String::new(), token };
    let events = Events::open(&town, &lost, &path, None);
    let key = issued["key"]["id"].as_str().unwrap();
    town.send(Ask::delete(&format!("/v1/keys/{key}")).by(&town.renter)).expect(200);
    town.top_up("1");
    assert!(events.last().is_some(), "it ends, after what was there");
}

#[test]
fn one_account_has_so_many_streams_and_no_more() {
    let town = Town::new();
    let most = server::limits::STREAMS_PER_CALLER_MAX;
    let path = format!("/v1/events?project={}", town.renter.project);
    let mut open: Vec<_> =
        (0..most).map(|_| Events::open(&town, &town.renter, &path, None)).collect();
    town.get(&town.renter, "/v1/events").expect_problem(409, "too-many");
    drop(Events::open(&town, &town.supplier, "/v1/events", None));
    // The server sees that a client is gone when it next has something to say to it.
    open.pop();
    let again = (0..500).any(|_| {
        town.top_up("1");
        town.client.try_stream(Ask::get("/v1/events").by(&town.renter)).is_some()
    });
    assert!(again, "one that ended makes room");
}

#[test]
fn a_log_is_followed_from_its_first_byte_to_its_last() {
    let town = Town::new();
    town.top_up("10");
    let mut machine = town.machine(1, &a_machine(4));
    let rental = town.running_rental(&mut machine);
    let body = json!({ "entrypoint": "python count.py" });
    let job = town.post(&town.renter, &format!("/v1/rentals/{rental}/jobs"), &body).expect(201);
    let job = job.json()["id"].as_str().unwrap().to_owned();
    let follow = Ask::get(&format!("/v1/jobs/{job}/log?follow=true")).by(&town.renter);
    let mut log = town.client.stream(follow.clone());
    machine.act(&town.client);
    let mut sent = String::new();
    let mut got = vec![0; 1 << 20];
    for line in 0..50 {
        let piece = format!("line {line}\n");
        hand_over(&town, &machine, &job, sent.len(), &piece);
        sent.push_str(&piece);
        log.read_exact(&mut got[..piece.len()]).unwrap();
        assert_eq!(&got[..piece.len()], piece.as_bytes(), "it comes as it is told");
    }
    // Told again, and told in part again.
    hand_over(&town, &machine, &job, 0, &sent);
    hand_over(&town, &machine, &job, sent.len() - 3, &format!("{}end\n", &sent[sent.len() - 3..]));
    sent.push_str("end\n");
    let late = town
        .client
        .stream(Ask::get(&format!("/v1/jobs/{job}/log?follow=true&offset=7")).by(&town.renter));
    machine.all_jobs(&town.client, &json!("succeeded"));
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "end\n", "the stream ends with the job");
    assert_eq!(std::io::read_to_string(late).unwrap(), sent[7..], "from an offset on");
    assert_eq!(std::io::read_to_string(town.client.stream(follow)).unwrap(), sent);
    let plain = |query: &str| {
        town.get(&town.renter, &format!("/v1/jobs/{job}/log{query}")).expect(200).text()
    };
    assert_eq!(plain(""), sent);
    assert_eq!(plain("?offset=10"), sent[10..]);
    assert_eq!(plain("?offset=18446744073709551615"), "");
}

fn hand_over(town: &Town, machine: &Machine, job: &str, offset: usize, piece: &str) {
    let path = format!("/v1/worker/jobs/{job}/log?offset={offset}");
    let told = town.send(Ask::put(&path).bytes(piece.as_bytes()).by(machine)).expect(200).json();
    assert_eq!(told["length"], offset + piece.len());
}
