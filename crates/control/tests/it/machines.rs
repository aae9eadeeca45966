//! Machines: invited, joined, changed, paused, gone.

use std::time::Duration;

use control::{Command, Needs, Noun, Refusal};
use units::{InviteId, Resources};

use crate::town::{Town, account, bits, by, invite_of, joining, machine, worker};

#[test]
fn an_invitation_is_for_one_machine_and_a_day() {
    let mut town = Town::new();
    let invite = InviteId::from_bits(bits("i"));
    assert_eq!(town.tell("m0", joining("m0", invite, 1)), Err(Refusal::NotFound(Noun::Invite)));
    let command = invite_of("i", town.now.after(Duration::from_secs(60)));
    town.ok("sue", command.clone());
    assert_eq!(town.tell("sue", command), Err(Refusal::Exists(Noun::Invite)));
    assert_eq!(town.tell("m1", joining("m0", invite, 1)), Err(Refusal::Forbidden(Needs::Worker)));
    town.ok("m0", joining("m0", invite, 1));
    assert_eq!(town.tell("m1", joining("m1", invite, 1)), Err(Refusal::Used(Noun::Invite)));
    town.ok("sue", invite_of("late", town.now));
    let late = InviteId::from_bits(bits("late"));
    assert_eq!(town.tell("m1", joining("m1", late, 1)), Err(Refusal::Expired(Noun::Invite)));
}

#[test]
fn a_machine_joins_once() {
    let mut town = Town::with(&[1]);
    town.ok("sue", invite_of("i", town.now.after(Duration::from_secs(60))));
    let invite = InviteId::from_bits(bits("i"));
    assert_eq!(town.tell("m0", joining("m0", invite, 1)), Err(Refusal::Exists(Noun::Worker)));
    let Command::Join { fingerprint, .. } = joining("m0", invite, 1) else { return };
    let mut twin = joining("m1", invite, 1);
    if let Command::Join { fingerprint: of_twin, .. } = &mut twin {
        *of_twin = fingerprint;
    }
    assert_eq!(town.tell("m1", twin.clone()), Err(Refusal::SameMachine));
    town.ok("sue", Command::Retire { worker: worker("m0") });
    town.ok("m1", twin);
}

#[test]
fn an_invitation_is_given_by_the_owner_or_the_operator() {
    let mut town = Town::new();
    let command = invite_of("i", town.now);
    assert_eq!(town.tell("ann", command.clone()), Err(Refusal::Forbidden(Needs::Self_)));
    town.ok("operator", command);
    let Command::Invite { invite, secret_sha256, expires_millis, .. } = invite_of("k", town.now)
    else {
        return;
    };
    let account = account("nobody");
    let command =
        Command::Invite { invite, account, secret_sha256, expires_millis, replaces: None };
    assert_eq!(town.tell("operator", command), Err(Refusal::NotFound(Noun::Account)));
}

#[test]
fn a_machine_says_what_makes_sense() {
    let mut town = Town::with(&[1]);
    let mut check = |change: fn(&mut control::MachineRecord)| {
        let mut machine = machine(1);
        change(&mut machine);
        let told = town.tell(
            "m0",
            Command::ChangeMachine { worker: worker("m0"), machine, fingerprint: None },
        );
        assert!(matches!(told, Err(Refusal::Invalid { .. })), "{told:?}");
    };
    check(|machine| machine.offers.vcpus = 0);
    check(|machine| machine.offers.memory_mib = 0);
    check(|machine| machine.gpu_model = None);
    check(|machine| machine.offers.gpus = 0);
    check(|machine| machine.offers.gpus = 65);
    check(|machine| machine.offers.disk_mib = u64::MAX);
    check(|machine| machine.os = "x".repeat(129));
}

#[test]
fn a_machine_in_use_neither_changes_nor_leaves() {
    let mut town = Town::with(&[1]);
    town.running("ann", "a", 1);
    let change =
        Command::ChangeMachine { worker: worker("m0"), machine: machine(2), fingerprint: None };
    assert_eq!(town.tell("m0", change.clone()), Err(Refusal::InUse { rentals: 1 }));
    let retire = Command::Retire { worker: worker("m0") };
    assert_eq!(town.tell("sue", retire.clone()), Err(Refusal::InUse { rentals: 1 }));
    town.end("ann", "a").unwrap();
    town.says("m0", "");
    town.ok("m0", change);
    assert_eq!(town.free("m0"), 2);
    town.ok("sue", retire.clone());
    assert_eq!(town.tell("sue", retire), Err(Refusal::NotFound(Noun::Worker)));
    assert_eq!(town.control.wanted(worker("m0")).nodes, []);
}

