//! The prover's side: does what the challenge asks on a device, and keeps to the order of the protocol.

use ed25519_dalek::{SigningKey, VerifyingKey};

use super::Binding;
use crate::device::{Device, DeviceFault};
use crate::limits::UNABLE_BYTES_MAX;
use crate::message::{Body, Chain, Challenge, Message, OutOfPlace};
use crate::task::{Matmul, Memory, Task};
use crate::tree::Tree;
use crate::verdict::Verdict;
use crate::{Malformed, matmul, memory, puzzle};

/// The way to the verifier.
pub trait Channel {
    /// Tells a message; the answer is the verifier's next one, if it has something to say.
    ///
    /// # Errors
    /// Why it did not get there.
    fn tell(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, String>;

    /// Sends a message to which nothing is answered. It may travel while the prover goes on, but never out of order.
    ///
    /// # Errors
    /// Why this one, or one before it, did not get there.
    fn send(&mut self, message: &[u8]) -> Result<(), String>;
}

/// Why a session did not come to a verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProveFault {
    /// The verifier sent what is no message.
    #[error("the verifier sent something else than a message: {0}")]
    Malformed(#[from] Malformed),
    /// The verifier sent a message out of place.
    #[error("the verifier sent a message out of place: {0}")]
    OutOfPlace(#[from] OutOfPlace),
    /// The challenge is for another key.
    #[error("the challenge is for another machine's key")]
    Stranger,
    /// The verifier said something else than what was due.
    #[error("the verifier said {said} where {due} was due")]
    Unexpected {
        /// What it said.
        said: &'static str,
        /// What it should have said.
        due: &'static str,
    },
    /// The verifier was not reached.
    #[error("the verifier was not reached: {0}")]
    Channel(String),
}

/// A prover in a session.
pub struct Prover<'a> {
    key: &'a SigningKey,
    verifier: VerifyingKey,
    chain: Chain,
    challenge: Challenge,
    binding: Binding,
}

impl std::fmt::Debug for Prover<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prover").field("challenge", &self.challenge).finish_non_exhaustive()
    }
}

impl<'a> Prover<'a> {
    /// Takes up a challenge. `salt` is 32 random bytes of the prover's own.
    ///
    /// # Errors
    /// If it is no challenge, not this verifier's, or not for this key.
    pub fn new(
        challenge: &[u8],
        verifier: VerifyingKey,
        key: &'a SigningKey,
        salt: [u8; 32],
    ) -> Result<Self, ProveFault> {
        let message = Message::read(challenge)?;
        let mut chain = Chain::new(message.session, message.expires_ms);
        chain.hear(&message, &verifier)?;
        let binding = Binding { challenge: message.hash, salt };
        let Body::Challenge(challenge) = message.body else {
            return Err(unexpected(&message.body, "Challenge"));
        };
        if challenge.prover != key.verifying_key().to_bytes() {
            return Err(ProveFault::Stranger);
        }
        Ok(Self { key, verifier, chain, challenge, binding })
    }

    /// What it was asked.
    pub fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// Proves: does all tasks on the device, until the verdict.
    ///
    /// # Errors
    /// If the verifier is not reached or breaks the protocol. A device that fails is told to the verifier, whose
    /// verdict says so.
    pub fn prove(
        mut self,
        device: &mut dyn Device,
        channel: &mut dyn Channel,
    ) -> Result<Verdict, ProveFault> {
        if let Err(fault) = device.prepare(&self.challenge.tasks) {
            return self.unable(&fault, channel);
        }
        let salt = self.binding.salt;
        let mut heard = self.tell(&Body::Ready { salt }, channel)?;
        loop {
            let said = heard.ok_or(ProveFault::Unexpected { said: "nothing", due: "a message" })?;
            let message = self.listen(&said)?;
            heard = if let Body::Ping(number) = message.body {
                self.tell(&Body::Pong(number), channel)?
            } else if let Body::Start { task, nonce } = message.body {
                match self.work(task, &nonce, device, channel) {
                    Ok(heard) => heard,
                    Err(Stopped::Device(fault)) => return self.unable(&fault, channel),
                    Err(Stopped::Session(fault)) => return Err(fault),
                }
            } else if let Body::Verdict(verdict) = message.body {
                return Ok(verdict);
            } else {
                return Err(unexpected(&message.body, "Ping, Start, or Verdict"));
            };
        }
    }

