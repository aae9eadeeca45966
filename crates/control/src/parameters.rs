//! What the network goes by: one set of parameters, changed by patches that take effect at an hour.
//!
//! # Invariants
//! - Versions are numbered without a gap and take effect in the order of their numbers.
//! - A version in effect never changes: what anything was reckoned by can be looked up for ever.
//! - A set that makes no sense is refused before it is a version.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use units::Hour;

use crate::record::{Digest, Parameters};
use crate::refusal::Refusal;

/// The longest patch, in bytes: a registry of hundreds of models fits.
pub const PATCH_BYTES_MAX: usize = 64 * 1024;
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
    /// All of them.
    pub parameters: Box<Parameters>,
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
    Version { number, from, digest, patch, parameters: Box::new(parameters) }
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

/// These parameters with a JSON merge patch over them, if they make sense.
pub(crate) fn patched(parameters: &Parameters, patch: &str) -> Result<Parameters, String> {
    if patch.len() > PATCH_BYTES_MAX {
        return Err(format!("at most {PATCH_BYTES_MAX} bytes"));
    }
    let patch: Value = serde_json::from_str(patch).map_err(|why| why.to_string())?;
    if !patch.is_object() {
        return Err("a JSON object of what is to change".to_owned());
    }
    let mut all = serde_json::to_value(parameters).expect("parameters are plain data");
    merge(&mut all, patch);
    let changed: Parameters = serde_json::from_value(all).map_err(|why| why.to_string())?;
    changed.check()?;
    Ok(changed)
}

/// A patch as the one text that all patches of the same meaning have: names in order, no blanks.
pub(crate) fn canonical(patch: &str) -> Result<String, String> {
    let patch: Value = serde_json::from_str(patch).map_err(|why| why.to_string())?;
    Ok(patch.to_string())
}

/// Whether a patch is about the registry and nothing else.
pub(crate) fn is_of_registry(patch: &str) -> bool {
    let patch: Value = serde_json::from_str(patch).unwrap_or_default();
    patch.as_object().is_some_and(|all| all.keys().eq(["registry"]))
}

/// RFC 7386, section 2.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(target) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(&name);
        } else {
            merge(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_is_merged_as_the_standard_says() {
        let rows = [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ];
        for (mut target, patch, expected) in rows {
            merge(&mut target, patch.clone());
            assert_eq!(target, expected, "{patch}");
        }
    }
}
