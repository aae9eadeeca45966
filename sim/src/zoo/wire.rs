//! One session between the real verifier and a prover of the zoo, over a network that takes its time.
//!
//! # Invariants
//! - The verifier hears a message when it has come whole, by the session's clock, and at no other time.
//! - A session that the prover leaves ends when it expires, as the desk of the server ends it.

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use proofs::limits::ping_taken_off_us;
use proofs::message::{Body, Challenge, Message};
use proofs::session::{Channel, Prover, Reply, Sigma, Verifier};
use proofs::{Reason, Task, Verdict};
use units::WorkerId;

use super::rig::{Clock, Rig, pass};
use crate::dice::Dice;

/// How long a session lasts, in microseconds; facts and rules say 300 seconds.
const SESSION_US: u64 = 300_000_000;
/// When sessions of the zoo expire, in milliseconds since 1970: the verifier's own clock is what counts here.
const EXPIRES_MS: u64 = 1_900_000_000_000;

/// A way through the network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Net {
    /// One way, in microseconds.
    pub(super) way_us: u64,
    /// As much again at most, by chance.
    pub(super) jitter_us: u64,
    /// So often a message is lost and sent again, in thousandths.
    pub(super) loss: u64,
    /// So often the line is cut for good at a message, in thousandths.
    pub(super) cut: u64,
    /// The line to the verifier, in bytes per second.
    pub(super) bytes_per_s: u64,
    /// Answers to pings wait for so long, in microseconds.
    pub(super) pong_us: u64,
}

impl Net {
    /// A house with a good line: 20 ms to the verifier, 10 megabytes per second.
    pub(super) const GOOD: Self = Self {
        way_us: 10_000,
        jitter_us: 2_000,
        loss: 0,
        cut: 0,
        bytes_per_s: 10_000_000,
        pong_us: 0,
    };
}

/// Who verifies, and how honestly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judge {
    /// By the rules.
    Honest,
    /// Calls right whatever is opened.
    Lenient,
    /// Calls wrong whatever is opened.
    Harsh,
}

/// A verifier, and the line to it.
pub(super) struct Wire {
    pub(super) verifier: Verifier,
    clock: Clock,
    net: Net,
    dice: Dice,
    judge: Judge,
    /// Bytes of what would really be opened, for each task.
    openings: Vec<u64>,
    is_cut: bool,
}

/// How a session went.
#[derive(Clone, Debug)]
pub(super) struct Played {
    pub(super) verdict: Verdict,
    pub(super) transcript: Vec<u8>,
    /// How long it took, in microseconds.
    pub(super) took_us: u64,
    /// Why the prover did not get to a verdict, if so.
    pub(super) fault: Option<String>,
}

/// What a session is made of.
#[derive(Clone, Debug)]
pub(super) struct Setup<'a> {
    pub(super) asked: &'a super::card::Asked,
    pub(super) worker: WorkerId,
    pub(super) card: [u8; 32],
    pub(super) hour: u64,
    pub(super) net: Net,
    pub(super) judge: Judge,
}

pub(super) fn verifier_key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

pub(super) fn prover_key() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

pub(super) fn bytes32(dice: &mut Dice) -> [u8; 32] {
    let mut bytes = [0; 32];
    for part in bytes.as_chunks_mut::<8>().0 {
        *part = dice.next().to_le_bytes();
    }
    bytes
}

/// A challenge of these tasks.
pub(super) fn challenge(setup: &Setup<'_>) -> Challenge {
    Challenge {
        verifier: [0; 32],
        prover: prover_key().verifying_key().to_bytes(),
        worker: setup.worker,
        owner: [6; 16],
        card: setup.card,
        rental: None,
        barrier: [0; 16],
        hour: setup.hour,
        commitment: [0; 32],
        pings: 3,
        tasks: setup.asked.played.clone(),
    }
}

/// The tasks of a session, by its transcript.
pub(super) fn tasks_of(transcript: &[u8]) -> Vec<Task> {
    match Message::split(transcript).map(|(first, _)| first.body) {
        Ok(Body::Challenge(challenge)) => challenge.tasks,
        _ => panic!("a transcript begins with its challenge"),
    }
}

/// How long the memory took to fill, by the verifier's times, if it was filled: from the task's Start to Filled, less
/// the shortest ping.
pub(super) fn fill_us(played: &Played) -> Option<u64> {
    let (mut left, mut started) = (played.transcript.as_slice(), None);
    let tasks = tasks_of(left);
    for at in &played.verdict.times_us {
        let (message, rest) = Message::split(left).ok()?;
        left = rest;
        if let Body::Start { .. } = message.body {
            started = Some(*at);
        }
        if let Body::Filled { task } = message.body {
            let Some(Task::Memory(asked)) = tasks.get(usize::from(task)) else { return None };
            let ping = ping_taken_off_us(played.verdict.shortest_ping_us, asked.fill_ms);
            return Some((at - started?).saturating_sub(ping));
        }
    }
    None
}

