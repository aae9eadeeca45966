//! Stories of sessions: how they begin, are renewed, end, and survive a bad wire.

use std::net::SocketAddr;
use std::time::Duration;

use crate::pair::{End, Pair};

const HELLO: u8 = 1;
const ANSWER: u8 = 2;
const DATA: u8 = 4;
const FAST_DATA: u8 = 0x84;
const SECOND: Duration = Duration::from_secs(1);

fn standard() -> Pair {
    Pair::new(End::default(), End::default())
}

#[test]
fn the_first_packet_waits_for_the_session_and_then_arrives() {
    let mut pair = standard();
    assert_eq!(pair.count(HELLO), 0, "nobody asks before there is something to say");
    pair.send("hello");
    assert_eq!(pair.b.texts(), ["hello"]);
    assert_eq!((pair.count(HELLO), pair.count(ANSWER)), (1, 1));
}

#[test]
fn both_ends_may_speak_once_the_first_packet_arrived() {
    let mut pair = standard();
    pair.send("hello");
    pair.send_back("well met");
    assert_eq!(pair.a.texts(), ["well met"]);
    assert_eq!(pair.count(HELLO), 1);
}

#[test]
fn a_lost_question_is_asked_again_until_it_is_given_up() {
    let mut pair = standard();
    pair.loses = Box::new(|_| true);
    pair.send("hello");
    pair.pass(SECOND * 30);
    assert!((5..=7).contains(&pair.count(HELLO)), "{}", pair.count(HELLO));
    pair.pass(SECOND * 300);
    assert!((17..=20).contains(&pair.count(HELLO)), "{}", pair.count(HELLO));
    assert_eq!(pair.a.mesh.wake_at(), None, "who gave up has nothing to do");
}

#[test]
fn a_used_session_is_renewed_by_who_asked_for_it() {
    let mut pair = standard();
    pair.send("0");
    for second in 1..400 {
        pair.pass(SECOND);
        pair.send(&second.to_string());
        pair.send_back("yes");
    }
    assert_eq!(pair.b.texts().len(), 400, "no packet is lost while sessions change");
    assert_eq!(pair.a.texts().len(), 399);
    assert_eq!((pair.count(HELLO), pair.count(ANSWER)), (4, 4));
}

#[test]
fn an_unused_session_dies_in_silence() {
    let mut pair = standard();
    pair.send("hello");
    pair.pass(SECOND * 600);
    assert_eq!(pair.count(HELLO), 1);
    assert_eq!((pair.a.mesh.wake_at(), pair.b.mesh.wake_at()), (None, None));
    pair.send("again");
    assert_eq!(pair.b.texts(), ["hello", "again"]);
    assert_eq!(pair.count(HELLO), 2);
}

#[test]
fn who_hears_without_answering_says_that_it_is_here() {
    let mut pair = standard();
    pair.send("hello");
    pair.pass(SECOND * 9);
    assert_eq!(pair.count(DATA), 1);
    pair.pass(SECOND * 3);
    assert_eq!(pair.count(DATA), 2);
    pair.pass(SECOND * 60);
    assert_eq!(pair.count(DATA), 2, "a sign of life is not answered by another");
}

#[test]
fn a_peer_that_forgot_everything_is_asked_anew() {
    let mut pair = standard();
    pair.send("hello");
    let fresh = standard().b;
    pair.b = fresh;
    pair.send("are you there?");
    pair.pass(SECOND * 16);
    assert_eq!(pair.count(HELLO), 2);
    pair.send("now?");
    assert_eq!(pair.b.texts(), ["now?"]);
}

#[test]
fn a_periodic_sign_of_life_keeps_the_way_open() {
    let every = Some(SECOND * 25);
    let mut pair = Pair::new(End { keepalive_every: every, ..End::default() }, End::default());
    pair.pass(SECOND * 110);
    assert_eq!(pair.count(HELLO), 1, "the session is asked for without anything to say");
    assert_eq!(pair.count(DATA), 5);
}

