//! What honest provers do, slow and fast ones.

use proofs::message::Message;
use proofs::session::{Channel, Prover};
use proofs::transcript::recheck;

use proofs::{Matmul, Memory, Outcome, Reason, Task};

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
    assert_eq!(verdict.tasks[0].elapsed_us, 1_800_000 - 100_000);
}

#[test]
fn who_answers_pings_late_gains_no_more_than_the_way_around_the_earth_nor_a_tenth_of_the_limit() {
    /// What is taken off of three roots.
    fn taken_off(way_us: u64, limit_ms: u32) -> u64 {
        let mut table = Table::new(&[Task::Matmul(Matmul { limit_ms, ..MATMUL })]);
        table.way_us = way_us;
        let verdict = table.play(&mut Plain::default()).unwrap();
        assert_eq!(verdict.shortest_ping_us, way_us);
        assert_eq!(verdict.outcome() == Outcome::Slow, 3 * way_us > u64::from(limit_ms) * 1_000);
        3 * way_us - verdict.tasks[0].elapsed_us
    }
    assert_eq!(taken_off(5_000_000, 14_000), 300_000);
    assert_eq!(taken_off(5_000_000, 1_000), 100_000);
    assert_eq!(taken_off(40_000, 1_000), 40_000);
    assert_eq!(taken_off(5_000_000, 0), 0);
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

#[test]
fn a_walk_in_a_barrier_begins_when_others_are_ready_too_and_waiting_costs_no_time() {
    let tasks = [PUZZLE, Task::Memory(MEMORY)];
    let mut table = Table::in_barrier(&tasks, Some(9_000_000));
    let verdict = table.play(&mut Plain::default()).unwrap();
    assert_eq!((verdict.outcome(), verdict.tasks[1].elapsed_us), (Outcome::Pass, 0));
    let transcript = table.verifier.transcript();
    assert_eq!(recheck(&transcript, Some([5; 32])).unwrap().verdict, verdict);

    let mut table = Table::in_barrier(&tasks, None);
    let verdict = table.play(&mut Plain::default()).unwrap();
    assert_eq!((verdict.outcome(), verdict.reason()), (Outcome::Inconclusive, Reason::Verifier));
    assert_eq!(recheck(&table.verifier.transcript(), None).unwrap().verdict, verdict);
}

#[test]
fn what_a_verifier_has_to_check_of_a_task_has_a_limit_of_a_few_seconds() {
    let dear = [
        Task::Memory(Memory { log_walkers: 10, opened: 1024, steps: 64, mix: 256, ..MEMORY }),
        Task::Matmul(Matmul { log_n: 16, rounds: 128, checked: 128, rows: 1, ..MATMUL }),
        Task::Matmul(Matmul { log_n: 13, rounds: 1024, checked: 128, rows: 15, ..MATMUL }),
    ];
    let too_dear = [
        Task::Memory(Memory { log_walkers: 10, opened: 1024, steps: 64, mix: 258, ..MEMORY }),
        Task::Matmul(Matmul { log_n: 17, ..MATMUL }),
        Task::Matmul(Matmul { rounds: 1024, checked: 129, rows: 1, ..MATMUL }),
        Task::Matmul(Matmul { log_n: 16, rounds: 128, checked: 128, rows: 2, ..MATMUL }),
    ];
    assert!(dear.iter().all(|task| task.check().is_ok()), "{dear:?}");
    for task in too_dear {
        assert!(task.check().is_err(), "{task:?}");
        let transcript = Table::new(&[task]).verifier.challenge();
        assert!(Message::read(&transcript).is_err(), "nobody has to read it");
    }
}
