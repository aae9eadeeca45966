//! Attestations: what they grant, whom, and until when.

use std::collections::BTreeSet;

use control::{AttestationRecord, Attested, CardRecord, Command, GuestRecord, Needs, Refusal};
use units::{BlobId, Certification, HOUR, Timestamp};

use crate::town::{Town, digest, machine, order, worker};

/// What a machine with so many cards attests: their serial numbers are as named.
fn attestation(what: Attested, serials: &[&str], at: Timestamp) -> AttestationRecord {
    let card = |serial: &&str| CardRecord {
        serial: (*serial).to_owned(),
        chip: "GH100".to_owned(),
        board: None,
        driver: "570.86.16".to_owned(),
        vbios: "96.00.9f.00.01".to_owned(),
    };
    let guest = GuestRecord {
        platform: "tdx".to_owned(),
        image: "guest".to_owned(),
        measurement: "00".to_owned(),
    };
    AttestationRecord {
        at,
        until: at.after(HOUR * 100),
        what,
        evidence: BlobId::from_sha256([1; 32]),
        cards: serials.iter().map(card).collect(),
        guest: (what != Attested::Gpu).then_some(guest),
        debug: false,
    }
}

fn attest(town: &mut Town, of: &str, what: Attested, serials: &[&str]) -> Result<(), Refusal> {
    let attestation = attestation(what, serials, town.now);
    town.tell("clock", Command::Attest { worker: worker(of), attestation }).map(drop)
}

/// What a machine is listed with, in words.
fn listed(town: &Town, of: &str) -> String {
    let worker = town.control.worker(worker(of)).unwrap();
    let words: Vec<&str> = worker.certifications().iter().map(|it| it.text()).collect();
    words.join(" ")
}

#[test]
fn what_has_attested_is_listed_and_priced_so_for_a_day() {
    let mut town = Town::with(&[2, 2, 0]);
    attest(&mut town, "m0", Attested::Gpu, &["a", "b"]).unwrap();
    attest(&mut town, "m1", Attested::Composite, &["c", "d"]).unwrap();
    attest(&mut town, "m2", Attested::Cpu, &[]).unwrap();
    assert_eq!(listed(&town, "m0"), "attested-gpu");
    assert_eq!(listed(&town, "m1"), "attested-gpu confidential");
    assert_eq!(listed(&town, "m2"), "confidential");
    let price = |town: &Town, of| {
        let worker = town.control.worker(worker(of)).unwrap();
        town.control.worker_price(worker).unwrap().price.to_string()
    };
    assert!(price(&town, "m0") < price(&town, "m1"));
    // Whoever asks for it gets these and no others.
    let mut wanted = order(2, 1);
    wanted.filters.certifications = BTreeSet::from([Certification::AttestedGpu]);
    let placed = town.control.inventory().place(&asked(&wanted)).unwrap();
    let found: BTreeSet<_> = placed.seats.iter().map(|seat| seat.worker).collect();
    assert_eq!(found, BTreeSet::from([worker("m0"), worker("m1")]));
    town.minutes(24 * 60 - 1);
    assert_eq!(listed(&town, "m0"), "attested-gpu");
    town.minutes(1);
    assert_eq!(["m0", "m1", "m2"].map(|of| listed(&town, of)), ["", "", ""]);
    assert!(town.control.inventory().place(&asked(&wanted)).is_err());
}