#[test]
fn own_nodes_speak_the_fast_suite_and_only_they() {
    let fast = End { opens_fast: true, ..End::default() };
    let mut pair = Pair::new(fast, fast);
    pair.send("hello");
    pair.send_back("well met");
    assert_eq!((pair.b.texts(), pair.a.texts()), (vec!["hello".into()], vec!["well met".into()]));
    assert_eq!((pair.count(DATA), pair.count(FAST_DATA)), (0, 2));

    let mut pair = Pair::new(fast, End::default());
    pair.send("hello");
    pair.send_back("well met");
    assert_eq!((pair.b.texts(), pair.a.texts()), (vec!["hello".into()], vec!["well met".into()]));
    assert_eq!((pair.count(DATA), pair.count(FAST_DATA)), (2, 0));
}

#[test]
fn a_packet_of_one_suite_does_not_open_as_the_other() {
    let fast = End { opens_fast: true, ..End::default() };
    for (a, b) in [(fast, fast), (End::default(), fast)] {
        let mut pair = Pair::new(a, b);
        pair.send("hello");
        pair.loses = Box::new(|_| true);
        pair.send("secret");
        let (from, mut datagram) = pair.heard.last().expect("something was sent").clone();
        assert_eq!(pair.b.texts(), ["hello"]);
        datagram[0] = if datagram[0] == DATA { FAST_DATA } else { DATA };
        pair.b.receive(from, datagram.clone(), pair.now);
        assert!(pair.b.texts().is_empty());
        datagram[0] = if datagram[0] == DATA { FAST_DATA } else { DATA };
        pair.b.receive(from, datagram, pair.now);
        assert_eq!(pair.b.texts(), ["secret"], "the forged one did not use up its counter");
    }
}

#[test]
fn a_repeated_packet_is_not_delivered_again() {
    let mut pair = standard();
    pair.send("hello");
    let (from, datagram) = pair.heard.last().expect("something was sent").clone();
    assert_eq!(pair.b.texts(), ["hello"]);
    pair.b.receive(from, datagram, pair.now);
    assert_eq!(pair.b.texts(), Vec::<String>::new());
}

#[test]
fn a_repeated_question_is_not_answered_again() {
    let mut pair = standard();
    pair.send("hello");
    let (from, hello) = pair.heard[0].clone();
    pair.pass(SECOND);
    pair.b.receive(from, hello, pair.now);
    pair.settle();
    assert_eq!(pair.count(ANSWER), 1);
}

#[test]
fn a_changed_packet_has_no_effect() {
    let mut pair = standard();
    pair.send("hello");
    let (from, mut datagram) = pair.heard.last().expect("something was sent").clone();
    pair.b.texts();
    datagram[8] ^= 0x40;
    pair.b.receive(from, datagram, pair.now);
    assert!(pair.b.texts().is_empty());
    pair.send("still here");
    assert_eq!(pair.b.texts(), ["still here"]);
}

#[test]
fn a_peer_is_followed_to_the_address_it_speaks_from() {
    let mut pair = standard();
    pair.send("hello");
    let elsewhere = SocketAddr::from(([198, 51, 100, 7], 4000));
    pair.a.address = elsewhere;
    pair.send("I moved");
    pair.send_back("I see");
    assert_eq!(pair.a.texts(), ["I see"]);
}

#[test]
fn a_source_that_is_not_the_peers_own_is_refused() {
    let mut pair = standard();
    pair.send("hello");
    pair.b.texts();
    let foreign = crate::pair::udp([10, 0, 0, 3].into(), pair.b.ip, b"I am somebody else");
    pair.a.emit(&foreign, pair.now);
    pair.settle();
    assert!(pair.b.texts().is_empty());
}

