//! Transcripts, as somebody else re-checks them.

use ed25519_dalek::SigningKey;
use proofs::message::{Body, Chain, Message};
use proofs::transcript::{Flaw, recheck};
use proofs::{Judged, Outcome, Reason, Task, Verdict};

use crate::plain::Plain;
use crate::table::{MATMUL, MEMORY, PUZZLE, Table, prover_key, verifier_key};

fn played(tasks: &[Task]) -> Vec<u8> {
    let mut table = Table::new(tasks);
    table.play(&mut Plain::default()).unwrap();
    table.verifier.transcript()
}

#[test]
fn an_honest_one_holds_with_the_verifiers_vectors_and_with_ones_own() {
    let tasks = [PUZZLE, Task::Matmul(MATMUL), Task::Memory(MEMORY)];
    let bytes = played(&tasks);
    for secret in [None, Some([77; 32])] {
        let report = recheck(&bytes, secret).unwrap();
        assert_eq!(report.verdict.outcome(), Outcome::Pass);
        assert_eq!(report.challenge.tasks, tasks);
    }
}

#[test]
fn one_that_was_stopped_holds_as_far_as_it_goes() {
    let mut table = Table::new(&[PUZZLE]);
    table.verifier.stop(Reason::Expired).unwrap();
    let bytes = table.verifier.transcript();
    let report = recheck(&bytes, None).unwrap();
    assert_eq!(report.verdict.reason(), Reason::Expired);
}

#[test]
fn any_bit_that_is_flipped_is_found() {
    let bytes = played(&[PUZZLE]);
    assert!(recheck(&bytes, None).is_ok());
    for at in 0..bytes.len() {
        let mut touched = bytes.clone();
        touched[at] ^= 1 << (at % 8);
        assert!(recheck(&touched, None).is_err(), "byte {at}");
    }
    for cut in [0, 1, 71, bytes.len() - 1] {
        assert!(recheck(&bytes[..cut], None).is_err(), "cut at {cut}");
    }
    assert!(recheck(&[bytes, vec![0]].concat(), None).is_err());
}

/// Signs a transcript again after its bodies were changed: what a verifier who lies can do.
fn signed_again(bytes: &[u8], change: impl Fn(&mut Body<'_>)) -> Vec<u8> {
    let mut rest = bytes;
    let mut chain: Option<Chain> = None;
    let mut out = Vec::new();
    while !rest.is_empty() {
        let (message, left) = Message::split(rest).unwrap();
        rest = left;
        let chain = chain.get_or_insert_with(|| Chain::new(message.session, message.expires_ms));
        let key: SigningKey = match message.is_by(&prover_key().verifying_key()) {
            true => prover_key(),
            false => verifier_key(),
        };
        let mut body = message.body;
        change(&mut body);
        out.extend(chain.say(&body, &key));
    }
    out
}

fn judged(reason: Reason) -> impl Fn(&mut Body<'_>) {
    move |body| {
        if let Body::Verdict(Verdict { tasks, .. }) = body {
            tasks[0] = Judged { reason, ..tasks[0] };
        }
    }
}

#[test]
fn a_verifier_that_lies_about_the_outcome_is_exposed() {
    let bytes = played(&[Task::Matmul(MATMUL)]);
    assert!(recheck(&signed_again(&bytes, |_| {}), None).is_ok());
    for reason in [Reason::Row, Reason::Path, Reason::Late, Reason::Expired] {
        let lie = signed_again(&bytes, judged(reason));
        let refused = recheck(&lie, None).unwrap_err();
        assert!(matches!(refused, Flaw::Verdict { .. }), "{reason:?}: {refused}");
    }
}

#[test]
fn a_verifier_that_passes_a_cheat_is_exposed() {
    // The prover's rows are wrong, and both sign all the same.
    let bytes = played(&[Task::Matmul(MATMUL)]);
    let lie = signed_again(&bytes, |body| {
        if let Body::Openings { bytes, .. } = body {
            *bytes = Box::leak({
                let mut bytes = bytes.to_vec();
                bytes[3] ^= 1;
                bytes.into_boxed_slice()
            });
        }
    });
    let refused = recheck(&lie, None).unwrap_err();
    let Flaw::Verdict { said, follows } = refused else { panic!("{refused}") };
    assert!(said.starts_with("pass") && follows.starts_with("fail"), "{said}, {follows}");
}

#[test]
fn a_verifier_that_chooses_what_it_likes_is_exposed() {
    let bytes = played(&[Task::Matmul(MATMUL)]);
    let other_nonce = signed_again(&bytes, |body| {
        if let Body::Start { nonce, .. } = body {
            nonce[0] ^= 1;
        }
    });
    let other_rows = signed_again(&bytes, |body| {
        if let Body::Ask { selection, .. } = body {
            selection[0] ^= 1;
        }
    });
    for lie in [other_nonce, other_rows] {
        let refused = recheck(&lie, None).unwrap_err();
        assert!(matches!(refused, Flaw::Verifier { .. }), "{refused}");
    }
    let other_sigma = signed_again(&bytes, |body| {
        if let Body::Verdict(verdict) = body {
            verdict.sigma[0] ^= 1;
        }
    });
    assert_eq!(recheck(&other_sigma, None), Err(Flaw::Commitment));
    let backward = signed_again(&bytes, |body| {
        if let Body::Verdict(verdict) = body {
            verdict.times_us[1] = u64::MAX;
        }
    });
    assert_eq!(recheck(&backward, None), Err(Flaw::Times));
}
