//! What a paper is good for, and everything that makes it worthless.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use units::{AccountId, MeshId, RentalId, Timestamp, WorkerId};

use super::*;
use crate::Time;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn network() -> NodeKey {
    NodeKey(key().verifying_key().to_bytes())
}

fn relay() -> RelayRecord {
    RelayRecord {
        relay: NodeKey([1; 32]),
        owner: None,
        tcp: vec!["198.51.100.7:443".parse().unwrap(), "[2001:db8::7]:443".parse().unwrap()],
        udp: vec!["198.51.100.7:3478".parse().unwrap()],
        domain: Some("r1.relays.example".to_owned()),
        score: 930,
        issued: Time(NOW),
        expires: Time(NOW.after(RELAY_VALID_MAX)),
    }
}

fn pass() -> Pass {
    Pass {
        holder: NodeKey([2; 32]),
        worker: Some(WorkerId::from_bits(5)),
        account: AccountId::from_bits(6),
        may: May {
            dial: true,
            publish: false,
            serve: BTreeSet::from([RentalId::from_bits(8)]),
            labels: None,
            forward: BTreeSet::new(),
            meshes: BTreeSet::from([MeshId::from_bits(9)]),
        },
        limits: PassLimits::default(),
        issued: Time(NOW),
        expires: Time(NOW.after(PASS_VALID_MAX)),
    }
}

fn membership() -> Membership {
    let (mesh, node) = (MeshId::from_bits(9), NodeKey([2; 32]));
    Membership {
        mesh,
        node,
        x25519: MeshKey([3; 32]),
        name: "head".parse().unwrap(),
        v4: "100.64.0.2".parse().unwrap(),
        v6: mesh_v6(mesh, &node),
        groups: BTreeSet::from(["group:research".to_owned()]),
        tags: BTreeSet::from(["tag:gpu".to_owned()]),
        suites: vec![SuiteName::Aes256gcm, SuiteName::Wireguard],
        relays: vec![NodeKey([1; 32])],
        serial: 4,
        issued: Time(NOW),
        expires: Time(NOW.after(MEMBERSHIP_VALID_MAX)),
    }
}

fn policy() -> PolicyPaper {
    let rule = PolicyRule {
        grant: 0,
        line: 12,
        heading: Heading::In,
        local: vec!["100.64.0.2".parse().unwrap()],
        remote: vec!["100.64.0.3-100.64.0.9".parse().unwrap(), "fd00::1".parse().unwrap()],
        ports: vec![PortRange { protocol: 6, first: 8265, last: 8265 }],
        via: vec![],
        app: BTreeMap::from([(
            "iog/cap/padding".to_owned(),
            vec![serde_json::json!({"level": 0})],
        )]),
    };
    PolicyPaper {
        mesh: MeshId::from_bits(9),
        node: NodeKey([2; 32]),
        version: 3,
        rules: vec![rule],
        issued: Time(NOW),
        expires: Time(NOW.after(POLICY_VALID_MAX)),
    }
}

fn seal(paper: &impl Paper) -> SealedPaper {
    SealedPaper::seal(paper, &key()).unwrap()
}

fn comes_back<P: Paper + PartialEq + std::fmt::Debug>(paper: &P) {
    let sealed = seal(paper);
    assert_eq!(&sealed.open::<P>(&network(), NOW).unwrap(), paper);
    let bytes = sealed.to_bytes();
    assert_eq!(SealedPaper::read(&bytes).unwrap(), sealed);
    let json = serde_json::to_string(&sealed).unwrap();
    assert_eq!(serde_json::from_str::<SealedPaper>(&json).unwrap(), sealed);
    for cut in 0..bytes.len() {
        assert_eq!(SealedPaper::read(&bytes[..cut]), Err(PaperRefused::NotSealed));
    }
    assert_eq!(SealedPaper::read(&[bytes, vec![0]].concat()), Err(PaperRefused::NotSealed));
}

