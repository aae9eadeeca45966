//! What the network takes, version by version, as the auditor reads it out of the patches.

use control::{Command, Control};
use serde_json::{Map, Value};
use units::{Asset, Hour, Timestamp};

use crate::broken::{Invariant, Step, must};

/// The fees of every version of the parameters.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// By number: from which hour a version holds, and its fees.
    versions: Vec<(Hour, Map<String, Value>)>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { versions: vec![(Hour::default(), Map::new())] }
    }
}

impl Rules {
    /// A version was added, if this command adds one.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "commands that are not looked at here are looked at elsewhere, or move nothing"
    )]
    pub(super) fn see(&mut self, command: &Command, at: Timestamp) {
        let (patch, from) = match command {
            Command::SetParameters { patch, from } => (patch.as_str(), *from),
            Command::Genesis { .. } => ("{}", None),
            _ => return,
        };
        self.add(patch, from.unwrap_or_else(|| Hour::of(at)));
    }

    /// A version was added.
    pub(super) fn add(&mut self, patch: &str, from: Hour) {
        let (_, mut fees) = self.versions.last().cloned().unwrap_or_default();
        let patch: Value = serde_json::from_str(patch).unwrap_or_default();
        for (name, value) in patch.get("fees").and_then(Value::as_object).into_iter().flatten() {
            fees.insert(name.clone(), value.clone());
        }
        self.versions.push((from, fees));
    }

    /// From when on the newest version holds.
    pub(super) fn newest_from(&self) -> Hour {
        self.versions.last().map_or_else(Hour::default, |(from, _)| *from)
    }

    /// A version is in effect from its hour on, and no sooner; the clock lets none wait.
    pub(super) fn agree(&self, control: &Control, command: &Command, at: Timestamp) -> Step {
        let (current, hour) = (control.version(), Hour::of(at));
        let number = usize::try_from(current.number).unwrap_or(usize::MAX);
        let known = self.versions.get(number).is_some_and(|(from, _)| *from == current.from);
        let waiting = self.versions.get(number + 1..).unwrap_or_default();
        let wakes = matches!(
            command,
            Command::Wake {} | Command::SetParameters { .. } | Command::Genesis { .. }
        );
        let late = wakes && waiting.iter().any(|(from, _)| *from <= hour);
        let agrees = known && current.from <= hour && !late;
        must(
            agrees && control.versions_waiting().count() == waiting.len(),
            Invariant::Rules,
            || format!("version {number} is in effect in {hour}, {} wait", waiting.len()),
        )
    }

    /// In a version and an asset: the renter's and the supplier's fee, those for the way of paying and of being paid,
    /// and the minutes that are never given back.
    pub(super) fn fees_of(&self, version: u32, asset: Asset) -> [u64; 5] {
        let nothing = Map::new();
        let number = usize::try_from(version).unwrap_or(usize::MAX);
        let fees = self.versions.get(number).map_or(&nothing, |(_, fees)| fees);
        let field =
            |name: &str, first: u64| fees.get(name).and_then(Value::as_u64).unwrap_or(first);
        let (facilitation, payout) = match asset {
            Asset::Usd => (field("facilitation_usd_bp", 200), field("payout_usd_bp", 0)),
            Asset::Usdc => (field("facilitation_usdc_bp", 200), field("payout_usdc_bp", 200)),
            Asset::Io => (field("facilitation_io_bp", 0), field("payout_io_bp", 0)),
        };
        let minutes = field("nonrefundable_minutes", 60);
        let supplier = field("supplier_reservation_bp", 25);
        [field("renter_reservation_bp", 25), supplier, facilitation, payout, minutes]
    }
}
