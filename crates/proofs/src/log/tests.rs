//! What holds of entries, and of the log they make.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::verdict::Reason;

fn entry(number: u64) -> Entry {
    let byte = number.to_le_bytes()[0];
    Entry {
        session: [byte; 16],
        worker: WorkerId::from_bits(u128::from(number)),
        card: [2; 32],
        hour: 490_000 + number,
        sealed_ms: 1_764_000_000_000 + number,
        transcript: BlobId::from_sha256([3; 32]),
        challenge: [4; 32],
        roots: [5; 32],
        openings: [6; 32],
        verifier: [7; 32],
        sigma: [8; 32],
        tasks: vec![
            Judged { reason: Reason::None, elapsed_us: 12, rate: 34 },
            Judged::ended(Reason::Late),
        ],
    }
}

#[test]
fn an_entry_is_as_long_as_the_page_says_and_reads_back() {
    let bytes = entry(1).bytes();
    assert_eq!(bytes.len(), 278 + 2 * 19);
    assert_eq!(&bytes[..5], b"IOGL\x01");
    assert_eq!(Entry::read(&bytes), Ok(entry(1)));
}

#[test]
fn torn_padded_and_unknown_entries_are_refused() {
    let bytes = entry(1).bytes();
    for size in 0..bytes.len() {
        assert!(matches!(Entry::read(&bytes[..size]), Err(Malformed::Short { .. })), "{size}");
    }
    let padded = [bytes.clone(), vec![0]].concat();
    assert_eq!(Entry::read(&padded), Err(Malformed::Long { extra: 1 }));
    for at in [0, 4, 277, 278] {
        let mut changed = bytes.clone();
        changed[at] = 9;
        assert!(matches!(Entry::read(&changed), Err(Malformed::Unknown { .. })), "byte {at}");
    }
}

#[test]
fn a_records_entry_is_as_long_as_the_page_says_and_is_no_sessions() {
    let (record, hash) = (BlobId::from_sha256([3; 32]), [4; 32]);
    let worker = WorkerId::from_bits(5);
    let lock = LockEntry { worker, hour: 490_000, kept_ms: 1_764_000_000_000, record, hash };
    let bytes = lock.bytes();
    assert_eq!((bytes.len(), &bytes[..5]), (101, &b"IOGR\x01"[..]));
    assert_eq!(Leaf::read(&bytes), Ok(Leaf::Lock(lock)));
    assert_eq!(Leaf::read(&entry(1).bytes()), Ok(Leaf::Proof(Box::new(entry(1)))));
    assert!(Entry::read(&bytes).is_err() && LockEntry::read(&entry(1).bytes()).is_err());
    assert!(LockEntry::read(&bytes[..100]).is_err());
    assert_eq!(Writer::default().append_lock(&lock).1[0].hash, merkle::leaf_hash(&bytes));
}

#[test]
fn nothing_but_a_transcript_has_an_entry() {
    assert_eq!(Entry::of(&[], 0), Err(NoEntry::Torn));
    assert!(matches!(Entry::of(&[1; 100], 0), Err(NoEntry::Malformed(_))));
}

#[test]
fn a_head_is_signed_over_its_size_and_its_root() {
    let head = Head { size: 1, root: BlobId::from_sha256([1; 32]) };
    let digests =
        [head, Head { size: 2, ..head }, Head { root: BlobId::from_sha256([2; 32]), ..head }]
            .map(|head| head.digest());
    assert!(digests[0] != digests[1] && digests[0] != digests[2]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_entry_is_proven_and_every_head_follows_from_the_one_before(
        size in 1_u64..=200,
        pick: prop::sample::Index,
        older: prop::sample::Index,
    ) {
        let (mut writer, mut stored, mut heads) = (Writer::default(), BTreeMap::new(), vec![]);
        heads.push(writer.head());
        for number in 0..size {
            let (place, full) = writer.append(&entry(number));
            prop_assert_eq!(place, number);
            stored.extend(full.iter().map(|full| ((full.height, full.index), full.hash)));
            heads.push(writer.head());
        }
        let kept = |height, index| stored.get(&(height, index)).copied();
        let head = writer.head();
        prop_assert_eq!(root(size, &kept), Some(head.root));

        let place = pick.index(usize::try_from(size).unwrap()) as u64;
        let path = inclusion(place, size, &kept).unwrap();
        prop_assert!(verify(&entry(place).bytes(), place, size, &path, head.root));
        prop_assert!(!verify(&entry(place + 1).bytes(), place, size, &path, head.root));

        let older = heads[older.index(heads.len())];
        let proof = consistency(older.size, size, &kept).unwrap();
        prop_assert!(verify_consistency((older.size, older.root), (size, head.root), &proof));

        let text = serde_json::to_string(&writer).unwrap();
        let mut back: Writer = serde_json::from_str(&text).unwrap();
        prop_assert!(back.adds_up());
        prop_assert_eq!(back.append(&entry(size)), writer.append(&entry(size)));
        prop_assert_eq!(back.head(), writer.head());
    }

    #[test]
    fn any_bytes_are_an_entry_that_writes_the_same_bytes_or_none(
        mut bytes in prop::collection::vec(any::<u8>(), 0..400),
        known: bool,
    ) {
        if known && bytes.len() > 5 {
            bytes[..5].copy_from_slice(b"IOGL\x01");
        }
        if let Ok(entry) = Entry::read(&bytes) {
            prop_assert_eq!(entry.bytes(), bytes);
        }
    }
}
