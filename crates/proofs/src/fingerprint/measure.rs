//! What a session measured of a card, by the verifier's clock.

use std::collections::BTreeMap;

use units::DeviceKind;

use super::{CELLS, Measured, Rate};
use crate::limits::{PING_TAKEN_OFF_US_MAX, ping_taken_off_us};
use crate::message::Body;
use crate::task::Task;
use crate::transcript::{Flaw, split};
use crate::verdict::Outcome;

/// What took less than this says more of clocks and drivers than of a card.
const LEAST_US: u64 = 20_000;
/// A time that is not at least so many pings says more of the network than of a card.
const PINGS_LEAST: u64 = 5;

/// The times of a task that counted, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Spans {
    whole: Option<u64>,
    fill: Option<u64>,
    /// How many times roots came: those that came together came once.
    tellings: u64,
    told_us: u64,
}

/// What a sealed session measured of a card, from the bytes of its transcript: of the tasks that were right, in time or
/// not. Times in which the network may have a large part are left out.
///
/// It is taken at its word: whether it holds is for [`crate::transcript::recheck`] to say.
///
/// # Errors
/// If it is no transcript.
pub fn measured(kind: DeviceKind, transcript: &[u8]) -> Result<Measured, Flaw> {
    let messages = split(transcript)?;
    let Some(Body::Challenge(challenge)) = messages.first().map(|first| first.body.clone()) else {
        return Err(Flaw::NoChallenge);
    };
    let Some(Body::Verdict(verdict)) = messages.last().map(|last| last.body.clone()) else {
        return Err(Flaw::NoVerdict);
    };
    let ping_us = verdict.shortest_ping_us.min(PING_TAKEN_OFF_US_MAX);
    let mut spans = vec![Spans::default(); challenge.tasks.len()];
    let mut from_us = 0;
    for (message, at_us) in messages.iter().zip(&verdict.times_us) {
        let of = |task: u8| usize::from(task);
        let took = at_us.saturating_sub(from_us);
        match &message.body {
            Body::Start { .. } | Body::Walk { .. } => from_us = *at_us,
            Body::Filled { task } => {
                if let Some(spans) = spans.get_mut(of(*task)) {
                    spans.fill = Some(took);
                }
            }
            // Of roots the last one counts.
            Body::Root { task, .. } | Body::Solved { task, .. } => {
                if let Some(spans) = spans.get_mut(of(*task)) {
                    spans.whole = Some(took);
                    spans.tellings += u64::from(spans.told_us != *at_us);
                    spans.told_us = *at_us;
                }
            }
            Body::Challenge(_)
            | Body::Ready { .. }
            | Body::Ping(_)
            | Body::Pong(_)
            | Body::Ask { .. }
            | Body::Openings { .. }
            | Body::Verdict(_)
            | Body::Unable { .. } => {}
        }
    }
    let mut found =
        Measured { kind, rates: BTreeMap::new(), filled_mib: None, reported: BTreeMap::new() };
    for ((task, spans), judged) in challenge.tasks.iter().zip(spans).zip(&verdict.tasks) {
        match judged.outcome() {
            Outcome::Pass | Outcome::Slow => found.take(task, spans, ping_us),
            Outcome::Fail | Outcome::Inconclusive => {}
        }
    }
    Ok(found)
}

impl Measured {
    fn take(&mut self, task: &Task, spans: Spans, ping_us: u64) {
        let once = (PINGS_LEAST * ping_us).max(LEAST_US);
        let off = |limit_ms| ping_taken_off_us(ping_us, limit_ms);
        let mut put =
            |rate: Rate, count: f64, (span, off_us): (Option<u64>, u64), least_us: u64| {
                let span = span.map(|span| span.saturating_sub(off_us));
                if let Some(span) = span.filter(|span| *span >= least_us) {
                    let value = count * 1e6 / span as f64;
                    let best = self.rates.entry(rate).or_insert(value);
                    *best = best.max(value);
                }
            };
        match task {
            Task::Puzzle(asked) => {
                let span = (spans.whole, off(asked.limit_ms));
                put(Rate::Puzzle, asked.hashes() as f64, span, once);
            }
            Task::Matmul(asked) => {
                // Some told while others travel: who computes faster than the line answers waits for it each time.
                let least = once.max(2 * ping_us * spans.tellings);
                let rate = Rate::Matmul { log_n: asked.log_n };
                put(rate, asked.operations() as f64, (spans.whole, off(asked.limit_ms)), least);
            }
            Task::Memory(asked) => {
                let mixed = asked.blocks as f64 * CELLS * f64::from(asked.mix);
                put(Rate::Mix, mixed, (spans.fill, off(asked.fill_ms)), once);
                let span = (spans.whole, off(asked.walk_ms));
                put(Rate::Walk, asked.walked_bytes() as f64, span, once);
                if spans.whole.is_some() {
                    self.filled_mib = self.filled_mib.max(Some(asked.bytes() >> 20));
                }
            }
        }
    }

