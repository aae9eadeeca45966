//! Kinds of translation: what is seen, and who can meet.

use namespaces::matrix::{self, ENDS, RELAYS};
use namespaces::probe::{self, Mapping, Reflector};
use namespaces::{Nat, rig_or_skip};

#[test]
fn directly_meet_those_who_can() {
    for (one, other) in matrix::pairs() {
        let Some(rig) = rig_or_skip(&matrix::plan(one, other)) else { return };
        let reflector = Reflector::start(&rig.at(RELAYS[0])).unwrap();
        let [a, b] = ENDS.map(|name| rig.at(name));
        let met = probe::punch(&a, &b, reflector.address()).unwrap();
        assert_eq!(met, matrix::meet_directly(one, other), "{one:?} × {other:?}");
    }
}

#[test]
fn a_mapping_depends_on_the_destination_only_behind_a_symmetric_nat() {
    for nat in Nat::ALL {
        let Some(rig) = rig_or_skip(&matrix::plan(nat, Nat::None)) else { return };
        let relays = RELAYS.map(|name| Reflector::start(&rig.at(name)).unwrap());
        let again = Reflector::start(&rig.at(RELAYS[0])).unwrap();
        let reflectors = [relays[0].address(), again.address(), relays[1].address()];
        let socket = probe::bind_like(&rig.at("a"), reflectors[0]).unwrap();
        let seen = probe::mapping(&socket, &reflectors).unwrap();
        let kept = Mapping::Same(
            (
                rig.at(if nat == Nat::None { "a" } else { "nat-a" }).v4(),
                socket.local_addr().unwrap().port(),
            )
                .into(),
        );
        let expected = if nat == Nat::Symmetric { Mapping::Differs } else { kept };
        assert_eq!(seen, expected, "{nat:?}");
    }
}
