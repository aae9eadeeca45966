//! What honest provers do, slow and fast ones.

use proofs::session::{Channel, Prover};
use proofs::transcript::recheck;
use proofs::{Outcome, Reason, Task};

use crate::plain::Plain;
use crate::table::{MATMUL, MEMORY, PUZZLE, Table, prover_key, verifier_key};

#[test]
fn who_computes_right_and_in_time_passes() {
    let tasks = [PUZZLE, Task::Matmul(MATMUL), Task::Memory(MEMORY)];
    let verdict = Table::new(&tasks).play(&mut Plain::default()).unwrap();
    assert_eq!(verdict.outcome(), Outcome::Pass);
    assert_eq!(verdict.tasks.len(), 3);
    // A message takes 100 µs to come, and the ping is taken off.
    assert_eq!(verdict.shortest_ping_us, 100);
    assert_eq!(verdict.tasks.iter().map(|task| task.elapsed_us).collect::<Vec<_>>(), [0, 200, 0]);
    assert_eq!(verdict.tasks[1].rate, 3 * 2 * 256_u64.pow(3) * 1_000_000 / 200);
}

#[test]
fn each_task_stands_alone() {
    for task in [PUZZLE, Task::Matmul(MATMUL), Task::Memory(MEMORY)] {
        assert_eq!(Table::reason(&[task], &mut Plain::default()), Reason::None);
    }
}

#[test]
fn who_is_right_but_late_is_slow_and_not_a_liar() {
    let mut table = Table::new(&[Task::Matmul(MATMUL), PUZZLE]);
    table.way_us = 600_000;
    let verdict = table.play(&mut Plain::default()).unwrap();
    assert_eq!(verdict.outcome(), Outcome::Slow);
    let reasons: Vec<Reason> = verdict.tasks.iter().map(|task| task.reason).collect();
    assert_eq!(reasons, [Reason::Late, Reason::Skipped]);
    // Three roots, less what is taken off of a ping at most.
    assert_eq!(verdict.tasks[0].elapsed_us, 1_800_000 - 300_000);
}

#[test]
fn who_answers_pings_late_gains_no_more_than_the_way_around_the_earth() {
    let mut table = Table::new(&[Task::Matmul(MATMUL)]);
    table.way_us = 5_000_000;
    let verdict = table.play(&mut Plain::default()).unwrap();
    assert_eq!(verdict.shortest_ping_us, 5_000_000);
    assert_eq!(verdict.tasks[0].elapsed_us, 15_000_000 - 300_000);
    assert_eq!(verdict.outcome(), Outcome::Slow);
}

#[test]
fn an_answer_that_is_late_blames_nobody() {
    let mut table = Table::new(&[Task::Memory(MEMORY)]);
    table.way_us = 501_000;
    let verdict = table.play(&mut Plain::default()).unwrap();
    assert_eq!((verdict.outcome(), verdict.reason()), (Outcome::Inconclusive, Reason::Answer));
}

#[test]
fn what_was_said_last_may_be_said_again_and_is_answered_as_before() {
    struct Stammer(Table);
    impl Channel for Stammer {
        fn tell(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, String> {
            let first = self.0.tell(message)?;
            self.0.now_us += 1_000_000;
            assert_eq!(self.0.tell(message)?, first);
            self.0.now_us -= 1_000_000;
            Ok(first)
        }

        fn send(&mut self, message: &[u8]) -> Result<(), String> {
            self.tell(message).map(|_| ())
        }
    }
    let tasks = [PUZZLE, Task::Matmul(MATMUL), Task::Memory(MEMORY)];
    let mut stammer = Stammer(Table::new(&tasks));
    let (challenge, key) = (stammer.0.verifier.challenge(), prover_key());
    let prover = Prover::new(&challenge, verifier_key().verifying_key(), &key, [3; 32]).unwrap();
    let verdict = prover.prove(&mut Plain::default(), &mut stammer).unwrap();
    assert_eq!(verdict.outcome(), Outcome::Pass);
    assert!(recheck(&stammer.0.verifier.transcript(), None).is_ok());
}

#[test]
fn a_session_can_be_stopped_for_a_reason_that_blames_nobody_only() {
    let mut table = Table::new(&[PUZZLE]);
    assert!(table.verifier.stop(Reason::Row).is_none());
    assert!(table.verifier.stop(Reason::Late).is_none());
    assert!(table.verifier.stop(Reason::Expired).is_some());
    assert!(table.verifier.is_over());
    assert!(table.verifier.stop(Reason::Expired).is_none());
    assert!(table.play(&mut Plain::default()).is_err());
}