#[test]
fn a_paused_or_silent_machine_takes_no_new_rentals_and_keeps_those_it_has() {
    let mut town = Town::with(&[2]);
    town.running("ann", "a", 1);
    town.ok("sue", Command::SetPaused { worker: worker("m0"), paused: true });
    assert!(matches!(town.quote("bob", "b", 1), Err(Refusal::NoOffer(_))));
    assert_eq!(town.stage("a"), "running");
    town.ok("sue", Command::SetPaused { worker: worker("m0"), paused: false });
    town.silent("m0");
    assert!(matches!(town.quote("bob", "b", 1), Err(Refusal::NoOffer(_))));
    town.up("m0");
    town.quote("bob", "b", 1).unwrap();
}

#[test]
fn a_quote_outlives_its_machine_but_not_for_long() {
    let mut town = Town::with(&[1]);
    town.quote("ann", "a", 1).unwrap();
    town.ok("sue", Command::Retire { worker: worker("m0") });
    assert!(matches!(town.rent("ann", "a", false), Err(Refusal::NoOffer(_))));
    town.join("m1", 1).unwrap();
    town.rent("ann", "a", false).unwrap();
    assert_eq!(town.machine_of("a", 0), "m1");
}

/// Who may tell what: everyone else is refused, and learns nothing.
#[test]
fn nobody_tells_what_is_not_theirs_to_tell() {
    let mut town = Town::with(&[1]);
    let id = worker("m0");
    let observe = Command::Observe { worker: id, revision: None, nodes: vec![], jobs: vec![] };
    let change = Command::ChangeMachine { worker: id, machine: machine(1), fingerprint: None };
    let rows: [(Command, &[&str], Refusal); 7] = [
        (Command::Wake {}, &["ann", "operator", "m0"], Refusal::Forbidden(Needs::Clock)),
        (Command::WorkerUp { worker: id }, &["ann", "m0"], Refusal::Forbidden(Needs::Clock)),
        (
            Command::WorkerSilent { worker: id, heard_millis: 0 },
            &["sue", "m0"],
            Refusal::Forbidden(Needs::Clock),
        ),
        (observe, &["ann", "sue", "operator", "m1", "clock"], Refusal::Forbidden(Needs::Worker)),
        (change, &["ann", "sue", "operator", "m1"], Refusal::Forbidden(Needs::Worker)),
        (
            Command::SetPaused { worker: id, paused: true },
            &["ann", "m0", "clock"],
            Refusal::NotFound(Noun::Worker),
        ),
        (Command::Retire { worker: id }, &["ann", "m0", "clock"], Refusal::NotFound(Noun::Worker)),
    ];
    for (command, tellers, refusal) in rows {
        for teller in tellers {
            assert_eq!(
                town.tell(teller, command.clone()),
                Err(refusal.clone()),
                "{:?}",
                by(teller)
            );
        }
    }
    let unknown = worker("m9");
    for command in [
        Command::WorkerUp { worker: unknown },
        Command::WorkerSilent { worker: unknown, heard_millis: 0 },
    ] {
        assert_eq!(town.tell("clock", command), Err(Refusal::NotFound(Noun::Worker)));
    }
    assert_eq!(town.control.wanted(unknown).revision, 0);
}

#[test]
fn nodes_share_a_machine_only_when_asked() {
    let mut town = Town::with(&[2]);
    assert!(matches!(town.quote("ann", "a", 2), Err(Refusal::NoOffer(_))));
    let mut order = crate::town::order(2, 1);
    order.pack = true;
    let (rental, project) = (crate::town::rental("a"), crate::town::project("ann"));
    town.ok("ann", Command::Quote { rental, project, order, hours: 1, pay: None });
    town.rent("ann", "a", false).unwrap();
    let wanted = town.control.wanted(worker("m0"));
    let cards: Vec<&[u32]> = wanted.nodes.iter().map(|node| node.gpus.as_slice()).collect();
    assert_eq!(cards, [[0], [1]]);
    let each = Resources { gpus: 1, vcpus: 1, memory_mib: 1_024, disk_mib: 1_000 };
    assert_eq!(wanted.nodes[1].resources, each);
}
