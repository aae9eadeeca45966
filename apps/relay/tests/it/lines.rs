//! Lines from end to end: a relay, a machine's tunnels, and real programs, over loopback.

use tokio::io::AsyncReadExt;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use trunk::Way;
use wire::audit::Reconciled;

use crate::scene::{Relay, bytes, echo, echoed, eventually, exposed, machine, name, source};

#[test]
fn a_program_behind_a_line_is_reached_by_many_at_once_and_all_bytes_are_accounted_for() {
    let programs = Runtime::new().unwrap();
    let relay = Relay::start(10);
    let _machine = machine(20, &[&relay], vec![exposed("echo", echo(&programs))]);
    eventually("it serves", || relay.serves("echo"));
    let registry = relay.registry.clone();
    let all_heard = relay.do_in(async move {
        let mut visits = JoinSet::new();
        for visit in 0..300_usize {
            let registry = registry.clone();
            visits.spawn(async move {
                let visitor = crate::scene::visitor();
                let stream =
                    relay::Opener::open(&*registry, &name("echo"), &visitor).await.unwrap();
                echoed(stream, bytes(visit * 97)).await
            });
        }
        visits.join_all().await.into_iter().all(|is_heard| is_heard)
    });
    assert!(all_heard);
    eventually("all records are there", || relay.records.0.lock().unwrap().len() == 300);
    let mut carried = 0;
    for (record, node) in relay.records.0.lock().unwrap().iter() {
        assert_eq!(*node, Some(Reconciled::Equal), "{record:?}");
        assert!(record.is_whole);
        assert_eq!(record.traffic.to_service, record.traffic.to_visitor);
        carried += record.traffic.to_service;
    }
    assert_eq!(carried, (0..300).map(|visit| visit * 97).sum::<u64>());
    assert_eq!(relay.registry.streams(), 0);
}

#[test]
fn bulk_moves_to_a_connection_of_its_own_and_every_byte_arrives() {
    bulk(false);
}

#[test]
fn bulk_that_may_be_plain_is_carried_by_the_kernel_and_every_byte_arrives() {
    bulk(true);
}

#[test]
fn bulk_that_goes_one_way_only_moves_too() {
    let programs = Runtime::new().unwrap();
    let relay = Relay::start(10);
    let many = 4 << 20;
    let says = exposed("says", source(&programs, many));
    let _machine = machine(20, &[&relay], vec![says]);
    eventually("it serves", || relay.serves("says"));
    // Often, because whether the other direction waits for room at the time is a matter of luck.
    for _ in 0..6 {
        let mut stream = relay.open(&name("says")).unwrap();
        let heard = relay.do_in(async move {
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).await.unwrap();
            (heard, stream.has_own_connection())
        });
        assert!(heard == (bytes(many), true));
    }
}

fn bulk(is_plain_allowed: bool) {
    let programs = Runtime::new().unwrap();
    let relay = Relay::start(10);
    let mut exposed = exposed("echo", echo(&programs));
    exposed.service.is_plain_allowed = is_plain_allowed;
    let _machine = machine(20, &[&relay], vec![exposed]);
    eventually("it serves", || relay.serves("echo"));
    let many = 64 << 20;
    let (is_heard, carried) = relay.visit(&name("echo"), bytes(many));
    assert!(is_heard);
    assert_eq!(carried.way, if is_plain_allowed { Way::Kernel } else { Way::Own });
    eventually("its record is there", || !relay.records.0.lock().unwrap().is_empty());
    let (record, node) = relay.records.0.lock().unwrap()[0].clone();
    assert_eq!((record.traffic.to_service, record.traffic.to_visitor), (many as u64, many as u64));
    assert_eq!(node, Some(Reconciled::Equal));
}