    /// Takes in what a newer session measured: each rate, and the memory, of the newest that has it.
    pub fn renew(&mut self, newer: Self) {
        self.kind = newer.kind;
        self.rates.extend(newer.rates);
        self.filled_mib = newer.filled_mib.or(self.filled_mib);
        self.reported.extend(newer.reported);
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use units::WorkerId;

    use super::*;
    use crate::message::Challenge;
    use crate::session::{Reply, Sigma, Verifier};
    use crate::task::{Matmul, Memory, Puzzle};

    const MATMUL: Matmul =
        Matmul { log_n: 8, rounds: 4, checked: 1, rows: 1, limit_ms: 1_000, answer_ms: 1_000 };

    fn key(of: u8) -> SigningKey {
        SigningKey::from_bytes(&[of; 32])
    }

    /// A session of one puzzle and one matmul that stops after its last root, a ping of so many microseconds, and
    /// `round_us` for each round.
    fn played(ping_us: u64, puzzle_us: u64, round_us: u64) -> Vec<u8> {
        let puzzle = Puzzle { bits: 1, count: 1, limit_ms: 60_000 };
        let challenge = Challenge {
            verifier: [0; 32],
            prover: key(2).verifying_key().to_bytes(),
            worker: WorkerId::from_bits(1),
            owner: [0; 16],
            card: [0; 32],
            rental: None,
            barrier: [0; 16],
            hour: 0,
            commitment: [0; 32],
            pings: 1,
            tasks: vec![Task::Puzzle(puzzle), Task::Matmul(MATMUL)],
        };
        let mut verifier = Verifier::new(key(1), Sigma([3; 32]), challenge, 1).unwrap();
        let first = verifier.challenge();
        let first = crate::message::Message::read(&first).unwrap();
        let mut chain = crate::message::Chain::new(first.session, 1);
        chain.hear(&first, &key(1).verifying_key()).unwrap();
        let mut now = 0;
        let mut hear = |chain: &mut crate::message::Chain, body: &Body<'_>, after: u64| {
            now += after;
            let said = chain.say(body, &key(2));
            let reply = verifier.hear(said.into(), now).unwrap();
            if let Reply::Say(answer) | Reply::Sealed(answer, _) = &reply {
                let answer = crate::message::Message::read(answer).unwrap();
                chain.hear(&answer, &key(1).verifying_key()).unwrap();
            }
        };
        let salt = [4; 32];
        hear(&mut chain, &Body::Ready { salt }, 1);
        hear(&mut chain, &Body::Pong(0), ping_us);
        let nonce = Sigma([3; 32]).start(0);
        let seed = crate::prf::derive(crate::puzzle::SEED, &[&nonce, &first.hash, &salt]);
        let number = (0..).find(|x| crate::puzzle::solves(&seed, 0, 1, *x)).unwrap();
        let numbers = number.to_le_bytes();
        hear(&mut chain, &Body::Solved { task: 0, numbers: &numbers }, puzzle_us + ping_us);
        for round in 0..MATMUL.rounds {
            let ping = if round == 0 { ping_us } else { 0 };
            hear(&mut chain, &Body::Root { task: 1, round, root: [0; 32] }, round_us + ping);
        }
        // What follows is not its due: it ends here, and blames nobody.
        verifier.stop(crate::verdict::Reason::Expired);
        verifier.transcript()
    }

    #[test]
    fn what_was_right_is_measured_and_what_was_not_finished_is_not() {
        let found = measured(DeviceKind::Gpu, &played(1_000, 50_000, 30_000)).unwrap();
        let rates: Vec<(Rate, f64)> = found.rates.into_iter().collect();
        assert_eq!(rates, [(Rate::Puzzle, 2.0 * 1e6 / 50_000.0)]);
        assert_eq!(found.filled_mib, None);
    }

    #[test]
    fn what_the_network_took_is_not_measured() {
        let taken = |ping_us, puzzle_us| {
            let found = measured(DeviceKind::Gpu, &played(ping_us, puzzle_us, 1)).unwrap();
            found.rates.contains_key(&Rate::Puzzle)
        };
        assert!(taken(1_000, 20_000) && taken(10_000, 50_000));
        assert!(!taken(10_000, 49_999) && !taken(0, 19_999));
    }

    #[test]
    fn each_task_has_the_rates_that_its_times_give() {
        let mut found = Measured {
            kind: DeviceKind::Gpu,
            rates: BTreeMap::new(),
            filled_mib: None,
            reported: BTreeMap::new(),
        };
        // What is taken off is told beside.
        let second = |whole: u64, off_us: u64| Spans {
            whole: Some(whole + off_us),
            fill: Some(2_000_000 + off_us),
            tellings: 3,
            ..Spans::default()
        };
        found.take(&Task::Matmul(MATMUL), second(1_000_000, 1_000), 1_000);
        let memory = Memory {
            blocks: 1 << 18,
            mix: 100,
            log_walkers: 3,
            legs: 2,
            steps: 16,
            opened: 1,
            fill_ms: 60_000,
            walk_ms: 60_000,
            answer_ms: 1,
        };
        found.take(&Task::Memory(memory), second(1_000_000, 1_000), 1_000);
        let rate = |rate| found.rates[&rate];
        assert_eq!(rate(Rate::Matmul { log_n: 8 }), MATMUL.operations() as f64);
        assert_eq!(rate(Rate::Walk), memory.walked_bytes() as f64);
        assert_eq!(rate(Rate::Mix), f64::from(1 << 18) * 64.0 * 100.0 / 2.0);
        assert_eq!(found.filled_mib, Some(1_024));
        let mut slow = Measured { rates: BTreeMap::new(), ..found.clone() };
        slow.take(&Task::Matmul(MATMUL), second(1_000_000, 100_000), 166_667);
        assert!(slow.rates.is_empty(), "it took hardly longer than messages travel");
        slow.take(&Task::Matmul(MATMUL), second(1_000_000, 100_000), 166_666);
        assert_eq!(slow.rates.len(), 1);
    }

    #[test]
    fn what_is_no_transcript_measures_nothing() {
        assert_eq!(measured(DeviceKind::Cpu, &[]), Err(Flaw::NoChallenge));
        let whole = played(1_000, 50_000, 30_000);
        for end in [10, 300, whole.len() - 1] {
            assert!(measured(DeviceKind::Cpu, &whole[..end]).is_err(), "{end}");
        }
    }
}
