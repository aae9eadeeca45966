//! The verifier's side: a referee with a key, who keeps every message.

use std::sync::Arc;

use ed25519_dalek::{SigningKey, VerifyingKey};

use super::{Brief, Next, Referee, Sigma, Unexpected};
use crate::bytes::Malformed;
use crate::message::{Body, Chain, Challenge, HEAD_BYTES, Message, OutOfPlace, SIGNATURE_BYTES};
use crate::verdict::{Reason, Verdict};

/// A message that is not good; the session stands where it stood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// It is not a message.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// It is not the next one.
    #[error("{0}")]
    OutOfPlace(#[from] OutOfPlace),
    /// It may not come now.
    #[error("{0}")]
    Unexpected(#[from] Unexpected),
    /// The prover's key is no key.
    #[error("the prover's public key is not a point of ed25519")]
    Key,
}

/// What comes after a message.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Nothing: the prover goes on.
    Wait,
    /// This message is sent.
    Say(Arc<[u8]>),
    /// This must be done first, anywhere and at any speed; then [`Verifier::judged`].
    Judge(Work),
    /// This message is sent, and it is the last.
    Sealed(Arc<[u8]>, Verdict),
}

/// What was opened, and what it is judged by. It stands alone, so that any thread can do it.
#[derive(Clone, Debug)]
pub struct Work {
    brief: Box<Brief>,
    /// It was read when it was heard.
    message: Arc<[u8]>,
}

impl Work {
    /// Judges it: what is wrong with it, if anything.
    pub fn run(&self) -> Option<Reason> {
        match openings_of(&self.message) {
            Some(openings) => self.brief.judge(openings),
            None => Some(Reason::Path),
        }
    }
}

/// What is opened in a message that was read before as Openings: without hashing it once more.
fn openings_of(message: &[u8]) -> Option<&[u8]> {
    message.get(HEAD_BYTES + 1..message.len().checked_sub(SIGNATURE_BYTES)?)
}

/// One session, as the verifier leads it.
pub struct Verifier {
    key: SigningKey,
    prover: VerifyingKey,
    chain: Chain,
    referee: Referee,
    messages: Vec<Arc<[u8]>>,
    /// What the prover said last, and the answer to it.
    last: Option<(Arc<[u8]>, Reply)>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("chain", &self.chain).finish_non_exhaustive()
    }
}

impl Verifier {
    /// Begins a session: `challenge` without the verifier's key, and without its commitment, which follows from σ.
    ///
    /// # Errors
    /// If the prover's key is none.
    pub fn new(
        key: SigningKey,
        sigma: Sigma,
        mut challenge: Challenge,
        expires_ms: u64,
    ) -> Result<Self, Rejected> {
        let prover = VerifyingKey::from_bytes(&challenge.prover).map_err(|_| Rejected::Key)?;
        challenge.verifier = key.verifying_key().to_bytes();
        challenge.commitment = sigma.commitment();
        let mut chain = Chain::new(sigma.session(), expires_ms);
        let message = chain.say(&Body::Challenge(challenge.clone()), &key);
        let referee = Referee::new(sigma, &challenge, chain.last());
        Ok(Self { key, prover, chain, referee, messages: vec![message.into()], last: None })
    }

    /// The session's id.
    pub fn session(&self) -> [u8; 16] {
        self.chain.session()
    }

    /// When it expires, in milliseconds since 1970.
    pub fn expires_ms(&self) -> u64 {
        self.chain.expires_ms()
    }

    /// The first message.
    pub fn challenge(&self) -> Arc<[u8]> {
        Arc::clone(&self.messages[0])
    }

    /// Whether the verdict was said.
    pub fn is_over(&self) -> bool {
        self.referee.is_over()
    }

    /// How long the message that is due may be, in bytes.
    pub fn due_bytes_max(&self) -> usize {
        self.referee.due_bytes_max()
    }

    /// All messages, one after another: when the session is over, its transcript.
    pub fn transcript(&self) -> Vec<u8> {
        self.messages.concat()
    }

    /// Hears a message of the prover, received whole at `at_us` microseconds after the challenge was made. The last one
    /// said again, for its answer was lost, is answered as before.
    ///
    /// # Errors
    /// If it is not good; nothing has changed then.
    pub fn hear(&mut self, bytes: Arc<[u8]>, at_us: u64) -> Result<Reply, Rejected> {
        if let Some(answer) = self.answered(&bytes) {
            return Ok(answer);
        }
        let message = Message::read(&bytes)?;
        let mut chain = self.chain.clone();
        chain.hear(&message, &self.prover)?;
        let next = self.referee.hear(&message.body, at_us)?;
        self.chain = chain;
        self.messages.push(Arc::clone(&bytes));
        let reply = self.answer(next, Some(Arc::clone(&bytes)));
        self.last = Some((bytes, reply.clone()));
        Ok(reply)
    }

    /// Whether this is what the prover said last.
    pub fn heard_last(&self, bytes: &[u8]) -> bool {
        self.last.as_ref().is_some_and(|(said, _)| **said == *bytes)
    }

    /// The answer to what was said last, if this is the same; none while it is being judged.
    fn answered(&self, bytes: &[u8]) -> Option<Reply> {
        let (_, reply) = self.last.as_ref().filter(|(said, _)| **said == *bytes)?;
        match reply {
            Reply::Judge(_) => None,
            Reply::Wait | Reply::Say(_) | Reply::Sealed(..) => Some(reply.clone()),
        }
    }

    /// Hears how what was opened was judged.
    ///
    /// # Errors
    /// If nothing was to be judged.
    pub fn judged(&mut self, wrong: Option<Reason>, at_us: u64) -> Result<Reply, Rejected> {
        let next = self.referee.judged(wrong, at_us)?;
        let reply = self.answer(next, None);
        if let Some((_, answer)) = &mut self.last {
            *answer = reply.clone();
        }
        Ok(reply)
    }

    /// Whether its memory is full, and it waits for others in its barrier: [`Verifier::walk`] goes on.
    pub fn is_gathering(&self) -> bool {
        self.referee.is_gathering()
    }

    /// Begins the walk of a session in a barrier; `None` if that is not what it waits for.
    pub fn walk(&mut self, at_us: u64) -> Option<Reply> {
        let body = self.referee.walk(at_us)?;
        let reply = self.answer(Next::Say(Box::new(body)), None);
        if let Some((_, answer)) = &mut self.last {
            *answer = reply.clone();
        }
        Some(reply)
    }

    /// Ends the session early, for a reason that blames nobody; `None` if it is over.
    pub fn stop(&mut self, reason: Reason) -> Option<Reply> {
        let verdict = self.referee.stop(reason)?;
        Some(self.answer(Next::Say(Box::new(Body::Verdict(verdict))), None))
    }

    fn answer(&mut self, next: Next, heard: Option<Arc<[u8]>>) -> Reply {
        match (next, heard) {
            (Next::Wait, _) | (Next::Judge(_), None) => Reply::Wait,
            (Next::Judge(brief), Some(message)) => Reply::Judge(Work { brief, message }),
            (Next::Say(body), _) => {
                let message: Arc<[u8]> = self.chain.say(&body, &self.key).into();
                self.messages.push(Arc::clone(&message));
                if let Body::Verdict(verdict) = *body {
                    Reply::Sealed(message, verdict)
                } else {
                    Reply::Say(message)
                }
            }
        }
    }
}
