//! Guards: told what crossed to the byte, and obeyed both ways.

use std::sync::{Arc, Mutex, MutexGuard};

use mesh::{Crossing, Direction, Guard, Transport};

use crate::pair::{End, Pair};

/// Stops UDP to one port, and writes down what it is asked and told.
#[derive(Debug, Default)]
struct Clerk {
    stops: Option<u16>,
    told: Mutex<Vec<(Direction, bool, u64, u64)>>,
}

impl Clerk {
    fn told(&self) -> MutexGuard<'_, Vec<(Direction, bool, u64, u64)>> {
        self.told.lock().expect("nobody panics while writing")
    }
}

impl Guard for Clerk {
    fn lets_pass(&self, crossing: &Crossing<'_>) -> bool {
        match crossing.flow.transport {
            Transport::Udp { target, .. } => Some(target) != self.stops,
            Transport::Tcp { .. }
            | Transport::Icmp { .. }
            | Transport::Fragment { .. }
            | Transport::Other { .. } => true,
        }
    }

    fn on_carried(&self, crossing: &Crossing<'_>, packets: u64, bytes: u64) {
        self.told().push((crossing.direction, true, packets, bytes));
    }

    fn on_stopped(&self, crossing: &Crossing<'_>, packets: u64, bytes: u64) {
        self.told().push((crossing.direction, false, packets, bytes));
    }
}

fn guarded(stops: Option<u16>) -> (Pair, Arc<Clerk>) {
    let mut pair = Pair::new(End::default(), End::default());
    pair.send("first");
    assert_eq!(pair.b.texts(), ["first"]);
    let clerk = Arc::new(Clerk { stops, ..Clerk::default() });
    pair.b.mesh.set_guard(Some(clerk.clone()));
    pair.settle();
    (pair, clerk)
}

#[test]
fn what_crosses_is_told_with_its_length_inside() {
    let (mut pair, clerk) = guarded(None);
    pair.send("four");
    pair.send_back("seven");
    assert_eq!((pair.b.texts(), pair.a.texts()), (vec!["four".into()], vec!["seven".into()]));
    let told = clerk.told().clone();
    assert_eq!(told, [(Direction::In, true, 1, 32), (Direction::Out, true, 1, 33)]);
}

#[test]
fn what_is_stopped_comes_no_further_and_is_counted() {
    let (mut pair, clerk) = guarded(Some(0x2000));
    pair.send("four");
    assert!(pair.b.texts().is_empty());
    assert_eq!(clerk.told().clone(), [(Direction::In, false, 1, 32)]);
    assert_eq!(pair.b.mesh.peers().next().unwrap().1.link.carried().refused, 1);
}

#[test]
fn a_guard_of_the_configuration_is_there_before_the_first_packet() {
    let clerk = Arc::new(Clerk { stops: Some(0x2000), ..Clerk::default() });
    let mut config = crate::pair::config(1, End::default());
    config.guard = Some(clerk);
    let mut mesh = mesh::Mesh::new(config, [1; 32]);
    mesh.set_peer(crate::pair::peer(2, End::default(), None, None), crate::pair::START);
    let Some(mesh::Effect::Publish(plane)) = mesh.next_effect() else { panic!("a picture first") };
    let [one, two] = [1, 2].map(|last| std::net::Ipv4Addr::new(10, 0, 0, last));
    let frame = [&[0; mesh::VNET_LEN], &crate::pair::udp(one, two, b"text")[..]].concat();
    let stays = plane.depart(&frame, crate::pair::START).expect_err("it is stopped");
    assert_eq!(stays, mesh::Stays::Stopped);
}

#[test]
fn a_guard_is_asked_about_protocols_that_nobody_knows() {
    let mut config = crate::pair::config(1, End::default());
    config.guard = Some(Arc::new(Clerk::default()));
    let mut mesh = mesh::Mesh::new(config, [1; 32]);
    mesh.set_peer(crate::pair::peer(2, End::default(), None, None), crate::pair::START);
    let Some(mesh::Effect::Publish(plane)) = mesh.next_effect() else { panic!("a picture first") };
    let [one, two] = [1, 2].map(|last| std::net::Ipv4Addr::new(10, 0, 0, last));
    let mut packet = crate::pair::udp(one, two, b"text");
    packet[9] = 47;
    packet[10..12].fill(0);
    let sum = mesh::Sum::of(&packet[..20]).finish();
    packet[10..12].copy_from_slice(&sum);
    let frame = [&[0; mesh::VNET_LEN], &packet[..]].concat();
    let stays = plane.depart(&frame, crate::pair::START).expect_err("there is no session");
    assert!(matches!(stays, mesh::Stays::Waits(_)), "{stays}");
}
