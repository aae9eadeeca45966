//! What the network goes by: one set of parameters, changed by patches that take effect at an hour.
//!
//! # Invariants
//! - Versions are numbered without a gap and take effect in the order of their numbers.
//! - A version in effect never changes: what anything was reckoned by can be looked up for ever.
//! - A set that makes no sense is refused before it is a version.
//! - Only the newest version can be withdrawn, and only while it waits: no other rests on it, and nothing was reckoned
//!   by it. What holders decided only holders undo.

mod patch;

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use units::{Hour, ProposalId};

pub use patch::PATCH_BYTES_MAX;
pub(crate) use patch::{canonical, is_of_registry, patched};

use crate::record::{Digest, Parameters};
use crate::refusal::Refusal;

/// How many versions may wait for their hour.
pub const VERSIONS_WAITING_MAX: usize = 32;

/// How far ahead a version may be told, in hours: a month.
const AHEAD_HOURS_MAX: u32 = 31 * 24;

/// How many versions that are no longer in effect stay in memory: hours that wait for their block are few.
const VERSIONS_KEPT: usize = 64;

/// One version of the parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its number, from 0.
    pub number: u32,
    /// The hour it takes effect in.
    pub from: Hour,
    /// SHA-256 of the parameters as JSON.
    pub digest: Digest,
    /// What was changed: a JSON merge patch (RFC 7386) over the version before.
    pub patch: String,
    /// All of them, shared: who holds them longer than the state is looked at has no copy of his own.
    #[serde(with = "shared")]
    pub parameters: Arc<Parameters>,
    /// What holders voted through to make it; none for the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<ProposalId>,
}

/// Why a version is not withdrawn. Checks run in the order of these variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum NotWithdrawn {
    #[error("version {number} is not one that waits: tell a new version, which changes it back")]
    NotWaiting { number: u32 },
    #[error("version {newest} rests on it: withdraw that first")]
    NotNewest { newest: u32 },
    #[error("holders decided it in {by}: only another vote undoes it")]
    Decided { by: ProposalId },
}

/// The version in effect, and those that wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Versions {
    /// Those that were in effect before, oldest first, at most [`VERSIONS_KEPT`].
    past: VecDeque<Version>,
    current: Version,
    waiting: VecDeque<Version>,
}

impl Default for Versions {
    fn default() -> Self {
        let first = version(0, Hour::default(), String::new(), Parameters::default());
        Self { past: VecDeque::new(), current: first, waiting: VecDeque::new() }
    }
}

fn version(number: u32, from: Hour, patch: String, parameters: Parameters) -> Version {
    let json = serde_json::to_vec(&parameters).expect("parameters are plain data");
    let digest = Digest::from_sha256(Sha256::digest(&json).into());
    Version { number, from, digest, patch, parameters: Arc::new(parameters), decided_by: None }
}

impl Versions {
    /// The version in effect.
    pub(crate) const fn current(&self) -> &Version {
        &self.current
    }

    /// The version that was in effect when an hour ended: the newest that took effect in it or before.
    pub(crate) fn at(&self, hour: Hour) -> &Version {
        let newest_first = std::iter::once(&self.current).chain(self.past.iter().rev());
        let oldest = self.past.front().unwrap_or(&self.current);
        newest_first.into_iter().find(|version| version.from <= hour).unwrap_or(oldest)
    }

    /// The version of this number, while it is remembered: those that wait are, and the newest that were in effect.
    pub(crate) fn numbered(&self, number: u32) -> Option<&Version> {
        let all = self.past.iter().chain([&self.current]).chain(&self.waiting);
        all.into_iter().find(|version| version.number == number)
    }

    /// Those that wait, in the order of their numbers.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Version> {
        self.waiting.iter()
    }

    /// The version that was decided last, in effect or not.
    pub(crate) fn newest(&self) -> &Version {
        self.waiting.back().unwrap_or(&self.current)
    }

    /// When the next one takes effect.
    pub(crate) fn next_from(&self) -> Option<Hour> {
        self.waiting.front().map(|next| next.from)
    }

    /// Adds a version that takes effect in an hour that is not over, nor before the ones that wait.
    pub(crate) fn add(&mut self, patch: &str, from: Hour, now: Hour) -> Result<u32, Refusal> {
        let invalid = |field, why| Refusal::Invalid { field, why };
        let last = self.newest();
        if from < now || from < last.from {
            let earliest = last.from.max(now);
            return Err(invalid("from", format!("not before {earliest}")));
        }
        let latest = now.later(AHEAD_HOURS_MAX);
        if from > latest {
            return Err(invalid(
                "from",
                format!("not after {latest}: a version holds up all after it"),
            ));
        }
        if self.waiting.len() >= VERSIONS_WAITING_MAX {
            let what = "versions of the parameters that wait";
            return Err(Refusal::TooMany { what, max: VERSIONS_WAITING_MAX });
        }
        let parameters = patched(&last.parameters, patch)
            .map_err(|why| Refusal::Invalid { field: "patch", why })?;
        let number = last.number + 1;
        self.waiting.push_back(version(number, from, patch.to_owned(), parameters));
        Ok(number)
    }

    /// The newest version is what holders decided.
    pub(crate) fn decided(&mut self, by: ProposalId) {
        self.waiting.back_mut().unwrap_or(&mut self.current).decided_by = Some(by);
    }

    /// Takes a version back that the operator told and that waits. The next one has its number.
    pub(crate) fn withdraw(&mut self, number: u32, now: Hour) -> Result<(), Refusal> {
        let newest = self.newest();
        // One whose hour has come is in effect, be it that nobody has let it be.
        let waits = |version: &Version| version.number == number && version.from > now;
        let why = match newest.decided_by {
            _ if !self.waiting.iter().any(waits) => NotWithdrawn::NotWaiting { number },
            _ if newest.number != number => NotWithdrawn::NotNewest { newest: newest.number },
            Some(by) => NotWithdrawn::Decided { by },
            None => {
                self.waiting.pop_back();
                return Ok(());
            }
        };
        Err(Refusal::Invalid { field: "version", why: why.to_string() })
    }

    /// Lets what is due take effect; says whether anything did.
    pub(crate) fn on_hour(&mut self, now: Hour) -> Option<&Version> {
        let mut changed = false;
        while self.waiting.front().is_some_and(|next| next.from <= now) {
            let next = self.waiting.pop_front()?;
            self.past.push_back(std::mem::replace(&mut self.current, next));
            if self.past.len() > VERSIONS_KEPT {
                self.past.pop_front();
            }
            changed = true;
        }
        changed.then_some(&self.current)
    }
}

/// What is shared is written, and read, as if it were not.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::record::Parameters;

    pub(super) fn serialize<S: Serializer>(it: &Arc<Parameters>, to: S) -> Result<S::Ok, S::Error> {
        Parameters::serialize(it, to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Arc<Parameters>, D::Error> {
        Parameters::deserialize(from).map(Arc::new)
    }
}