impl Wire {
    /// A session is opened.
    pub(super) fn open(setup: &Setup<'_>, clock: &Clock, dice: &mut Dice) -> Self {
        let sigma = Sigma(bytes32(dice));
        let verifier = Verifier::new(verifier_key(), sigma, challenge(setup), EXPIRES_MS);
        let size = |task: &Task| u64::try_from(task.openings_bytes()).expect("at most 64 MiB");
        Self {
            verifier: verifier.expect("the prover's key is a key"),
            clock: Clock::clone(clock),
            net: setup.net,
            dice: dice.apart(),
            judge: setup.judge,
            openings: setup.asked.real.iter().map(size).collect(),
            is_cut: false,
        }
    }

    /// Plays it to its end.
    pub(super) fn play(mut self, rig: &mut Rig<'_>, salt: [u8; 32]) -> Played {
        let begun = self.clock.get();
        let (challenge, key) = (self.verifier.challenge(), prover_key());
        let prover = Prover::new(&challenge, verifier_key().verifying_key(), &key, salt)
            .expect("the challenge is for this key");
        self.travel(0);
        let proved = prover.prove(rig, &mut self);
        self.end(begun, proved.map_err(|fault| fault.to_string()))
    }

    /// Ends it when it expires, unless it is over.
    pub(super) fn end(mut self, begun: u64, proved: Result<Verdict, String>) -> Played {
        let (verdict, fault) = match proved {
            Ok(verdict) => (verdict, None),
            Err(fault) => {
                self.clock.set(begun + SESSION_US);
                let Some(Reply::Sealed(_, verdict)) = self.verifier.stop(Reason::Expired) else {
                    panic!("a session that was left is open: {fault}")
                };
                (verdict, Some(fault))
            }
        };
        let transcript = self.verifier.transcript();
        Played { verdict, transcript, took_us: self.clock.get() - begun, fault }
    }

    /// When a message of so many bytes that leaves now has come whole.
    fn arrival(&mut self, bytes: u64) -> u64 {
        let mut took = self.net.way_us + self.dice.between(0, self.net.jitter_us);
        while self.dice.chance(self.net.loss) {
            // Sent again after TCP's least patience, twice that the next time.
            took = 2 * took + 200_000;
        }
        self.clock.get() + took + bytes * 1_000_000 / self.net.bytes_per_s
    }

    fn travel(&mut self, bytes: u64) {
        let at = self.arrival(bytes);
        self.clock.set(at);
    }

    fn hear(&mut self, message: &[u8], at: u64) -> Result<Option<Vec<u8>>, String> {
        let mut reply = self.verifier.hear(Arc::from(message), at);
        if let Ok(Reply::Judge(work)) = reply {
            let wrong = match self.judge {
                Judge::Honest => work.run(),
                Judge::Lenient => None,
                Judge::Harsh => Some(Reason::Row),
            };
            reply = self.verifier.judged(wrong, at);
        }
        match reply.map_err(|rejected| rejected.to_string())? {
            Reply::Say(message) | Reply::Sealed(message, _) => Ok(Some(message.to_vec())),
            Reply::Wait | Reply::Judge(_) => Ok(None),
        }
    }

    /// How much of a long message really travels: that of the task that is asked, not of the small one.
    fn size(&self, message: &[u8]) -> u64 {
        let is_long = message.len() > proofs::message::SMALL_BYTES_MAX;
        let task = usize::from(message.get(72).copied().unwrap_or(0));
        if is_long { self.openings.get(task).copied().unwrap_or(0) } else { 0 }
    }

    fn is_pong(message: &[u8]) -> bool {
        message.get(5) == Some(&4)
    }
}

impl Channel for Wire {
    fn tell(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, String> {
        self.is_cut |= self.dice.chance(self.net.cut);
        if self.is_cut {
            return Err("the line is cut".to_owned());
        }
        if Self::is_pong(message) {
            pass(&self.clock, self.net.pong_us);
        }
        self.travel(self.size(message));
        let heard = self.hear(message, self.clock.get())?;
        if heard.is_some() {
            self.travel(0);
        }
        Ok(heard)
    }

    fn send(&mut self, message: &[u8]) -> Result<(), String> {
        // It travels while the prover goes on.
        let at = self.arrival(0);
        match self.hear(message, at)? {
            None => Ok(()),
            Some(_) => Err("the verifier answered in the middle".to_owned()),
        }
    }
}
