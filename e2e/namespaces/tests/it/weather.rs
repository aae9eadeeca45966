//! Weather on links: delay, jitter, loss, and rate as asked for.
//!
//! Lower bounds are exact: nothing arrives before its time. Upper ones are met once it has been tried often enough, for
//! a machine may do other things as well.

use std::time::{Duration, Instant};

use namespaces::probe;
use namespaces::{Node, Plan, Rig, Weather, rig_or_skip};

use crate::{asked, carries_tcp, eventually, there_and_back};

#[test]
fn a_delay_shows_twice_in_a_round_trip() {
    let Some(rig) = rig(Weather::CLEAR.delay_ms(20)) else { return };
    check_trips(&rig, 40, 50);
    rig.link("a").weather_down(Weather::CLEAR);
    check_trips(&rig, 20, 30);
    rig.link("a").weather(Weather::CLEAR);
    check_trips(&rig, 0, 10);
}

/// No trip is shorter, and one is soon no longer.
fn check_trips(rig: &Rig, least_ms: u64, most_ms: u64) {
    let (least, most) = (Duration::from_millis(least_ms), Duration::from_millis(most_ms));
    let (socket, reflector, _) = asked(rig, "a", "b");
    eventually(|| {
        let trips = probe::round_trips(&socket, reflector.address(), 10).unwrap();
        let shortest = *trips.iter().min().unwrap();
        assert!(shortest >= least, "{shortest:?} is less than {least:?}");
        shortest < most
    });
}

#[test]
fn jitter_spreads_round_trips() {
    let Some(rig) = rig(Weather::CLEAR.delay_ms(10).jitter_ms(8)) else { return };
    let (socket, reflector, _) = asked(&rig, "a", "b");
    let trips = probe::round_trips(&socket, reflector.address(), 40).unwrap();
    let (shortest, longest) = (*trips.iter().min().unwrap(), *trips.iter().max().unwrap());
    assert!(shortest >= Duration::from_millis(4), "{shortest:?}");
    assert!(longest - shortest > Duration::from_millis(8), "from {shortest:?} to {longest:?}");
}

#[test]
fn as_much_is_lost_as_asked_for_and_no_more() {
    const SENT: u64 = 2000;
    let Some(rig) = rig(Weather::CLEAR.loss_bp(2000)) else { return };
    let (socket, reflector, _) = asked(&rig, "a", "b");
    for _ in 0..SENT {
        // Whether answers come back is all the same here.
        socket.send_to(b"?", reflector.address()).unwrap();
    }
    let counted = || rig.link("a").counts()[0];
    eventually(|| counted().came >= SENT);
    let counts = counted();
    assert!((SENT / 6..SENT / 4).contains(&counts.lost), "{counts:?}");
    assert_eq!(counts.overflowed, 0);
}

#[test]
fn a_rate_bounds_what_tcp_carries() {
    let Some(rig) = rig(Weather::CLEAR.rate_mbit(40)) else { return };
    let begun = Instant::now();
    let (a, b) = (rig.at("a"), rig.at("b"));
    assert!(carries_tcp(&a, &b, b.v4().into(), 0));
    // 3 MiB one way are 630 ms at 40 Mbit/s; the way back goes at the same time.
    assert!(begun.elapsed() > Duration::from_millis(600), "{:?}", begun.elapsed());
}

#[test]
fn tcp_survives_bad_weather() {
    let Some(rig) = rig(Weather::CLEAR.delay_ms(2).jitter_ms(1).loss_bp(100)) else { return };
    let (a, b) = (rig.at("a"), rig.at("b"));
    assert!(carries_tcp(&a, &b, b.v6().into(), 0));
}

#[test]
fn a_dead_link_carries_nothing_and_then_again() {
    let Some(rig) = rig(Weather::CLEAR) else { return };
    let (a, b) = (rig.at("a"), rig.at("b"));
    let listener = b.run(|| std::net::TcpListener::bind((b.v4(), 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let stream = a.run(|| std::net::TcpStream::connect(address)).unwrap();
    let echo = std::thread::spawn(move || crate::echo_once(&listener));
    rig.link("a").weather(Weather::DEAD);
    let transfer = std::thread::spawn(move || there_and_back(&stream).unwrap());
    eventually(|| rig.link("a").counts()[0].lost > 2);
    rig.link("a").weather(Weather::CLEAR);
    assert_eq!(transfer.join().unwrap(), crate::BULK_BYTES);
    echo.join().unwrap();
}

fn rig(weather: Weather) -> Option<Rig> {
    rig_or_skip(&Plan::both([Node::host("a").weather(weather), Node::host("b")]))
}