#[test]
fn it_stands_no_longer_than_what_was_shown_and_is_renewed() {
    let mut town = Town::with(&[1]);
    let mut short = attestation(Attested::Gpu, &["a"], town.now);
    short.until = town.now.after(HOUR);
    town.ok("clock", Command::Attest { worker: worker("m0"), attestation: short });
    town.minutes(30);
    attest(&mut town, "m0", Attested::Gpu, &["a"]).unwrap();
    town.minutes(31);
    assert_eq!(listed(&town, "m0"), "attested-gpu", "the newer one stands");
    town.patch(r#"{"attestation":{"valid_hours":1}}"#);
    attest(&mut town, "m0", Attested::Gpu, &["a"]).unwrap();
    town.minutes(61);
    assert_eq!(listed(&town, "m0"), "", "by the rules of the day it was given");
}

#[test]
fn only_the_clock_says_so_and_only_of_what_is_on_offer() {
    let mut town = Town::with(&[2, 0]);
    let command = |change: &dyn Fn(&mut AttestationRecord), of: &str, town: &Town| {
        let mut attestation = attestation(Attested::Gpu, &["a", "b"], town.now);
        change(&mut attestation);
        Command::Attest { worker: worker(of), attestation }
    };
    for who in ["operator", "sue", "m0"] {
        let told = command(&|_| {}, "m0", &town);
        assert_eq!(town.tell(who, told), Err(Refusal::Forbidden(Needs::Clock)), "{who}");
    }
    let mut check = |of: &str, field: &str, change: &dyn Fn(&mut AttestationRecord)| {
        let told = command(change, of, &town);
        let refused = town.tell("clock", told);
        let Err(Refusal::Invalid { field: found, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(found, field);
    };
    check("m0", "cards", &|it| drop(it.cards.pop()));
    check("m0", "cards", &|it| it.cards[1].serial = "a".to_owned());
    check("m0", "cards", &|it| it.cards[1].driver = "x".repeat(200));
    check("m0", "debug", &|it| it.debug = true);
    check("m0", "at", &|it| it.until = it.at);
    check("m0", "at", &|it| it.at = it.at.after(HOUR));
    check("m0", "what", &|it| it.what = Attested::Composite);
    check("m0", "what", &|it| it.what = Attested::Cpu);
    check("m1", "what", &|_| {});
    assert_eq!([listed(&town, "m0"), listed(&town, "m1")], ["", ""]);
}

#[test]
fn nobody_claims_what_is_to_be_shown() {
    let mut town = Town::with(&[1]);
    for shown in [Certification::AttestedGpu, Certification::Confidential] {
        let mut claimed = machine(1);
        claimed.certifications.insert(shown);
        let command =
            Command::ChangeMachine { worker: worker("m0"), machine: claimed, fingerprint: None };
        let refused = town.tell("m0", command);
        assert!(matches!(refused, Err(Refusal::Invalid { field: "machine.certifications", .. })));
    }
}

#[test]
fn a_card_stands_for_one_machine_at_a_time() {
    let mut town = Town::with(&[1, 1]);
    attest(&mut town, "m0", Attested::Gpu, &["a"]).unwrap();
    let taken = Err(Refusal::SameCard { serial: "a".to_owned() });
    assert_eq!(attest(&mut town, "m1", Attested::Gpu, &["a"]), taken);
    // A machine that shows another card gives the first one up.
    attest(&mut town, "m0", Attested::Gpu, &["b"]).unwrap();
    attest(&mut town, "m1", Attested::Gpu, &["a"]).unwrap();
    assert_eq!(
        attest(&mut town, "m0", Attested::Gpu, &["a"]),
        Err(Refusal::SameCard { serial: "a".to_owned() })
    );
    town.ok("sue", Command::Retire { worker: worker("m1") });
    attest(&mut town, "m0", Attested::Gpu, &["a"]).unwrap();
}

#[test]
fn an_attestation_ends_with_the_hardware_it_was_given_for() {
    let mut town = Town::with(&[2]);
    attest(&mut town, "m0", Attested::Gpu, &["a", "b"]).unwrap();
    let other = |machine, byte: Option<u8>| Command::ChangeMachine {
        worker: worker("m0"),
        machine,
        fingerprint: byte.map(digest),
    };
    let mut more = machine(2);
    more.offers.memory_mib += 1;
    town.ok("m0", other(more, None));
    assert_eq!(listed(&town, "m0"), "attested-gpu", "memory on offer is no card");
    town.ok("m0", other(machine(2), Some(0xee)));
    assert_eq!(listed(&town, "m0"), "", "other cards are");
}

fn asked(order: &control::OrderRecord) -> scheduler::Order {
    scheduler::Order {
        nodes: order.nodes,
        each: order.each,
        filters: scheduler::Filters {
            certifications: order.filters.certifications.clone(),
            ..scheduler::Filters::default()
        },
        ..scheduler::Order::default()
    }
}
