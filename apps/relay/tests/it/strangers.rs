//! Bytes of strangers at the doors: the committed corpus, whole, cut short, and changed by chance, run through the
//! entry functions that the fuzzer runs.

use std::fs;
use std::path::PathBuf;

use relay::door::strangers;

use self::mutate::{Chance, mutated};

#[path = "../../../../fuzz/src/mutate.rs"]
#[expect(unreachable_pub, reason = "the fuzzer's package shares it")]
mod mutate;

/// Inputs that are changed by chance, of each kind.
const CHANGED: usize = 20_000;

fn corpus(kind: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(kind);
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

fn run(kind: &str, entry: fn(&[u8])) {
    let inputs = corpus(kind);
    assert!(inputs.len() >= 7, "the corpus is there");
    for bytes in &inputs {
        (0..=bytes.len()).for_each(|end| entry(&bytes[..end]));
    }
    let mut chance = Chance(7);
    for _ in 0..CHANGED {
        let (one, other) = (chance.below(inputs.len()), chance.below(inputs.len()));
        entry(&mutated(&inputs[one], &inputs[other], &mut chance));
    }
}

#[test]
fn first_bytes_of_connections_are_never_too_strange() {
    run("openings", strangers::opening);
}

#[test]
fn requests_are_never_too_strange() {
    run("requests", strangers::request);
}

#[test]
fn names_of_hosts_are_never_too_strange() {
    run("hosts", strangers::host);
}
