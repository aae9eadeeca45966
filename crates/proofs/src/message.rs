//! The messages of a session: how they are framed, signed, and chained.
//!
//! A message is read without being copied: openings may have 64 MiB. Reading says whether the bytes are a message;
//! who may say it when is for a session to judge.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use units::{AccountId, RentalId, WorkerId};

use crate::bytes::{Malformed, Reader};
use crate::limits::{OPENINGS_BYTES_MAX, PINGS_MAX, PUZZLES_MAX, TASKS_MAX, UNABLE_BYTES_MAX};
use crate::prf::derive;
use crate::task::Task;
use crate::verdict::Verdict;

const MAGIC: [u8; 4] = *b"IOGP";
const VERSION: u8 = 1;
pub(crate) const SIGNATURE_BYTES: usize = 64;
/// Everything before the body.
pub(crate) const HEAD_BYTES: usize = 72;

/// The longest message without openings.
pub const SMALL_BYTES_MAX: usize = HEAD_BYTES + 1 + PUZZLES_MAX as usize * 8 + SIGNATURE_BYTES;
/// The longest message.
pub const MESSAGE_BYTES_MAX: usize = HEAD_BYTES + 1 + OPENINGS_BYTES_MAX + SIGNATURE_BYTES;

/// What the verifier asks for, and of whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The verifier's public key.
    pub verifier: [u8; 32],
    /// The prover's public key.
    pub prover: [u8; 32],
    /// The machine.
    pub worker: WorkerId,
    /// Its owner, veiled: see [`veiled`].
    pub owner: [u8; 16],
    /// SHA-256 of the card's UUID, or of `cpu`.
    pub card: [u8; 32],
    /// The rental in which it is proved.
    pub rental: Option<RentalId>,
    /// The barrier it is part of; zeros for none.
    pub barrier: [u8; 16],
    /// Hours since 1970.
    pub hour: u64,
    /// What σ is bound to.
    pub commitment: [u8; 32],
    /// How many pings.
    pub pings: u8,
    /// What is to be done.
    pub tasks: Vec<Task>,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// What is to be done.
    Challenge(Challenge),
    /// The prover is ready.
    Ready {
        /// Its share in all seeds.
        salt: [u8; 32],
    },
    /// How far is it?
    Ping(u8),
    /// This far.
    Pong(u8),
    /// A task begins.
    Start {
        /// Which one.
        task: u8,
        /// What nobody could know before.
        nonce: [u8; 32],
    },
    /// Puzzles are solved.
    Solved {
        /// The task.
        task: u8,
        /// A number for each, eight bytes each.
        numbers: &'a [u8],
    },
    /// A commitment to what was computed.
    Root {
        /// The task.
        task: u8,
        /// Its round.
        round: u16,
        /// The root.
        root: [u8; 32],
    },
    /// Open what follows from this.
    Ask {
        /// The task.
        task: u8,
        /// Decides what is opened.
        selection: [u8; 32],
    },
    /// What was asked for.
    Openings {
        /// The task.
        task: u8,
        /// As the task lays them out.
        bytes: &'a [u8],
    },
    /// The memory is full.
    Filled {
        /// The task.
        task: u8,
    },
    /// Walk through it.
    Walk {
        /// The task.
        task: u8,
        /// What nobody could know before.
        nonce: [u8; 32],
    },
    /// What came of it.
    Verdict(Verdict),
    /// The prover cannot go on.
    Unable {
        /// Why.
        why: &'a str,
    },
}

/// A message, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The session.
    pub session: [u8; 16],
    /// How many were before it.
    pub counter: u32,
    /// When the session expires, in milliseconds since 1970.
    pub expires_ms: u64,
    /// The hash of the message before.
    pub previous: [u8; 32],
    /// What it says.
    pub body: Body<'a>,
    /// The hash of this message.
    pub hash: [u8; 32],
    digest: [u8; 32],
    signature: [u8; SIGNATURE_BYTES],
}

