//! Everything of a proof that strangers send: messages, transcripts, openings, entries of the log, records, references.

use ed25519_dalek::{Signer, SigningKey};
use merkle::{verify, verify_consistency};
use proofs::fingerprint::Reference;
use proofs::lock::{Ceilings, LockRules, Record};
use proofs::log::Entry;
use proofs::matmul::Products;
use proofs::memory::Walks;
use proofs::message::{Body, Message};
use proofs::transcript::recheck;
use proofs::{Matmul, Memory, Reader, Task};
use units::BlobId;

/// Blocks times mixing that one input may cost: what a transcript may cost at most is seconds, which is no finding.
const WORK_MAX: u64 = 1 << 16;
/// Bytes before a message's body, and of the signature after it.
const AROUND: (usize, usize) = (72, 64);

/// One message, and several one after another.
pub fn message(bytes: &[u8]) {
    let mut left = bytes;
    while let Ok((message, rest)) = Message::split(left) {
        assert!(rest.len() < left.len());
        assert_eq!(Message::read(&left[..left.len() - rest.len()]), Ok(message));
        left = rest;
    }
}

/// A transcript as it is: nearly always a signature is wrong first.
pub fn transcript(bytes: &[u8]) {
    if is_cheap(bytes) {
        let _ = recheck(bytes, Some([5; 32]));
    }
}

/// A transcript that both sides sign again, whatever is in it: what liars can send who work together.
pub fn signed(bytes: &[u8]) {
    if let Some(bytes) = signed_again(bytes).filter(|bytes| is_cheap(bytes)) {
        let _ = recheck(&bytes, Some([5; 32]));
        let _ = Entry::of(&bytes, 0);
    }
}

fn is_cheap(mut bytes: &[u8]) -> bool {
    let mut work = 0;
    while let Ok((message, rest)) = Message::split(bytes) {
        if let Body::Challenge(challenge) = &message.body {
            work += challenge.tasks.iter().map(cost).sum::<u64>();
        }
        bytes = rest;
    }
    work <= WORK_MAX
}

/// What the checks of a task cost, in blocks times mixing.
fn cost(task: &Task) -> u64 {
    match task {
        Task::Puzzle(_) => 0,
        Task::Matmul(task) => 1 << (2 * u32::from(task.log_n)) >> 12,
        Task::Memory(task) => u64::from(task.opened) * u64::from(task.steps) * u64::from(task.mix),
    }
}

/// The same bodies with counters, hashes, keys, and signatures that fit; σ is the last message's.
fn signed_again(bytes: &[u8]) -> Option<Vec<u8>> {
    let (verifier, prover) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
    let mut bodies = Vec::new();
    let mut from = Reader::new(bytes);
    while let Ok(head) = from.array::<{ AROUND.0 }>() {
        let length =
            usize::try_from(u32::from_le_bytes([head[68], head[69], head[70], head[71]])).ok()?;
        bodies.push((head, from.take(length).ok()?.to_vec()));
        from.take(AROUND.1).ok()?;
    }
    let sigma = bodies.last()?.1.first_chunk::<32>().copied()?;
    let challenge = &mut bodies.first_mut()?.1;
    challenge.get_mut(..32)?.copy_from_slice(verifier.verifying_key().as_bytes());
    challenge.get_mut(32..64)?.copy_from_slice(prover.verifying_key().as_bytes());
    let commitment = blake3::derive_key("iog proof 1 commitment", &sigma);
    challenge.get_mut(168..200)?.copy_from_slice(&commitment);
    let session = blake3::derive_key("iog proof 1 session", &sigma);
    let (mut out, mut previous) = (Vec::with_capacity(bytes.len()), [0; 32]);
    for (counter, (head, body)) in (0_u32..).zip(&bodies) {
        let start = out.len();
        out.extend(&head[..8]);
        out.extend(&session[..16]);
        out.extend(counter.to_le_bytes());
        out.extend(&bodies.first()?.0[28..36]);
        out.extend(previous);
        out.extend(u32::try_from(body.len()).ok()?.to_le_bytes());
        out.extend(body);
        let digest = blake3::derive_key("iog proof 1 message", &out[start..]);
        let is_verifiers = [1, 3, 5, 8, 11, 12].contains(&head[5]);
        let signature = if is_verifiers { verifier.sign(&digest) } else { prover.sign(&digest) };
        previous = *blake3::hash(&[&digest[..], &signature.to_bytes()].concat()).as_bytes();
        out.extend(signature.to_bytes());
    }
    Some(out)
}

/// An entry of the log: what reads, writes the same bytes.
pub fn entry(bytes: &[u8]) {
    if let Ok(entry) = Entry::read(bytes) {
        assert_eq!(entry.bytes(), bytes);
    }
}

/// Openings of a walk. The first bytes say of which; the root is made to fit the opened leaf where there is no tree.
pub fn walks(bytes: &[u8]) {
    let mut from = Reader::new(bytes);
    let Ok([blocks, log_walkers, legs, steps, opened]) = from.array() else { return };
    let memory = Memory {
        blocks: u64::from(blocks) + 1,
        mix: 8,
        log_walkers: log_walkers % 5,
        legs: u16::from(legs % 4) + 1,
        steps: u32::from(steps % 4) + 1,
        opened: u16::from(opened % (1 << (log_walkers % 5))) + 1,
        fill_ms: 1,
        walk_ms: 1,
        answer_ms: 1,
    };
    let openings = from.rest();
    let ends = &openings[..openings.len().min(128 * usize::from(memory.legs))];
    let root = *blake3::hash(&[ends, &[0; 4]].concat()).as_bytes();
    let walks = Walks::new(memory, &[1; 32], [2; 32], [3; 32], root);
    let fast = walks.check(openings);
    assert_eq!(fast, walks.check_plainly(openings));
}

/// Openings of a product.
pub fn rows(bytes: &[u8]) {
    let mut from = Reader::new(bytes);
    let (Ok(rows), Ok(root)) = (from.u8(), from.array()) else { return };
    let (rounds, rows) = (u16::from(rows >> 3 & 1) + 1, u16::from(rows % 8) + 1);
    let checked = if rounds == 1 { 1 } else { 2 };
    let task = Matmul { log_n: 8, rounds, checked, rows, limit_ms: 1, answer_ms: 1 };
    let count = usize::from(rounds);
    let (seeds, roots) = (&[[2; 32], [4; 32]][..count], &[root, root][..count]);
    if let Some(products) = Products::new(&task, &[1; 32], seeds, roots, [3; 32]) {
        assert_eq!(products.check(from.left()), products.check_plainly(from.left()));
    }
}

/// A reference of cards, as text.
pub fn reference(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Reference::read(text);
    }
}

/// An hour's record of a machine.
pub fn record(bytes: &[u8]) {
    let _ = Record::read(bytes);
    let _ = proofs::lock::verify(bytes, &LockRules::default(), Ceilings::CONSUMER);
}

/// Paths in the log: two sizes, two roots, and hashes.
pub fn tree(bytes: &[u8]) {
    let mut from = Reader::new(bytes);
    let (Ok(index), Ok(count)) = (from.u64(), from.u64()) else { return };
    let (Ok(old), Ok(new)) = (from.array(), from.array()) else { return };
    let (old, new) = (BlobId::from_sha256(old), BlobId::from_sha256(new));
    let (hashes, rest) = from.left().as_chunks::<32>();
    let path: Vec<BlobId> = hashes.iter().map(|hash| BlobId::from_sha256(*hash)).collect();
    let _ = verify(rest, index, count, &path, new);
    let _ = verify_consistency((index, old), (count, new), &path);
}
