//! Threads that judge what was opened: plain ones, as many as there are cores, so that answering goes on beside them.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::Context;
use proofs::Reason;
use proofs::session::{Reply, Verifier, Work};
use tokio::sync::oneshot;

use super::us;
use crate::limits::PROOF_JUDGE_QUEUE_MAX;
use crate::metrics::Metrics;

struct Job {
    work: Work,
    answer: oneshot::Sender<Option<Reason>>,
}

/// How openings get to whoever judges them.
#[derive(Debug)]
pub(super) struct Judges {
    jobs: SyncSender<Job>,
}

impl Judges {
    /// Starts the threads. They end with the last handle.
    pub(super) fn start(metrics: &Metrics) -> anyhow::Result<Self> {
        let (judges, queue) = Self::with_room(PROOF_JUDGE_QUEUE_MAX);
        let queue = Arc::new(Mutex::new(queue));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        for number in 0..cores {
            let (queue, metrics) = (Arc::clone(&queue), metrics.clone());
            std::thread::Builder::new()
                .name(format!("judge-{number}"))
                .spawn(move || judge(&queue, &metrics))
                .context("start a thread that judges proofs")?;
        }
        Ok(judges)
    }

    /// With room for so much that waits, and what takes it out.
    fn with_room(room: usize) -> (Self, Receiver<Job>) {
        let (jobs, queue) = sync_channel(room);
        (Self { jobs }, queue)
    }

    /// Has what a session has opened judged, or stops it where there is no room for that.
    pub(super) async fn judge(
        &self,
        verifier: &mut Verifier,
        work: Work,
        begun: Instant,
    ) -> Option<Reply> {
        let judged = match self.begin(work) {
            Some(judged) => judged.await.ok(),
            None => None,
        };
        match judged {
            Some(wrong) => verifier.judged(wrong, us(begun.elapsed())).ok(),
            None => verifier.stop(Reason::Verifier),
        }
    }

    /// Has something judged; nothing if too much waits already.
    fn begin(&self, work: Work) -> Option<oneshot::Receiver<Option<Reason>>> {
        let (answer, judged) = oneshot::channel();
        self.jobs.try_send(Job { work, answer }).ok().map(|()| judged)
    }
}

fn judge(queue: &Mutex<Receiver<Job>>, metrics: &Metrics) {
    loop {
        let job = queue.lock().expect("nobody panics with the queue in hand").recv();
        let Ok(Job { work, answer }) = job else { return };
        let begun = Instant::now();
        let wrong = work.run();
        metrics.proof_judged(begun.elapsed());
        // Who no longer waits for the answer does not need it.
        let _ = answer.send(wrong);
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use proofs::message::Challenge;
    use proofs::session::{Channel, Prover, Sigma};
    use proofs::{Matmul, Outcome, Task, Verdict, transcript};
    use prover::cpu::Processor;
    use units::WorkerId;

    use super::*;

    /// A session in one process, whose openings go to these judges.
    struct Straight<'a> {
        verifier: Verifier,
        judges: &'a Judges,
        runtime: tokio::runtime::Runtime,
    }

    impl Channel for Straight<'_> {
        fn tell(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, String> {
            let reply = match self.verifier.hear(message.into(), 1) {
                Ok(Reply::Judge(work)) => {
                    let judging = self.judges.judge(&mut self.verifier, work, Instant::now());
                    self.runtime.block_on(judging).expect("the session goes on")
                }
                other => other.map_err(|why| why.to_string())?,
            };
            Ok(match reply {
                Reply::Say(message) | Reply::Sealed(message, _) => Some(message.to_vec()),
                Reply::Wait | Reply::Judge(_) => None,
            })
        }

        fn send(&mut self, message: &[u8]) -> Result<(), String> {
            self.tell(message).map(drop)
        }
    }

    fn prove(judges: &Judges) -> Verdict {
        let [verifier_key, key] = [1, 2].map(|byte| SigningKey::from_bytes(&[byte; 32]));
        let matmul = Matmul {
            log_n: 8,
            rounds: 1,
            checked: 1,
            rows: 2,
            limit_ms: 60_000,
            answer_ms: 60_000,
        };
        let challenge = Challenge {
            verifier: [0; 32],
            prover: key.verifying_key().to_bytes(),
            worker: WorkerId::from_bits(5),
            owner: [0; 16],
            card: [7; 32],
            rental: None,
            barrier: [0; 16],
            hour: 1,
            commitment: [0; 32],
            pings: 0,
            tasks: vec![Task::Matmul(matmul)],
        };
        let verifier = Verifier::new(verifier_key.clone(), Sigma([9; 32]), challenge, u64::MAX);
        let verifier = verifier.expect("the key is a key");
        let first = verifier.challenge();
        let prover = Prover::new(&first, verifier_key.verifying_key(), &key, [3; 32]);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("it starts");
        let mut straight = Straight { verifier, judges, runtime };
        let prover = prover.expect("the challenge is its own");
        let verdict = prover.prove(&mut Processor::default(), &mut straight);
        let report = transcript::recheck(&straight.verifier.transcript(), None);
        assert_eq!(report.map(|it| it.verdict).ok(), verdict.as_ref().ok().cloned());
        verdict.expect("there is a verdict")
    }

    #[test]
    fn where_too_much_waits_nobody_is_blamed_and_the_transcript_holds() {
        let judges = Judges::start(&Metrics::new()).expect("threads start");
        assert_eq!(prove(&judges).outcome(), Outcome::Pass);
        let (full, _queue) = Judges::with_room(0);
        let verdict = prove(&full);
        assert_eq!(
            (verdict.outcome(), verdict.reason()),
            (Outcome::Inconclusive, Reason::Verifier)
        );
        let (gone, queue) = Judges::with_room(9);
        drop(queue);
        assert_eq!(prove(&gone).reason(), Reason::Verifier, "nobody judges any more");
    }
}