    fn work(
        &mut self,
        task: u8,
        nonce: &[u8; 32],
        device: &mut dyn Device,
        channel: &mut dyn Channel,
    ) -> Result<Option<Vec<u8>>, Stopped> {
        let asked = self.challenge.tasks.get(usize::from(task)).copied();
        let due = ProveFault::Unexpected { said: "Start of no task", due: "Start" };
        match asked.ok_or(due)? {
            Task::Puzzle(asked) => {
                let seed = self.binding.seed(puzzle::SEED, nonce);
                let numbers: Vec<u8> =
                    device.solve(&seed, &asked)?.into_iter().flat_map(u64::to_le_bytes).collect();
                Ok(self.tell(&Body::Solved { task, numbers: &numbers }, channel)?)
            }
            Task::Matmul(asked) => self.multiply(&asked, task, nonce, device, channel),
            Task::Memory(asked) => self.walk(&asked, task, nonce, device, channel),
        }
    }

    fn multiply(
        &mut self,
        asked: &Matmul,
        task: u8,
        nonce: &[u8; 32],
        device: &mut dyn Device,
        channel: &mut dyn Channel,
    ) -> Result<Option<Vec<u8>>, Stopped> {
        let mut seeds = matmul::Seeds::first(self.binding.seed(matmul::SEED, nonce));
        let mut done = Vec::new();
        let mut heard = None;
        for round in 0..asked.rounds {
            let tree = grow(device.multiply(&seeds, asked.log_n, round)?)?;
            let root = tree.root();
            let body = Body::Root { task, round, root };
            if round + 1 < asked.rounds {
                let message = self.chain.say(&body, self.key);
                channel.send(&message).map_err(ProveFault::Channel)?;
            } else {
                heard = self.tell(&body, channel)?;
            }
            done.push((seeds, tree));
            seeds = seeds.next(&root);
        }
        let Some(selection) = self.asked(task, heard.as_deref())? else { return Ok(heard) };
        let mut openings = Vec::with_capacity(asked.openings_bytes());
        for (round, rows) in matmul::asked(asked, &selection) {
            let (seeds, tree) = &done[usize::from(round)];
            let entries = device.rows(seeds, asked.log_n, &rows)?;
            for (row, entries) in rows.iter().zip(entries.chunks(asked.n())) {
                matmul::open(entries, &tree.path(*row).unwrap_or_default(), &mut openings);
            }
        }
        Ok(self.tell(&Body::Openings { task, bytes: &openings }, channel)?)
    }

    fn walk(
        &mut self,
        asked: &Memory,
        task: u8,
        nonce: &[u8; 32],
        device: &mut dyn Device,
        channel: &mut dyn Channel,
    ) -> Result<Option<Vec<u8>>, Stopped> {
        let fill = self.binding.seed(memory::SEED, nonce);
        device.fill(&fill, asked)?;
        let heard = self.tell(&Body::Filled { task }, channel)?;
        let Some(said) = heard else { return Ok(None) };
        let Body::Walk { task: of, nonce: stride } = self.peek(&said)? else {
            return Ok(Some(said));
        };
        if of != task {
            return Ok(Some(said));
        }
        self.listen(&said)?;
        let walk = memory::walk_seed(&stride, &fill);
        let ends = device.walk(&walk, asked)?;
        let walks: Vec<&[[u32; 32]]> = ends.chunks(asked.legs.into()).collect();
        let leaves = (0_u32..).zip(&walks).map(|(walker, ends)| memory::leaf(ends, walker));
        let tree = grow(leaves.collect())?;
        let heard = self.tell(&Body::Root { task, round: 0, root: tree.root() }, channel)?;
        let Some(selection) = self.asked(task, heard.as_deref())? else { return Ok(heard) };
        let openings = open_walks(asked, &selection, (&fill, &walk), &walks, &tree);
        Ok(self.tell(&Body::Openings { task, bytes: &openings }, channel)?)
    }