fn hash_of(digest: &[u8; 32], signature: &[u8; SIGNATURE_BYTES]) -> [u8; 32] {
    let mut hash = blake3::Hasher::new();
    hash.update(digest).update(signature);
    *hash.finalize().as_bytes()
}

fn digest_of(signed: &[u8]) -> [u8; 32] {
    derive("iog proof 1 message", &[signed])
}

impl<'a> Message<'a> {
    /// Reads one message that fills all these bytes.
    ///
    /// # Errors
    /// If they are not exactly one message.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (message, rest) = Self::split(bytes)?;
        match rest.len() {
            0 => Ok(message),
            extra => Err(Malformed::Long { extra }),
        }
    }

    /// Reads the message at the front, and says what follows it.
    ///
    /// # Errors
    /// If there is none.
    pub fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Malformed> {
        let mut from = Reader::new(bytes);
        let magic = u32::from_le_bytes(from.array()?);
        if magic != u32::from_le_bytes(MAGIC) {
            return Err(Malformed::Unknown { what: "a message's beginning", value: magic.into() });
        }
        known("a message's version", from.u8()?.into(), VERSION.into())?;
        let kind = from.u8()?;
        known("what is kept free", from.u16()?.into(), 0)?;
        let session = from.array()?;
        let counter = from.u32()?;
        let expires_ms = from.u64()?;
        let previous = from.array()?;
        let length = from.u32()?;
        let too_long = Malformed::Unknown { what: "a body's length", value: length.into() };
        let size = usize::try_from(length).map_err(|_| too_long)?;
        if size > OPENINGS_BYTES_MAX + 1 {
            return Err(too_long);
        }
        let body = Body::read(kind, from.take(size)?)?;
        let signed = &bytes[..HEAD_BYTES + size];
        let signature = from.array()?;
        let digest = digest_of(signed);
        let hash = hash_of(&digest, &signature);
        let message =
            Self { session, counter, expires_ms, previous, body, hash, digest, signature };
        Ok((message, from.left()))
    }

    /// Whether this key signed it.
    pub fn is_by(&self, key: &VerifyingKey) -> bool {
        key.verify_strict(&self.digest, &Signature::from_bytes(&self.signature)).is_ok()
    }
}

/// Where a session stands: what the next message must follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    session: [u8; 16],
    expires_ms: u64,
    counter: u32,
    previous: [u8; 32],
}

/// A message out of its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutOfPlace {
    /// It belongs elsewhere.
    #[error("the message is of another session")]
    Session,
    /// It expires at another time than its session.
    #[error("the message expires at another time than its session")]
    Expiry,
    /// It was sent before, or one before it is missing.
    #[error("the message has counter {found}, and {expected} is next")]
    Counter {
        /// What it has.
        found: u32,
        /// What it should have.
        expected: u32,
    },
    /// It follows another message.
    #[error("the message does not follow the one before it")]
    Previous,
    /// Somebody else signed it.
    #[error("the message is not signed by whom it should be")]
    Signature,
}

impl Chain {
    /// A session before its first message.
    pub fn new(session: [u8; 16], expires_ms: u64) -> Self {
        Self { session, expires_ms, counter: 0, previous: [0; 32] }
    }

    /// The session.
    pub fn session(&self) -> [u8; 16] {
        self.session
    }

    /// When it expires, in milliseconds since 1970.
    pub fn expires_ms(&self) -> u64 {
        self.expires_ms
    }

    /// How many messages there were.
    pub fn count(&self) -> u32 {
        self.counter
    }

    /// The hash of the last message; zeros before the first.
    pub fn last(&self) -> [u8; 32] {
        self.previous
    }

