//! A transcript, re-checked: by anybody, with nothing but its bytes.

use ed25519_dalek::VerifyingKey;

use crate::bytes::Malformed;
use crate::limits::{MESSAGES_MAX, TRANSCRIPT_BYTES_MAX};
use crate::message::{Body, Chain, Challenge, Message, OutOfPlace};
use crate::session::{Next, Referee, Sigma, Unexpected};
use crate::verdict::{Reason, Verdict};

/// What is wrong with a transcript.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It is longer than any can be.
    #[error("it has {bytes} bytes, and no transcript has more than {TRANSCRIPT_BYTES_MAX}")]
    Size {
        /// Its size.
        bytes: usize,
    },
    /// Something in it is no message.
    #[error("message {number} cannot be read: {malformed}")]
    Malformed {
        /// Its place.
        number: usize,
        /// What is wrong.
        malformed: Malformed,
    },
    /// A message is not where it belongs.
    #[error("message {number}: {out_of_place}")]
    OutOfPlace {
        /// Its place.
        number: usize,
        /// What is wrong.
        out_of_place: OutOfPlace,
    },
    /// It does not begin with a challenge.
    #[error("it does not begin with a challenge")]
    NoChallenge,
    /// It does not end with a verdict.
    #[error("it does not end with a verdict: it was cut off, or the session never ended")]
    NoVerdict,
    /// A key in it is none.
    #[error("a public key in its challenge is not a point of ed25519")]
    Key,
    /// σ is not what the challenge committed to.
    #[error("the verifier did not keep to what it committed to: σ does not open the commitment")]
    Commitment,
    /// The prover said something that was not due.
    #[error("message {number}: {unexpected}")]
    Unexpected {
        /// Its place.
        number: usize,
        /// What is wrong.
        unexpected: Unexpected,
    },
    /// The verifier said something else than the rules say.
    #[error(
        "message {number} of the verifier is {said}, and by the rules it is another: the verifier cheated"
    )]
    Verifier {
        /// Its place.
        number: usize,
        /// What it said.
        said: &'static str,
    },
    /// The verdict is not what follows.
    #[error("the verdict is {said}, and what was answered gives {follows}: the verifier lied")]
    Verdict {
        /// What it says.
        said: String,
        /// What follows.
        follows: String,
    },
    /// The times run backward, or are not one for each message.
    #[error("the verdict's times are not one for each message, in order")]
    Times,
}

/// A transcript that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The session.
    pub session: [u8; 16],
    /// What was asked.
    pub challenge: Challenge,
    /// What came of it.
    pub verdict: Verdict,
    /// Messages in it.
    pub messages: usize,
}

/// Re-checks a transcript: signatures, order, choices, openings, and the verdict that follows.
///
/// The keys are those that it names: whether the verifier's is a network's is for the caller to ask. With a `secret`,
/// products are checked with vectors made of it instead of the verifier's, which may have told the prover. Its verdict
/// is compared with what follows from the answers and the times it gives.
///
/// # Errors
/// The first thing that is wrong.
pub fn recheck(bytes: &[u8], secret: Option<[u8; 32]>) -> Result<Report, Flaw> {
    if bytes.len() > TRANSCRIPT_BYTES_MAX {
        return Err(Flaw::Size { bytes: bytes.len() });
    }
    let messages = split(bytes)?;
    let Some(Body::Verdict(verdict)) = messages.last().map(|message| message.body.clone()) else {
        return Err(Flaw::NoVerdict);
    };
    let first = messages.first().ok_or(Flaw::NoChallenge)?;
    let Body::Challenge(challenge) = first.body.clone() else { return Err(Flaw::NoChallenge) };
    let prover = VerifyingKey::from_bytes(&challenge.prover).map_err(|_| Flaw::Key)?;
    let verifier = VerifyingKey::from_bytes(&challenge.verifier).map_err(|_| Flaw::Key)?;
    let sigma = Sigma(verdict.sigma);
    if challenge.commitment != sigma.commitment() || first.session != sigma.session() {
        return Err(Flaw::Commitment);
    }
    let mut times = verdict.times_us.clone();
    if times.len() + 1 != messages.len() || !times.is_sorted() || times.first() != Some(&0) {
        return Err(Flaw::Times);
    }
    // The verdict has no time of its own, and nothing comes after it.
    times.extend([times.last().copied().unwrap_or(0); 2]);
    in_order(&messages, &verifier, &prover)?;
    let referee = Referee::new(sigma, &challenge, first.hash);
    let referee = secret.into_iter().fold(referee, Referee::with_vectors);
    replay(&messages, &times, referee)?;
    let session = first.session;
    Ok(Report { session, challenge, verdict, messages: messages.len() })
}

