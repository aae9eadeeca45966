//! What holds of roots, paths, and proofs of consistency.

use std::collections::BTreeMap;

use super::*;
use proptest::prelude::*;

fn leaves(count: u32) -> Vec<Vec<u8>> {
    (0..count).map(|number| number.to_le_bytes().to_vec()).collect()
}

fn tree(leaves: &[Vec<u8>]) -> Tree {
    Tree::new(leaves.iter().map(|bytes| leaf_hash(bytes)))
}

/// The definition of RFC 6962, section 2.1, word for word.
fn defined(leaves: &[Vec<u8>]) -> [u8; 32] {
    match leaves {
        [] => Sha256::digest([]).into(),
        [only] => leaf(only),
        many => {
            let half = many.len().next_power_of_two() / 2;
            node(&defined(&many[..half]), &defined(&many[half..]))
        }
    }
}

#[test]
fn roots_are_those_of_the_test_vectors_of_certificate_transparency() {
    // The vectors that implementations of RFC 6962 share.
    let hex = |text: &str| -> Vec<u8> {
        let digits = text.as_bytes().chunks(2);
        digits
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
            .collect()
    };
    let leaves: Vec<_> = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ]
    .map(hex)
    .into();
    let rows = [
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        (5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
        (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
    ];
    for (count, root) in rows {
        assert_eq!(tree(&leaves[..count]).root().to_string(), root, "{count} leaves");
    }
}

#[test]
fn a_proof_of_a_tree_of_one_is_empty_and_there_is_none_beyond_it() {
    let one = tree(&leaves(1));
    assert_eq!(one.proof(0), Some(vec![]));
    assert_eq!(one.proof(1), None);
    assert!(verify(&0_u32.to_le_bytes(), 0, 1, &[], one.root()));
    assert!(!verify(&0_u32.to_le_bytes(), 1, 1, &[], one.root()));
    assert!(!verify(&[], 0, 0, &[], tree(&[]).root()));
}

proptest! {
    #[test]
    fn every_leaf_is_proven_and_nothing_else(
        count in 1_u32..70,
        pick: prop::sample::Index,
        other: prop::sample::Index,
    ) {
        let leaves = leaves(count);
        let tree = tree(&leaves);
        let mut roots = Roots::default();
        leaves.iter().for_each(|bytes| roots.push(bytes));
        prop_assert!(roots.adds_up());
        prop_assert_eq!(tree.root(), BlobId::from_sha256(defined(&leaves)));
        prop_assert_eq!(tree.root(), roots.root());
        let (index, other) = (pick.index(leaves.len()), other.index(leaves.len()));
        let proof = tree.proof(index).unwrap();
        let proves = |leaf: usize, at: usize, proof: &[BlobId]| {
            verify(&leaves[leaf], at as u64, u64::from(count), proof, tree.root())
        };
        prop_assert!(proves(index, index, &proof));
        prop_assert!(index == other || !proves(other, index, &proof));
        prop_assert!(index == other || !proves(index, other, &proof));
        let longer = [proof.clone(), vec![tree.root()]].concat();
        prop_assert!(!proves(index, index, &longer));
        prop_assert!(proof.is_empty() || !proves(index, index, &proof[1..]));
    }
}

/// A log told leaf by leaf: its subtrees by height and index, and its root at every size.
struct Log {
    kept: BTreeMap<(u32, u64), BlobId>,
    roots: Vec<BlobId>,
}

impl Log {
    fn new(leaves: &[Vec<u8>]) -> Self {
        let mut writer = Roots::default();
        let mut log = Self { kept: BTreeMap::new(), roots: vec![writer.root()] };
        for bytes in leaves {
            writer.append(leaf_hash(bytes), |Full { height, index, hash }| {
                assert_eq!(log.kept.insert((height, index), hash), None, "kept once");
            });
            log.roots.push(writer.root());
        }
        log
    }

    fn kept(&self, height: u32, index: u64) -> Option<BlobId> {
        self.kept.get(&(height, index)).copied()
    }
}

/// The vectors that implementations share, computed again in another language with the recursive definitions.
const SHARED: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];

fn shared() -> Vec<Vec<u8>> {
    let byte = |two: &[u8]| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap();
    SHARED.iter().map(|text| text.as_bytes().chunks(2).map(byte).collect()).collect()
}

fn texts(proof: Option<Vec<BlobId>>) -> Vec<String> {
    proof.unwrap().iter().map(BlobId::to_string).collect()
}

