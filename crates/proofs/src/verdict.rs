//! What comes of a session: an outcome for each task, and why.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::bytes::{Malformed, Reader};
use crate::limits::{MESSAGES_MAX, TASKS_MAX};

/// What came of a task, the best first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Right, and in time.
    Pass,
    /// Not finished, or not in time for a reason that speeds do not tell. Nobody is blamed; it is tried again.
    Inconclusive,
    /// Right, and too late: it is not what it claims to be, or not all of it was free.
    Slow,
    /// Wrong. No honest prover answers like this.
    Fail,
}

/// Why an outcome is what it is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// All is well.
    None,
    /// Later than the task's limit.
    Late,
    /// An answer took longer than it may, which a network can do as well.
    Answer,
    /// An opening does not lead to the root that was committed to.
    Path,
    /// An opened row is not the product.
    Row,
    /// An opened walk did not end where it had to.
    Walk,
    /// A number does not solve its puzzle.
    Puzzle,
    /// The session expired first.
    Expired,
    /// The prover said that it could not.
    Unable,
    /// The verifier stopped, or had no room.
    Verifier,
    /// A task before it was not passed.
    Skipped,
}

impl Outcome {
    fn code(self) -> u8 {
        match self {
            Self::Pass => 1,
            Self::Slow => 2,
            Self::Fail => 3,
            Self::Inconclusive => 4,
        }
    }
}

const REASONS: [Reason; 11] = [
    Reason::None,
    Reason::Late,
    Reason::Answer,
    Reason::Path,
    Reason::Row,
    Reason::Walk,
    Reason::Puzzle,
    Reason::Expired,
    Reason::Unable,
    Reason::Verifier,
    Reason::Skipped,
];

impl Reason {
    /// The outcome of a task that ended for this reason.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::None => Outcome::Pass,
            Self::Late => Outcome::Slow,
            Self::Path | Self::Row | Self::Walk | Self::Puzzle => Outcome::Fail,
            Self::Answer | Self::Expired | Self::Unable | Self::Verifier | Self::Skipped => {
                Outcome::Inconclusive
            }
        }
    }

    fn code(self) -> u16 {
        let place = REASONS.iter().position(|reason| *reason == self);
        place.and_then(|place| u16::try_from(place).ok()).expect("the table has all reasons")
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "right, and in time",
            Self::Late => "right, and later than the limit: weaker than claimed, or busy",
            Self::Answer => "an answer took too long; the network may be to blame",
            Self::Path => "an opening does not lead to the root it was committed to",
            Self::Row => "an opened row is not the product of the matrices",
            Self::Walk => "an opened walk did not end where it had to",
            Self::Puzzle => "a number does not solve its puzzle",
            Self::Expired => "no answer before the session expired",
            Self::Unable => "the prover said that it could not",
            Self::Verifier => "the verifier stopped, or had no room",
            Self::Skipped => "not started, because an earlier task was not passed",
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Inconclusive => "inconclusive",
            Self::Slow => "slow",
            Self::Fail => "fail",
        })
    }
}

/// What came of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// Why it is what it is; the outcome follows.
    pub reason: Reason,
    /// Microseconds that counted.
    pub elapsed_us: u64,
    /// Hashes, operations, or bytes per second; 0 where there is none.
    pub rate: u64,
}

impl Judged {
    /// Ended for this reason, without figures.
    pub fn ended(reason: Reason) -> Self {
        Self { reason, elapsed_us: 0, rate: 0 }
    }

    /// What came of it.
    pub fn outcome(&self) -> Outcome {
        self.reason.outcome()
    }

    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        to.push(self.outcome().code());
        to.extend(self.reason.code().to_le_bytes());
        to.extend(self.elapsed_us.to_le_bytes());
        to.extend(self.rate.to_le_bytes());
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let outcome = from.u8()?;
        let code = from.u16()?;
        let unknown = Malformed::Unknown { what: "a reason", value: code.into() };
        let reason = *REASONS.get(usize::from(code)).ok_or(unknown)?;
        if outcome != reason.outcome().code() {
            let value = outcome.into();
            return Err(Malformed::Unknown { what: "an outcome for its reason", value });
        }
        Ok(Self { reason, elapsed_us: from.u64()?, rate: from.u64()? })
    }
}

/// What came of several tasks: the worst of them, but for those that were skipped.
pub fn worst(tasks: &[Judged]) -> Outcome {
    let counted = tasks.iter().filter(|task| task.reason != Reason::Skipped);
    counted.map(Judged::outcome).max().unwrap_or(Outcome::Inconclusive)
}

/// The end of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What everything the verifier chose follows from.
    pub sigma: [u8; 32],
    /// The shortest ping, in microseconds.
    pub shortest_ping_us: u64,
    /// What came of each task.
    pub tasks: Vec<Judged>,
    /// When each message before this one was sent or received, in microseconds since the first.
    pub times_us: Vec<u64>,
}

impl Verdict {
    /// What came of the whole: the worst of its tasks, but for those that were skipped.
    pub fn outcome(&self) -> Outcome {
        worst(&self.tasks)
    }

    /// Why the whole is what it is.
    pub fn reason(&self) -> Reason {
        let outcome = self.outcome();
        let of = self.tasks.iter().find(|task| task.outcome() == outcome);
        of.map_or(Reason::None, |task| task.reason)
    }

    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        to.extend(self.sigma);
        to.extend(self.shortest_ping_us.to_le_bytes());
        to.push(u8::try_from(self.tasks.len()).expect("a session has few tasks"));
        self.tasks.iter().for_each(|task| task.write(to));
        let count = u32::try_from(self.times_us.len()).expect("a session has few messages");
        to.extend(count.to_le_bytes());
        for time in &self.times_us {
            to.extend(time.to_le_bytes());
        }
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let sigma = from.array()?;
        let shortest_ping_us = from.u64()?;
        let count = from.u8()?;
        if usize::from(count) > TASKS_MAX {
            return Err(Malformed::Unknown { what: "a number of tasks", value: count.into() });
        }
        let mut tasks = Vec::new();
        for _ in 0..count {
            tasks.push(Judged::read(from)?);
        }
        let count = from.u32()?;
        let many = Malformed::Unknown { what: "a number of times", value: count.into() };
        let count =
            usize::try_from(count).ok().filter(|count| *count <= MESSAGES_MAX).ok_or(many)?;
        let times = from.take(count * 8)?;
        let times_us = times.as_chunks::<8>().0.iter().map(|time| u64::from_le_bytes(*time));
        let times_us = times_us.collect();
        Ok(Self { sigma, shortest_ping_us, tasks, times_us })
    }
}
