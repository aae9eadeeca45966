//! Verifier and prover at one table, with a clock that moves as it is told.

use ed25519_dalek::SigningKey;
use proofs::message::Challenge;
use proofs::session::{Channel, ProveFault, Prover, Reply, Sigma, Verifier};
use proofs::{Device, Matmul, Memory, Puzzle, Reason, Task, Verdict};
use units::WorkerId;

/// The verifier's key.
pub(crate) fn verifier_key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

/// The prover's key.
pub(crate) fn prover_key() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

/// A small puzzle.
pub(crate) const PUZZLE: Task = Task::Puzzle(Puzzle { bits: 6, count: 3, limit_ms: 1000 });
/// A small chain of products.
pub(crate) const MATMUL: Matmul =
    Matmul { log_n: 8, rounds: 3, checked: 2, rows: 16, limit_ms: 1000, answer_ms: 500 };
/// A small memory.
pub(crate) const MEMORY: Memory = Memory {
    blocks: 64,
    mix: 8,
    log_walkers: 3,
    legs: 3,
    steps: 7,
    opened: 4,
    fill_ms: 1000,
    walk_ms: 500,
    answer_ms: 500,
};

/// How long it takes to judge what was opened.
const JUDGING_US: u64 = 70;

/// A challenge for the prover of these tests.
pub(crate) fn challenge(tasks: &[Task]) -> Challenge {
    Challenge {
        verifier: [0; 32],
        prover: prover_key().verifying_key().to_bytes(),
        worker: WorkerId::from_bits(5),
        owner: [6; 16],
        card: [7; 32],
        rental: None,
        barrier: [0; 16],
        hour: 494_000,
        commitment: [0; 32],
        pings: 2,
        tasks: tasks.to_vec(),
    }
}

/// Changes a message of the prover's, by its place.
pub(crate) type Bend = Box<dyn FnMut(usize, &mut Vec<u8>)>;

/// The verifier's side of the table.
pub(crate) struct Table {
    /// Leads the session.
    pub(crate) verifier: Verifier,
    /// Microseconds since it began.
    pub(crate) now_us: u64,
    /// Microseconds that each message takes to come.
    pub(crate) way_us: u64,
    /// The first so many messages come at once.
    pub(crate) quick: usize,
    /// How long the walk of a session in a barrier waits for others; without that it stops.
    pub(crate) held_us: Option<u64>,
    /// Changes what the prover says, by its place among its messages, before it is heard.
    pub(crate) bend: Bend,
    said: usize,
}

impl Table {
    /// A session of these tasks.
    pub(crate) fn new(tasks: &[Task]) -> Self {
        Self::of(challenge(tasks))
    }

    /// A session of these tasks in a barrier: its walk waits for so long, or for ever.
    pub(crate) fn in_barrier(tasks: &[Task], held_us: Option<u64>) -> Self {
        let table = Self::of(Challenge { barrier: [8; 16], ..challenge(tasks) });
        Self { held_us, ..table }
    }

    fn of(challenge: Challenge) -> Self {
        let verifier = Verifier::new(verifier_key(), Sigma([9; 32]), challenge, 1_800_000_000_000);
        Self {
            verifier: verifier.unwrap(),
            now_us: 0,
            way_us: 100,
            quick: 0,
            held_us: None,
            bend: Box::new(|_, _| {}),
            said: 0,
        }
    }

    /// Plays it to its end.
    pub(crate) fn play(&mut self, device: &mut dyn Device) -> Result<Verdict, ProveFault> {
        let key = prover_key();
        let challenge = self.verifier.challenge();
        let prover = Prover::new(&challenge, verifier_key().verifying_key(), &key, [3; 32])?;
        prover.prove(device, self)
    }

    /// How it ends with an honest network.
    pub(crate) fn reason(tasks: &[Task], device: &mut dyn Device) -> Reason {
        Self::new(tasks).play(device).unwrap().reason()
    }
}

impl Channel for Table {
    fn tell(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, String> {
        self.now_us += if self.said < self.quick { 0 } else { self.way_us };
        let mut message = message.to_vec();
        (self.bend)(self.said, &mut message);
        self.said += 1;
        let mut reply = self.verifier.hear(message.into(), self.now_us);
        if let Ok(Reply::Judge(work)) = reply {
            self.now_us += JUDGING_US;
            reply = self.verifier.judged(work.run(), self.now_us);
        }
        let mut reply = reply.map_err(|rejected| rejected.to_string())?;
        if self.verifier.is_gathering() {
            self.now_us += self.held_us.unwrap_or(0);
            let went_on = match self.held_us {
                Some(_) => self.verifier.walk(self.now_us),
                None => self.verifier.stop(Reason::Verifier),
            };
            reply = went_on.expect("it waits for that");
        }
        match reply {
            Reply::Say(message) | Reply::Sealed(message, _) => Ok(Some(message.to_vec())),
            Reply::Wait | Reply::Judge(_) => Ok(None),
        }
    }

    fn send(&mut self, message: &[u8]) -> Result<(), String> {
        match self.tell(message)? {
            None => Ok(()),
            Some(_) => Err("the verifier answered in the middle".to_owned()),
        }
    }
}