    /// Writes the next message.
    pub fn say(&mut self, body: &Body<'_>, key: &SigningKey) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + body.room() + SIGNATURE_BYTES);
        bytes.extend(MAGIC);
        bytes.extend([VERSION, body.kind(), 0, 0]);
        bytes.extend(self.session);
        bytes.extend(self.counter.to_le_bytes());
        bytes.extend(self.expires_ms.to_le_bytes());
        bytes.extend(self.previous);
        bytes.extend([0; 4]);
        body.write(&mut bytes);
        let length = u32::try_from(bytes.len() - HEAD_BYTES).expect("a body is at most 64 MiB");
        bytes[HEAD_BYTES - 4..HEAD_BYTES].copy_from_slice(&length.to_le_bytes());
        let digest = digest_of(&bytes);
        let signature = key.sign(&digest).to_bytes();
        bytes.extend(signature);
        self.went(hash_of(&digest, &signature));
        bytes
    }

    /// Takes the next message, if it is the next and by this key.
    ///
    /// # Errors
    /// What is wrong with it; the chain stays where it was.
    pub fn hear(&mut self, message: &Message<'_>, key: &VerifyingKey) -> Result<(), OutOfPlace> {
        if message.session != self.session {
            return Err(OutOfPlace::Session);
        }
        if message.expires_ms != self.expires_ms {
            return Err(OutOfPlace::Expiry);
        }
        if message.counter != self.counter {
            let expected = self.counter;
            return Err(OutOfPlace::Counter { found: message.counter, expected });
        }
        if message.previous != self.previous {
            return Err(OutOfPlace::Previous);
        }
        if !message.is_by(key) {
            return Err(OutOfPlace::Signature);
        }
        self.went(message.hash);
        Ok(())
    }

    fn went(&mut self, hash: [u8; 32]) {
        self.previous = hash;
        self.counter += 1;
    }
}

/// An owner as a challenge names it. Only who has the verifier's `salt` can tell whose machine it is, so a transcript
/// can be shown to everyone.
pub fn veiled(owner: AccountId, session: &[u8; 16], salt: &[u8; 32]) -> [u8; 16] {
    let hash = derive("iog proof 1 owner", &[salt, &owner.bits().to_be_bytes(), session]);
    hash.first_chunk::<16>().copied().expect("a hash has more than 16 bytes")
}

