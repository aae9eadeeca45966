//! What the network takes and asks for, version by version, as the auditor reads it out of the patches.

use control::{Actor, Body, Command, Control};
use serde_json::{Map, Value};
use units::{Asset, Hour, Timestamp};

use super::Belief;
use crate::broken::{Invariant, Step, must};

/// What patches say of fees, of the checklist, and of what everybody is excused from.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// By number.
    versions: Vec<Version>,
}

#[derive(Clone, Debug, Default)]
struct Version {
    /// From which hour it holds.
    from: Hour,
    /// Whether holders decided it.
    decided: bool,
    fees: Map<String, Value>,
    checklist: Map<String, Value>,
    exempt: Option<Value>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { versions: vec![Version::default()] }
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

    fn add(&mut self, patch: &str, from: Hour) {
        let before = self.versions.last().cloned().unwrap_or_default();
        let mut version = Version { from, decided: false, ..before };
        let patch: Value = serde_json::from_str(patch).unwrap_or_default();
        let of = |part: &str| patch.get(part).and_then(Value::as_object).cloned();
        version.fees.extend(of("fees").into_iter().flatten());
        version.checklist.extend(of("checklist").into_iter().flatten());
        version.exempt = patch.get("exempt").cloned().or(version.exempt);
        self.versions.push(version);
    }

    /// Holders decided a version.
    pub(super) fn decide(&mut self, patch: &str, from: Hour) {
        self.add(patch, from);
        if let Some(newest) = self.versions.last_mut() {
            newest.decided = true;
        }
    }

    /// From when on the newest version holds.
    pub(super) fn newest_from(&self) -> Hour {
        self.versions.last().map_or_else(Hour::default, |newest| newest.from)
    }

    fn of(&self, number: u32) -> Option<&Version> {
        self.versions.get(usize::try_from(number).ok()?)
    }

    /// The version that an hour goes by.
    pub(super) fn number_at(&self, hour: Hour) -> u32 {
        let place = self.versions.iter().rposition(|it| it.from <= hour).unwrap_or_default();
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// Whether a version asks machines for proofs of work.
    pub(super) fn asks_for_work(&self, number: u32) -> bool {
        let asked = self.of(number).and_then(|it| it.checklist.get("proof_of_work_required"));
        asked.and_then(Value::as_bool).unwrap_or(true)
    }

    /// Whether a version excuses everybody from proofs of work.
    pub(super) fn excuses_all_from_work(&self, number: u32) -> bool {
        let rules = self.of(number).and_then(|it| it.exempt.as_ref()?.as_array());
        rules.is_some_and(|rules| rules.iter().any(|rule| rule == "proof-of-work"))
    }

    /// A version is in effect from its hour on, and no sooner; the clock lets none wait.
    pub(super) fn agree(&self, control: &Control, command: &Command, at: Timestamp) -> Step {
        let (current, hour) = (control.version(), Hour::of(at));
        let number = usize::try_from(current.number).unwrap_or(usize::MAX);
        let known = self.versions.get(number).is_some_and(|it| it.from == current.from);
        let waiting = self.versions.get(number + 1..).unwrap_or_default();
        let wakes = matches!(
            command,
            Command::Wake {} | Command::SetParameters { .. } | Command::Genesis { .. }
        );
        let late = wakes && waiting.iter().any(|it| it.from <= hour);
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
        let fees = self.of(version).map_or(&nothing, |version| &version.fees);
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

impl Belief {
    /// The operator took a version back: the newest, which waited, and which holders had not decided.
    pub(super) fn see_withdrawn(&mut self, body: &Body) -> Step {
        let Command::WithdrawVersion { version } = body.command else { return Ok(()) };
        let hour = Hour::of(self.at);
        let newest = self.rules.versions.pop();
        let is_newest = usize::try_from(version) == Ok(self.rules.versions.len());
        let waits = newest.as_ref().is_some_and(|it| it.from > hour);
        let undecided = newest.as_ref().is_some_and(|it| !it.decided);
        let may = body.by == Actor::Operator && is_newest && waits && undecided;
        self.tale.withdrawn += 1;
        must(may, Invariant::Rules, || format!("{body:?} took back {newest:?} in {hour}"))
    }
}
