//! Nodes find each other, talk, and go on talking when ways are cut: on real devices, NATs and relays.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use mesh::{Suite, WayKind};
use namespaces::{Nat, matrix, rig_or_skip};

use crate::lab::{Lab, ip};

#[test]
fn what_is_sent_comes_back_whole_over_both_families_and_both_suites() {
    for suite in [Suite::Standard, Suite::Fast] {
        let Some(rig) = rig_or_skip(&matrix::plan(Nat::Easy, Nat::Easy)) else { return };
        let lab = Lab::new(rig, &["a", "b"], &["relay-1"], suite);
        for (v6, len) in [(false, 32), (true, 32), (false, 1392), (true, 1372), (false, 9000)] {
            assert!(lab.reaches(0, 1, v6, len), "{suite:?}: {len} bytes");
        }
        for (from, to) in [(0, 1), (1, 0)] {
            assert!(lab.goes(from, to, WayKind::Direct), "{suite:?}: {:#?}", lab.ways(from, to));
        }
        transfer(&lab, 8 << 20);
    }
}

#[test]
fn every_pair_of_nats_meets_directly_where_that_is_possible() {
    for (one, other) in matrix::pairs() {
        let Some(rig) = rig_or_skip(&matrix::plan(one, other)) else { return };
        let lab = Lab::new(rig, &["a", "b"], &["relay-1", "relay-2"], Suite::Fast);
        assert!(
            lab.reaches(0, 1, false, 32) && lab.reaches(1, 0, false, 32),
            "{one:?} × {other:?}"
        );
        let direct = matrix::meet_directly(one, other);
        let expected = if direct { WayKind::Direct } else { WayKind::Relayed };
        assert!(lab.goes(0, 1, expected), "{one:?} × {other:?}: {:#?}", lab.ways(0, 1));
        assert!(lab.goes(1, 0, expected), "{one:?} × {other:?}: {:#?}", lab.ways(1, 0));
    }
}

#[test]
fn a_cut_way_a_dead_relay_and_a_forgetful_nat_interrupt_and_no_more() {
    let Some(rig) = rig_or_skip(&matrix::plan(Nat::Easy, Nat::Easy)) else { return };
    let lab = Lab::new(rig, &["a", "b"], &["relay-1", "relay-2"], Suite::Fast);
    assert!(lab.reaches(0, 1, false, 32) && lab.goes(0, 1, WayKind::Direct));
    check(&lab, "a forgetful NAT", |rig| rig.rebind("nat-a").expect("the NAT forgets"));
    check(&lab, "a cut way", |rig| rig.partition("a", "b").expect("the way is cut"));
    assert!(lab.goes(0, 1, WayKind::Relayed) && lab.goes(1, 0, WayKind::Relayed));
    let used = lab.nodes[0].peers().expect("the node lives")[0].way.and_then(|way| way.socket());
    let used = used.expect("a relay's port").ip();
    let dead = if used == lab.rig.at("relay-1").v4() { "relay-1" } else { "relay-2" };
    check(&lab, "a dead relay", |rig| rig.link(dead).cut().expect("the relay is cut off"));
}

#[test]
fn a_long_transfer_goes_on_when_its_way_is_cut() {
    let Some(rig) = rig_or_skip(&matrix::plan(Nat::FullCone, Nat::Easy)) else { return };
    let lab = Lab::new(rig, &["a", "b"], &["relay-1"], Suite::Fast);
    assert!(lab.reaches(0, 1, false, 32) && lab.goes(0, 1, WayKind::Direct));
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| transfer(&lab, 256 << 20));
        lab.rig.partition("a", "b").expect("the way is cut");
        sending.join().expect("all bytes arrived");
    });
    assert!(lab.goes(0, 1, WayKind::Relayed));
}

/// Both talk while something happens, and in the end they still do. How long nothing came back is printed, not asked:
/// on a busy machine it says more of the machine. That failover is short is asked where time is simulated.
#[expect(clippy::print_stdout, reason = "how long it took is worth reading in the test's output")]
fn check(lab: &Lab, what: &str, happens: impl FnOnce(&namespaces::Rig)) {
    let silence = lab.silence_around((0, 1), Duration::from_secs(4), happens);
    println!("{what}: {} ms without an answer", silence.as_millis());
    assert!(lab.reaches(0, 1, false, 32) && lab.reaches(1, 0, false, 32), "{what}");
}

/// So many bytes over TCP, from the first node to the second, each as it was sent.
fn transfer(lab: &Lab, bytes: usize) {
    let listener = lab.rig.at("b").run(|| TcpListener::bind((ip(1, false), 0))).expect("a port");
    let at = listener.local_addr().expect("bound");
    let reading = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody connects");
        let (mut buffer, mut read) = (vec![0; 1 << 16], 0_usize);
        loop {
            let len = stream.read(&mut buffer).expect("the connection holds");
            let right = |(at, byte): (usize, &u8)| usize::from(*byte) == (read + at) % 251;
            assert!(buffer[..len].iter().enumerate().all(right), "a byte is not what was sent");
            read += len;
            if len == 0 {
                return read;
            }
        }
    });
    let mut stream = lab.rig.at("a").run(|| TcpStream::connect(at)).expect("it connects");
    let piece: Vec<u8> = (0..251_u8).cycle().take(251 * 256).collect();
    let mut sent = 0;
    while sent < bytes {
        let len = piece.len().min(bytes - sent);
        stream.write_all(&piece[..len]).expect("the connection holds");
        sent += len;
    }
    drop(stream);
    assert_eq!(reading.join().expect("all bytes are right"), bytes);
}
