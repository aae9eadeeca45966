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