    /// What is to be opened, if that is what the verifier says next.
    fn asked(&mut self, task: u8, heard: Option<&[u8]>) -> Result<Option<[u8; 32]>, ProveFault> {
        let due = "Ask";
        let said = heard.ok_or(ProveFault::Unexpected { said: "nothing", due })?;
        let Body::Ask { task: of, selection } = self.peek(said)? else { return Ok(None) };
        if of != task {
            return Ok(None);
        }
        self.listen(said)?;
        Ok(Some(selection))
    }

    fn peek<'b>(&self, said: &'b [u8]) -> Result<Body<'b>, ProveFault> {
        Ok(Message::read(said)?.body)
    }

    fn listen<'b>(&mut self, said: &'b [u8]) -> Result<Message<'b>, ProveFault> {
        let message = Message::read(said)?;
        self.chain.hear(&message, &self.verifier)?;
        Ok(message)
    }

    fn tell(
        &mut self,
        body: &Body<'_>,
        channel: &mut dyn Channel,
    ) -> Result<Option<Vec<u8>>, ProveFault> {
        let message = self.chain.say(body, self.key);
        channel.tell(&message).map_err(ProveFault::Channel)
    }

    fn unable(
        &mut self,
        fault: &DeviceFault,
        channel: &mut dyn Channel,
    ) -> Result<Verdict, ProveFault> {
        let mut why = fault.to_string();
        while why.len() > UNABLE_BYTES_MAX {
            why.pop();
        }
        let heard = self.tell(&Body::Unable { why: &why }, channel)?;
        let said = heard.ok_or(ProveFault::Unexpected { said: "nothing", due: "Verdict" })?;
        let said = self.listen(&said)?.body;
        if let Body::Verdict(verdict) = said {
            Ok(verdict)
        } else {
            Err(unexpected(&said, "Verdict"))
        }
    }
}

/// What is opened of walks with these seeds of filling and walking. The states on the way are made here, with blocks
/// made anew: it is no part of what is timed, and a card is not asked again.
fn open_walks(
    asked: &Memory,
    selection: &[u8; 32],
    (fill, walk): (&[u8; 32], &[u8; 32]),
    walks: &[&[memory::End]],
    tree: &Tree,
) -> Vec<u8> {
    let of = |walker: u32| {
        let ends = usize::try_from(walker).ok().and_then(|walker| walks.get(walker));
        (walker, ends.copied().unwrap_or_default())
    };
    let opened: Vec<_> = memory::asked(asked, selection).into_iter().map(of).collect();
    let leg = |walked: &(u32, &[memory::End])| memory::asked_of(asked, selection, walk, *walked).0;
    let legs: Vec<_> = opened.iter().map(leg).collect();
    let mut openings = Vec::with_capacity(asked.openings_bytes());
    for ((walker, ends), stations) in opened.iter().zip(memory::stations(fill, asked, &legs)) {
        let path = tree.path(*walker).unwrap_or_default();
        memory::open(ends, &path, &stations, &mut openings);
    }
    openings
}

fn unexpected(said: &Body<'_>, due: &'static str) -> ProveFault {
    ProveFault::Unexpected { said: said.name(), due }
}

/// Why a task was not finished.
enum Stopped {
    Device(DeviceFault),
    Session(ProveFault),
}

impl From<DeviceFault> for Stopped {
    fn from(fault: DeviceFault) -> Self {
        Self::Device(fault)
    }
}

impl From<ProveFault> for Stopped {
    fn from(fault: ProveFault) -> Self {
        Self::Session(fault)
    }
}

fn grow(leaves: Vec<[u8; 32]>) -> Result<Tree, DeviceFault> {
    let wrong = || DeviceFault::Driver("it computed another number of leaves".to_owned());
    Tree::new(leaves).ok_or_else(wrong)
}