#[test]
fn every_kind_comes_back_as_it_was_sealed() {
    comes_back(&relay());
    comes_back(&pass());
    comes_back(&membership());
    comes_back(&policy());
}

/// A promise to every reader: papers of last year read this year.
#[test]
fn bodies_read_the_same_as_they_always_did() {
    let body = |paper: SealedPaper| String::from_utf8(paper.body().to_vec()).unwrap();
    insta::assert_snapshot!(
        [
            body(seal(&relay())),
            body(seal(&pass())),
            body(seal(&membership())),
            body(seal(&policy()))
        ]
        .join("\n")
    );
}

#[test]
fn the_longest_pass_fits_one_frame_with_its_seal() {
    let mut full = pass();
    full.may.serve = (0..PASS_NAMES_MAX).map(|n| RentalId::from_bits(n as u128)).collect();
    full.may.forward.clone_from(&full.may.serve);
    full.may.meshes = (0..PASS_NAMES_MAX).map(|n| MeshId::from_bits(n as u128)).collect();
    let label = |number: usize| format!("l{number:035}").parse().unwrap();
    full.may.labels = Some((0..PASS_LABELS_MAX).map(label).collect());
    assert!(seal(&full).to_bytes().len() <= 16_376);
}

#[test]
fn a_paper_is_good_from_its_moment_to_its_end() {
    let sealed = seal(&pass());
    let at = |millis: u64| sealed.open::<Pass>(&network(), Timestamp::from_millis(millis));
    let (begins, ends) = (NOW.millis(), pass().expires.0.millis());
    let skew = u64::try_from(CLOCK_SKEW_MAX.as_millis()).unwrap();
    assert!(at(begins - skew).is_ok() && at(ends - 1).is_ok());
    assert_eq!(at(begins - skew - 1), Err(PaperRefused::NotYet { issued: Time(NOW) }));
    assert_eq!(at(ends), Err(PaperRefused::Expired { expires: pass().expires }));
}

#[test]
fn a_paper_of_another_kind_or_key_is_refused() {
    let sealed = seal(&pass());
    let other = NodeKey([9; 32]);
    let refused = sealed.open::<Pass>(&other, NOW);
    assert_eq!(refused, Err(PaperRefused::Key { found: network() }));
    let refused = sealed.open::<RelayRecord>(&network(), NOW);
    assert_eq!(refused, Err(PaperRefused::Signature { kind: "relay" }));
    // Whoever writes the network's key beside a signature of their own gains nothing.
    let forged = SealedPaper::seal(&pass(), &SigningKey::from_bytes(&[8; 32])).unwrap();
    let mut bytes = forged.to_bytes();
    bytes[1..33].copy_from_slice(&network().0);
    let refused = SealedPaper::read(&bytes).unwrap().open::<Pass>(&network(), NOW);
    assert_eq!(refused, Err(PaperRefused::Signature { kind: "pass" }));
    // A key of small order signs everything, if it is let.
    let refused = SealedPaper::read(&bytes).unwrap().open::<Pass>(&NodeKey([0; 32]), NOW);
    assert!(refused.is_err());
}

#[test]
fn no_bit_can_be_changed() {
    let bytes = seal(&pass()).to_bytes();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let opened = SealedPaper::read(&changed).and_then(|it| it.open::<Pass>(&network(), NOW));
        assert!(opened.is_err(), "bit {bit}");
    }
}

