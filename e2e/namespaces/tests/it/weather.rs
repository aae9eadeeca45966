//! Weather on links: delay, jitter, loss, and rate as asked for.
//!
//! Lower bounds are exact: nothing arrives before its time. Upper ones leave room for a machine that does other things.

use std::time::{Duration, Instant};

use namespaces::probe;
use namespaces::{Node, Plan, Rig, Weather, rig_or_skip};

use crate::{asked, carries_tcp, eventually, there_and_back};

#[test]
fn a_delay_shows_twice_in_a_round_trip() {
    let Some(rig) = rig(Weather::CLEAR.delay_ms(20)) else { return };
    let (socket, reflector, _) = asked(&rig, "a", "b");
    let trips = probe::round_trips(&socket, reflector.address(), 10).unwrap();
    check_between(*trips.iter().min().unwrap(), 40, 60);
    rig.link("a").weather_down(Weather::CLEAR);
    let trips = probe::round_trips(&socket, reflector.address(), 10).unwrap();
    check_between(*trips.iter().min().unwrap(), 20, 40);
    rig.link("a").weather(Weather::CLEAR);
    let trips = probe::round_trips(&socket, reflector.address(), 10).unwrap();
    check_between(*trips.iter().min().unwrap(), 0, 20);
}

#[test]
fn jitter_spreads_round_trips() {
    let Some(rig) = rig(Weather::CLEAR.delay_ms(10).jitter_ms(8)) else { return };
    let (socket, reflector, _) = asked(&rig, "a", "b");
    let trips = probe::round_trips(&socket, reflector.address(), 40).unwrap();
    let (shortest, longest) = (*trips.iter().min().unwrap(), *trips.iter().max().unwrap());
    check_between(shortest, 4, 20);
    assert!(longest - shortest > Duration::from_millis(8), "from {shortest:?} to {longest:?}");
}

fn check_between(took: Duration, least_ms: u64, most_ms: u64) {
    let (least, most) = (Duration::from_millis(least_ms), Duration::from_millis(most_ms));
    assert!((least..most).contains(&took), "{took:?} is not within {least:?} and {most:?}");
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
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
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