#[test]
fn paths_are_those_of_the_test_vectors_of_certificate_transparency() {
    let log = Log::new(&shared());
    let kept = |height, index| log.kept(height, index);
    let check = |index, count, expected: &[&str]| {
        assert_eq!(texts(inclusion(index, count, &kept)), expected, "leaf {index} of {count}");
    };
    check(0, 1, &[]);
    check(
        0,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    );
    check(
        5,
        8,
        &[
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    );
    check(2, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]);
    check(
        1,
        5,
        &[
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    );
}

#[test]
fn consistency_is_shown_as_by_the_test_vectors_of_certificate_transparency() {
    let log = Log::new(&shared());
    let kept = |height, index| log.kept(height, index);
    let check = |older, count, expected: &[&str]| {
        assert_eq!(texts(consistency(older, count, &kept)), expected, "{older} of {count}");
    };
    check(1, 1, &[]);
    check(
        1,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    );
    check(
        6,
        8,
        &[
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    );
    check(
        2,
        5,
        &[
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    );
}

/// Section 2.1.4.1 of RFC 9162, word for word.
fn subproof(older: usize, leaves: &[Vec<u8>], known: bool) -> Vec<[u8; 32]> {
    if older == leaves.len() {
        return if known { Vec::new() } else { vec![defined(leaves)] };
    }
    let half = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(half);
    let (mut proof, other) = match older <= half {
        true => (subproof(older, left, known), right),
        false => (subproof(older - half, right, false), left),
    };
    proof.push(defined(other));
    proof
}

#[test]
fn every_log_up_to_two_hundred_begins_with_every_shorter_one() {
    let log = Log::new(&leaves(200));
    let kept = |height, index| log.kept(height, index);
    let at = |size: usize| (size as u64, log.roots[size]);
    for count in 0..=200 {
        assert_eq!(root(count as u64, &kept), Some(log.roots[count]), "{count} leaves");
        for older in 0..=count {
            let proof = consistency(older as u64, count as u64, &kept).unwrap();
            assert!(verify_consistency(at(older), at(count), &proof), "{older} of {count}");
            assert!(proof.len() <= 9, "{older} of {count}");
        }
        assert_eq!(consistency(count as u64 + 1, count as u64, &kept), None);
    }
}

#[test]
fn every_leaf_of_every_log_up_to_two_hundred_is_proven() {
    let leaves = leaves(200);
    let log = Log::new(&leaves);
    let kept = |height, index| log.kept(height, index);
    for count in 0..=200_usize {
        let tree = tree(&leaves[..count]);
        for (index, bytes) in leaves.iter().enumerate().take(count) {
            let proof = inclusion(index as u64, count as u64, &kept).unwrap();
            assert_eq!(Some(&proof), tree.proof(index).as_ref(), "leaf {index} of {count}");
            assert!(verify(bytes, index as u64, count as u64, &proof, tree.root()));
        }
        assert_eq!(inclusion(count as u64, count as u64, &kept), None);
    }
}

#[test]
fn what_is_not_kept_is_not_proven() {
    assert_eq!(root(3, &|_, _| None), None);
    assert_eq!(inclusion(1, 3, &|_, _| None), None);
    assert_eq!(consistency(2, 3, &|_, _| None), None);
}

#[test]
fn a_writer_is_read_back_and_goes_on() {
    let mut roots = Roots::default();
    leaves(37).iter().for_each(|bytes| roots.push(bytes));
    let text = serde_json::to_string(&roots).unwrap();
    let back: Roots = serde_json::from_str(&text).unwrap();
    assert!(back == roots && back.adds_up() && back.len() == 37);
    let torn: Roots = serde_json::from_str(&text.replace("37", "39")).unwrap();
    assert!(!torn.adds_up(), "a size without its subtrees");
}

proptest! {
    #[test]
    fn a_rewritten_log_is_not_consistent(
        older in 1_usize..200,
        more in 1_usize..100,
        at: prop::sample::Index,
        flipped: prop::sample::Index,
    ) {
        let count = older + more;
        let mut leaves = leaves(u32::try_from(count).unwrap());
        let log = Log::new(&leaves);
        leaves[at.index(older)].push(1);
        let rewritten = Log::new(&leaves);
        let kept = |height, index| rewritten.kept(height, index);
        let old = (older as u64, log.roots[older]);
        let new = (count as u64, rewritten.roots[count]);
        let proof = consistency(old.0, new.0, &kept).unwrap();
        prop_assert!(!verify_consistency(old, new, &proof));

        let honest = consistency(old.0, new.0, &|height, index| log.kept(height, index)).unwrap();
        let grown = (count as u64, log.roots[count]);
        prop_assert!(verify_consistency(old, grown, &honest));
        let longer = [honest.clone(), vec![old.1]].concat();
        prop_assert!(!verify_consistency(old, grown, &longer));
        prop_assert!(!verify_consistency(old, grown, &honest[1..]));
        let mut changed = honest.clone();
        let place = flipped.index(changed.len());
        changed[place] = leaf_hash(b"other");
        prop_assert!(!verify_consistency(old, grown, &changed));
        let expected: Vec<_> = subproof(older, &self::leaves(u32::try_from(count).unwrap()), true)
            .into_iter().map(BlobId::from_sha256).collect();
        prop_assert_eq!(honest, expected);
    }
}