#[test]
fn both_ends_may_ask_at_once() {
    let mut pair = standard();
    pair.send("hello");
    pair.pass(SECOND * 200);
    let mut first = true;
    // Both first questions cross on the wire.
    pair.loses = Box::new(move |datagram| datagram[0] == ANSWER && std::mem::take(&mut first));
    pair.send("one");
    pair.send_back("two");
    pair.pass(SECOND * 20);
    pair.send("three");
    pair.send_back("four");
    assert!(pair.b.texts().contains(&"three".into()));
    assert!(pair.a.texts().contains(&"four".into()));
}

#[test]
fn under_load_a_cookie_is_asked_for_and_then_honored() {
    let mut pair = standard();
    pair.send("hello");
    let (_, hello) = pair.heard[0].clone();
    for number in 0..1000_u16 {
        let from = SocketAddr::from(([198, 51, 100, 9], number));
        pair.b.receive(from, hello.clone(), pair.now);
    }
    pair.settle();
    let cookies = pair.count(3);
    assert_eq!(
        cookies,
        1000 + 1 - mesh::LOAD_PER_SECOND as usize,
        "load is counted from the first on"
    );
    // A renewal under load: refused once, then proven by the cookie.
    pair.pass(SECOND * 200);
    for number in 0..1000_u16 {
        let from = SocketAddr::from(([198, 51, 100, 9], number));
        pair.b.receive(from, hello.clone(), pair.now);
    }
    pair.b.texts();
    pair.send("under load");
    assert!(pair.b.texts().is_empty(), "the first question is answered by a cookie");
    pair.pass(SECOND * 6);
    assert_eq!(pair.b.texts(), ["under load"]);
}

#[test]
fn a_peer_that_was_removed_and_comes_back_answers_no_old_question() {
    let mut pair = standard();
    pair.send("hello");
    let (from, hello) =
        pair.heard.iter().find(|(_, it)| it[0] == HELLO).expect("it was asked").clone();
    let config = crate::pair::peer(1, End::default(), None, None);
    pair.b.mesh.remove_peer(&config.key);
    pair.b.mesh.set_peer(config, pair.now);
    pair.settle();
    pair.now = pair.now.after(SECOND);
    let answers = pair.count(ANSWER);
    pair.b.receive(from, hello, pair.now);
    pair.settle();
    assert_eq!(pair.count(ANSWER), answers);
}

#[test]
fn what_answers_no_question_of_ours_does_not_reach_the_brain() {
    let mut pair = standard();
    pair.send("hello");
    let old: Vec<_> = pair.heard.iter().filter(|(_, it)| it[0] == ANSWER).cloned().collect();
    let cookie = {
        let mut cookie = vec![7; 64];
        cookie[..4].copy_from_slice(&[3, 0, 0, 0]);
        (pair.b.address, cookie)
    };
    for (from, message) in old.into_iter().chain([cookie]) {
        let mut notes = 0;
        pair.a.look(from, message, pair.now, |_| notes += 1);
        assert_eq!(notes, 0);
    }
}

#[test]
fn a_peer_that_moves_is_noted_once_a_second() {
    let mut pair = standard();
    pair.send("hello");
    pair.heard.clear();
    for text in ["1", "2", "3"] {
        pair.send(text);
    }
    let packets: Vec<_> = pair.heard.iter().filter(|(_, it)| it[0] == DATA).cloned().collect();
    // What was carried is old; each is sealed anew for the other end to hear from elsewhere.
    assert_eq!(packets.len(), 3);
    let elsewhere: SocketAddr = "192.0.2.77:7".parse().expect("an address");
    let mut moved = 0;
    for later in [0, 10, 500, 1200] {
        let now = pair.now.after(Duration::from_millis(later));
        let sealed = pair.a.sealed("text", now);
        pair.b.look(elsewhere, sealed, now, |note| {
            moved += usize::from(matches!(note, mesh::Note::Roamed { .. }));
        });
    }
    assert_eq!(moved, 2);
}