pub(crate) fn split(mut bytes: &[u8]) -> Result<Vec<Message<'_>>, Flaw> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let number = messages.len();
        let many = Malformed::Long { extra: bytes.len() };
        let read = if number > MESSAGES_MAX { Err(many) } else { Message::split(bytes) };
        let (message, rest) = read.map_err(|malformed| Flaw::Malformed { number, malformed })?;
        messages.push(message);
        bytes = rest;
    }
    Ok(messages)
}

/// Whether somebody verifies with this, and not proves.
fn is_verifiers(body: &Body<'_>) -> bool {
    match body {
        Body::Challenge(_)
        | Body::Ping(_)
        | Body::Start { .. }
        | Body::Ask { .. }
        | Body::Walk { .. }
        | Body::Verdict(_) => true,
        Body::Ready { .. }
        | Body::Pong(_)
        | Body::Solved { .. }
        | Body::Root { .. }
        | Body::Openings { .. }
        | Body::Filled { .. }
        | Body::Unable { .. } => false,
    }
}

fn in_order(
    messages: &[Message<'_>],
    verifier: &VerifyingKey,
    prover: &VerifyingKey,
) -> Result<(), Flaw> {
    let expires_ms = messages.first().map_or(0, |first| first.expires_ms);
    let session = messages.first().map_or([0; 16], |first| first.session);
    let mut chain = Chain::new(session, expires_ms);
    for (number, message) in messages.iter().enumerate() {
        let key = if is_verifiers(&message.body) { verifier } else { prover };
        let heard = chain.hear(message, key);
        heard.map_err(|out_of_place| Flaw::OutOfPlace { number, out_of_place })?;
    }
    Ok(())
}

/// Plays the session again: a referee hears what the prover said, and the verifier must have said what it says.
fn replay(messages: &[Message<'_>], times: &[u64], mut referee: Referee) -> Result<(), Flaw> {
    let mut due: Option<Body<'static>> = None;
    // As it was while openings were judged, or a barrier gathered: whoever verifies may stop then as well.
    let mut judging: Option<Referee> = None;
    for (number, (message, at)) in messages.iter().zip(times.windows(2)).enumerate().skip(1) {
        if !is_verifiers(&message.body) {
            if due.is_some() {
                return Err(Flaw::Verifier { number, said: "silent" });
            }
            (due, judging) = answer(&mut referee, &message.body, [at[0], at[1]])
                .map_err(|unexpected| Flaw::Unexpected { number, unexpected })?;
            continue;
        }
        match (due.take(), &message.body) {
            (Some(follows), said) if follows == *said => {}
            (due, Body::Verdict(said)) => {
                let stopped = stopped(&mut referee, judging.take(), said.reason());
                let follows =
                    if let Some(Body::Verdict(follows)) = due { Some(follows) } else { None };
                compare(said, stopped.filter(|it| it == said).or(follows).as_ref())?;
            }
            (_, said) => return Err(Flaw::Verifier { number, said: said.name() }),
        }
        judging = None;
    }
    Ok(())
}

/// What the verifier has to say to this, if anything; and the referee before it judged or gathered, if it did.
///
/// The times are when this was heard, and when the message after it was: what follows a judgement begins when that is
/// done, and a walk in a barrier when all have filled their memory.
fn answer(
    referee: &mut Referee,
    body: &Body<'_>,
    [at_us, next_us]: [u64; 2],
) -> Result<(Option<Body<'static>>, Option<Referee>), Unexpected> {
    let mut next = referee.hear(body, at_us)?;
    let mut judging = None;
    if let (Next::Judge(brief), Body::Openings { bytes, .. }) = (&next, body) {
        judging = Some(referee.clone());
        next = referee.judged(brief.judge(bytes), next_us)?;
    }
    if referee.is_gathering() {
        judging = Some(referee.clone());
        return Ok((referee.walk(next_us), judging));
    }
    let due = match next {
        Next::Say(body) => Some(*body),
        Next::Wait | Next::Judge(_) => None,
    };
    Ok((due, judging))
}

/// The verdict of a verifier that stopped: at any time while it waited; while it judged or gathered, for its own
/// reasons only.
fn stopped(waiting: &mut Referee, mut judging: Option<Referee>, reason: Reason) -> Option<Verdict> {
    let is_its_own = reason == Reason::Verifier;
    let may_stop = is_its_own || (reason == Reason::Expired && judging.is_none());
    let referee = judging.as_mut().unwrap_or(waiting);
    may_stop.then(|| referee.stop(reason)).flatten()
}

fn compare(said: &Verdict, follows: Option<&Verdict>) -> Result<(), Flaw> {
    if follows == Some(said) {
        return Ok(());
    }
    let text = |verdict: &Verdict| format!("{} ({})", verdict.outcome(), verdict.reason());
    let follows = follows.map_or_else(|| "no verdict yet".to_owned(), text);
    Err(Flaw::Verdict { said: text(said), follows })
}