impl Challenge {
    fn write(&self, to: &mut Vec<u8>) {
        to.extend(self.verifier);
        to.extend(self.prover);
        to.extend(self.worker.bits().to_be_bytes());
        to.extend(self.owner);
        to.extend(self.card);
        to.extend(self.rental.map_or([0; 16], |rental| rental.bits().to_be_bytes()));
        to.extend(self.barrier);
        to.extend(self.hour.to_le_bytes());
        to.extend(self.commitment);
        to.push(self.pings);
        to.push(u8::try_from(self.tasks.len()).expect("a challenge has few tasks"));
        for task in &self.tasks {
            task.write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let verifier = from.array()?;
        let prover = from.array()?;
        let worker = WorkerId::from_bits(u128::from_be_bytes(from.array()?));
        let owner = from.array()?;
        let card = from.array()?;
        let rental = u128::from_be_bytes(from.array()?);
        let rental = (rental != 0).then(|| RentalId::from_bits(rental));
        let barrier = from.array()?;
        let hour = from.u64()?;
        let commitment = from.array()?;
        let pings = from.u8()?;
        if pings > PINGS_MAX {
            return Err(Malformed::Unknown { what: "a number of pings", value: pings.into() });
        }
        let count = from.u8()?;
        if count == 0 || usize::from(count) > TASKS_MAX {
            return Err(Malformed::Unknown { what: "a number of tasks", value: count.into() });
        }
        let mut tasks = Vec::new();
        for _ in 0..count {
            let task = Task::read(from)?;
            task.check().map_err(|bad| Malformed::Unknown { what: bad.field, value: bad.value })?;
            tasks.push(task);
        }
        Ok(Self {
            verifier,
            prover,
            worker,
            owner,
            card,
            rental,
            barrier,
            hour,
            commitment,
            pings,
            tasks,
        })
    }
}

fn known(what: &'static str, value: u64, expected: u64) -> Result<(), Malformed> {
    if value == expected { Ok(()) } else { Err(Malformed::Unknown { what, value }) }
}

impl<'a> Body<'a> {
    /// What it is called.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Challenge(_) => "Challenge",
            Self::Ready { .. } => "Ready",
            Self::Ping(_) => "Ping",
            Self::Pong(_) => "Pong",
            Self::Start { .. } => "Start",
            Self::Solved { .. } => "Solved",
            Self::Root { .. } => "Root",
            Self::Ask { .. } => "Ask",
            Self::Openings { .. } => "Openings",
            Self::Filled { .. } => "Filled",
            Self::Walk { .. } => "Walk",
            Self::Verdict(_) => "Verdict",
            Self::Unable { .. } => "Unable",
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Challenge(_) => 1,
            Self::Ready { .. } => 2,
            Self::Ping(_) => 3,
            Self::Pong(_) => 4,
            Self::Start { .. } => 5,
            Self::Solved { .. } => 6,
            Self::Root { .. } => 7,
            Self::Ask { .. } => 8,
            Self::Openings { .. } => 9,
            Self::Filled { .. } => 10,
            Self::Walk { .. } => 11,
            Self::Verdict(_) => 12,
            Self::Unable { .. } => 13,
        }
    }

    /// Room for its bytes; those of small ones fit into little.
    fn room(&self) -> usize {
        if let Self::Openings { bytes, .. } = self { bytes.len() + 1 } else { 512 }
    }

    fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::Challenge(challenge) => challenge.write(to),
            Self::Ready { salt } => to.extend(salt),
            Self::Ping(number) | Self::Pong(number) => to.push(*number),
            Self::Start { task, nonce } | Self::Walk { task, nonce } => {
                to.push(*task);
                to.extend(nonce);
            }
            Self::Solved { task, numbers: bytes } | Self::Openings { task, bytes } => {
                to.push(*task);
                to.extend_from_slice(bytes);
            }
            Self::Root { task, round, root } => {
                to.push(*task);
                to.extend(round.to_le_bytes());
                to.extend(root);
            }
            Self::Ask { task, selection } => {
                to.push(*task);
                to.extend(selection);
            }
            Self::Filled { task } => to.push(*task),
            Self::Verdict(verdict) => verdict.write(to),
            Self::Unable { why } => to.extend(why.as_bytes()),
        }
    }

    fn read(kind: u8, bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut from = Reader::new(bytes);
        let body = match kind {
            1 => Self::Challenge(Challenge::read(&mut from)?),
            2 => Self::Ready { salt: from.array()? },
            3 => Self::Ping(from.u8()?),
            4 => Self::Pong(from.u8()?),
            5 => Self::Start { task: from.u8()?, nonce: from.array()? },
            6 => Self::Solved { task: from.u8()?, numbers: numbers(&mut from)? },
            7 => Self::Root { task: from.u8()?, round: from.u16()?, root: from.array()? },
            8 => Self::Ask { task: from.u8()?, selection: from.array()? },
            9 => Self::Openings { task: from.u8()?, bytes: from.rest() },
            10 => Self::Filled { task: from.u8()? },
            11 => Self::Walk { task: from.u8()?, nonce: from.array()? },
            12 => Self::Verdict(Verdict::read(&mut from)?),
            13 => Self::Unable { why: text(from.rest())? },
            kind => {
                return Err(Malformed::Unknown { what: "a message's kind", value: kind.into() });
            }
        };
        from.end()?;
        Ok(body)
    }
}

fn numbers<'a>(from: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
    let bytes = from.rest();
    if bytes.len() > usize::from(PUZZLES_MAX) * 8 || !bytes.len().is_multiple_of(8) {
        let value = bytes.len() as u64;
        return Err(Malformed::Unknown { what: "the length of solutions", value });
    }
    Ok(bytes)
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    let value = bytes.len() as u64;
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= UNABLE_BYTES_MAX);
    text.ok_or(Malformed::Unknown { what: "a reason of this many bytes", value })
}