#[test]
fn fields_that_make_no_sense_are_neither_signed_nor_believed() {
    let check = |field: &str, change: &dyn Fn(&mut Membership)| {
        let mut paper = membership();
        change(&mut paper);
        let Err(PaperRefused::Unsound(found)) = SealedPaper::seal(&paper, &key()) else {
            panic!("{field} was let through");
        };
        assert_eq!(found.field, field);
    };
    check("v4", &|it| it.v4 = "100.128.0.1".parse().unwrap());
    check("v6", &|it| it.v6 = "fd00::1".parse().unwrap());
    check("v6", &|it| it.mesh = MeshId::from_bits(10));
    check("groups", &|it| it.groups = BTreeSet::from(["research".to_owned()]));
    check("tags", &|it| it.tags = BTreeSet::from(["tag:".to_owned()]));
    check("tags", &|it| it.tags = (0..33).map(|n| format!("tag:{n}")).collect());
    check("suites", &|it| it.suites = vec![]);
    check("suites", &|it| it.suites = vec![SuiteName::Wireguard; 2]);
    check("relays", &|it| it.relays = vec![NodeKey([1; 32]); 9]);
    check("serial", &|it| it.serial = WHOLE_MAX + 1);
    let domain = RelayRecord { domain: Some("Relay.example.".to_owned()), ..relay() };
    assert!(matches!(SealedPaper::seal(&domain, &key()), Err(PaperRefused::Unsound(_))));
    let nowhere = RelayRecord { tcp: vec![], ..relay() };
    assert!(matches!(SealedPaper::seal(&nowhere, &key()), Err(PaperRefused::Unsound(_))));
    let lasting =
        Pass { expires: Time(NOW.after(PASS_VALID_MAX + Duration::from_millis(1))), ..pass() };
    let refused = SealedPaper::seal(&lasting, &key());
    assert_eq!(refused, Err(PaperRefused::HoldsTooLong { kind: "pass", max_secs: 3600 }));
}

#[test]
fn addresses_follow_from_mesh_and_key() {
    let address = |mesh, node| mesh_v6(MeshId::from_bits(mesh), &NodeKey([node; 32]));
    let distinct = BTreeSet::from([address(1, 1), address(1, 2), address(2, 1), address(2, 2)]);
    assert_eq!(distinct.len(), 4);
    let (block, bits) = mesh_v6_block(MeshId::from_bits(1));
    assert_eq!((block.octets()[0], bits), (0xfd, 48));
    assert_eq!(block.segments()[..3], address(1, 1).segments()[..3]);
    assert_eq!(address(1, 1).to_string(), "fd7f:6e4a:6d42:3c9f:5c4f:8243:b732:51b7");
    assert_ne!(operator_mesh(&NodeKey([1; 32])), operator_mesh(&NodeKey([2; 32])));
    assert_eq!(operator_mesh(&NodeKey([1; 32])).to_string(), "msh_75panh5ffpx3jc0awe3rhcw9ms");
}

proptest! {
    #[test]
    fn strangers_bytes_are_read_without_panic(bytes: Vec<u8>, text: String) {
        if let Ok(paper) = SealedPaper::read(&bytes) {
            prop_assert_eq!(paper.to_bytes(), bytes);
        }
        let _ = (text.parse::<NodeKey>(), text.parse::<MeshKey>(), text.parse::<AddressRange>());
    }

    #[test]
    fn a_body_that_is_signed_but_no_paper_is_refused(body: Vec<u8>) {
        use ed25519_dalek::Signer;
        let signed = [b"iog paper 1 pass\n".as_slice(), &body].concat();
        let signature = key().sign(&signed).to_bytes();
        let length = u32::try_from(body.len()).unwrap().to_le_bytes();
        let bytes = [&[1][..], &network().0, &signature, &length, &body].concat();
        let refused = SealedPaper::read(&bytes).unwrap().open::<Pass>(&network(), NOW);
        let is_unreadable = matches!(refused, Err(PaperRefused::Unreadable { kind: "pass", .. }));
        prop_assert!(is_unreadable);
    }

    #[test]
    fn a_range_of_addresses_reads_as_it_is_written(one: u128, other: u128, is_v4: bool) {
        let address = |bits: u128| -> std::net::IpAddr {
            if is_v4 {
                std::net::Ipv4Addr::from_bits((bits >> 96) as u32).into()
            } else {
                std::net::Ipv6Addr::from_bits(bits).into()
            }
        };
        let range = AddressRange::new(address(one.min(other)), address(one.max(other))).unwrap();
        prop_assert_eq!(range.to_string().parse::<AddressRange>().unwrap(), range);
        prop_assert!(range.contains(range.first()) && range.contains(range.last()));
    }
}
