//! Relays that die or go away, and what becomes of what they carried.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

use crate::scene::{Relay, echo, echoed, eventually, exposed, machine, name};

#[test]
fn when_a_relay_dies_new_visits_go_by_the_other_at_once_and_the_line_comes_back_with_it() {
    let programs = Runtime::new().unwrap();
    let (mut first, second) = (Relay::start(10), Relay::start(11));
    let machine = machine(20, &[&first, &second], vec![exposed("echo", echo(&programs))]);
    eventually("both serve", || first.serves("echo") && second.serves("echo"));
    let mut stream = first.open(&name("echo")).unwrap();
    let mut stream = first.do_in(async move {
        stream.write_all(b"before").await.unwrap();
        let mut heard = [0; 6];
        stream.read_exact(&mut heard).await.unwrap();
        stream
    });
    first.kill();
    // Nobody waits for anything: the other line is there already.
    let by_other = second.open(&name("echo")).unwrap();
    assert!(second.do_in(echoed(by_other, b"after".to_vec())));
    let is_broken = second.do_in(async move { stream.read_u8().await.is_err() });
    assert!(is_broken, "what the dead relay carried is over");
    eventually("the machine knows", || machine.lines().len() == 1);
    let again = Relay::start_at(10, first.at.address);
    eventually("the line is back", || again.serves("echo") && machine.lines().len() == 2);
}

#[test]
fn a_relay_that_goes_away_is_replaced_before_its_streams_end() {
    let programs = Runtime::new().unwrap();
    let relays = [Relay::start(10), Relay::start(11), Relay::start(12)];
    let exposed = vec![exposed("echo", echo(&programs))];
    let machine = machine(20, &[&relays[0], &relays[1], &relays[2]], exposed);
    eventually("two serve", || relays[0].serves("echo") && relays[1].serves("echo"));
    assert!(!relays[2].serves("echo"), "two lines are enough");
    let stream = relays[0].open(&name("echo")).unwrap();
    relays[0].registry.drain(30);
    let refused = relays[0].open(&name("echo")).unwrap_err();
    assert_eq!(refused, relay::Refused::Draining);
    assert!(refused.is_passing());
    eventually("the third serves", || relays[2].serves("echo"));
    assert!(relays[0].do_in(echoed(stream, b"still here".to_vec())));
    let draining = machine.lines().iter().filter(|line| line.is_draining).count();
    assert_eq!((machine.lines().len(), draining), (3, 1));
}

#[test]
fn what_is_exposed_and_withdrawn_is_so_at_all_relays() {
    let programs = Runtime::new().unwrap();
    let relays = [Relay::start(10), Relay::start(11)];
    let target = echo(&programs);
    let machine = machine(20, &[&relays[0], &relays[1]], vec![exposed("one", target)]);
    let serve = |label: &str| relays.iter().all(|relay| relay.serves(label));
    eventually("one is served", || serve("one"));
    machine.set_exposed(vec![exposed("one", target), exposed("two", target)]);
    eventually("two is served", || serve("two"));
    machine.set_exposed(vec![exposed("two", target)]);
    eventually("one is not", || relays.iter().all(|relay| !relay.serves("one")));
    assert!(serve("two"));
    drop(machine);
    eventually("nothing is", || relays.iter().all(|relay| relay.registry.services().is_empty()));
    assert_eq!(relays[0].registry.lines(), 0);
}
