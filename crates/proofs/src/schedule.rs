//! When a machine is asked to prove, and what: at two moments of an hour that it cannot know before.
//!
//! # Invariants
//! - A limit is longer than the documented time of the proof on the slowest card of its class: who is what he says
//!   and is idle is never late.
//! - What an hour asks of a card takes less of its time than a named share.

mod classes;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use units::{DeviceKind, Hour, Timestamp, WorkerId};
use utoipa::ToSchema;

use crate::canary::CanaryRules;
use crate::company::CompanyRules;
use crate::limits::BLOCKS_MAX;
use crate::prf::derive;
use crate::task::{BadTask, Matmul, Memory, Puzzle, Task};

use classes::{CPU, DATA_CENTER, LARGE, SMALL};

/// Classes of machines, at most.
pub const CLASSES_MAX: usize = 32;
/// Times that a proof is tried again, at most.
pub const RETRIES_MAX: usize = 8;
/// Rounds of measuring that a machine's model is decided by, at most: a quarter of a day of calls.
pub const RELIST_ROUNDS_MAX: u8 = 12;

const MINUTE_MILLIS: u64 = 60_000;
const BLOCKS_PER_MIB: u64 = 256;

/// A part of an hour, in minutes from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// From this minute on.
    pub from_minute: u8,
    /// Before this minute.
    pub to_minute: u8,
}

/// How much memory is proved, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemoryPlan {
    /// The share of a card's memory that is filled, in basis points. facts: 90 %.
    pub share_bp: u16,
    /// Rounds of mixing in each cell.
    pub mix: u16,
    /// 2^`log_walkers` walkers.
    pub log_walkers: u8,
    /// Legs of each walk.
    pub legs: u16,
    /// Steps of a leg.
    pub steps: u32,
    /// Walkers that are opened, with one leg of each.
    pub opened: u16,
    /// Milliseconds to fill a gibibyte.
    pub fill_ms_per_gib: u32,
    /// From Walk to Root, in milliseconds.
    pub walk_ms: u32,
    /// From Ask to Openings, in milliseconds.
    pub answer_ms: u32,
}

/// What is asked of one class of machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// Cards or processors.
    pub kind: DeviceKind,
    /// For cards with at least this much memory, in mebibytes. The most that fits is a machine's class.
    pub vram_from_mib: u64,
    /// A rate of hashes.
    pub puzzle: Option<Puzzle>,
    /// A rate of products.
    pub matmul: Option<Matmul>,
    /// Memory that is there.
    pub memory: Option<MemoryPlan>,
    /// The documented time of all this on the slowest card of the class, in milliseconds.
    pub proof_ms: u32,
}

/// When machines prove, and what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProofRules {
    /// When a nominated machine is asked first.
    pub first: Window,
    /// When it is asked again, before the block closes.
    pub last: Window,
    /// Minutes until a proof that came to nothing is tried again; after the last of them, the hour is over for it.
    pub retry_minutes: Vec<u8>,
    /// How long a session may last, in seconds.
    pub session_secs: u32,
    /// Pings of a session.
    pub pings: u8,
    /// How much of a card's time an hour of proofs may take, in milliseconds. Target: 60 s.
    pub hourly_ms_max: u32,
    /// A machine that was measured to be a slower model than it says so many times in a row, all its cards at each,
    /// counts as that model; and as what it says again after as many that are consistent with it. A throttled hour
    /// moves nothing.
    pub relist_rounds: u8,
    /// Who is called together with whom.
    #[serde(default)]
    pub company: CompanyRules,
    /// What is asked, by class.
    pub classes: BTreeMap<String, Class>,
    /// How renters may have what they rent checked.
    #[serde(default)]
    pub canary: CanaryRules,
}

/// Rules that cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotProofRules {
    /// A window that is none, or the second before the first.
    #[error(
        "windows must lie in the hour, each from an earlier to a later minute, the first before the last"
    )]
    Windows,
    /// Too many classes, or none.
    #[error(
        "there must be 1 to {CLASSES_MAX} classes, with names of 1 to 32 letters, digits, and hyphens"
    )]
    Classes,
    /// Too many retries.
    #[error("there may be {RETRIES_MAX} retries, each after 1 to 59 minutes")]
    Retries,
    /// A model that would be decided by nothing, or never.
    #[error("a model is decided by 1 to {RELIST_ROUNDS_MAX} rounds")]
    Relist,
    /// A session of no length.
    #[error("a session lasts 5 to 1800 seconds, with at most 8 pings")]
    Session,
    /// Canaries without bounds.
    #[error(
        "a canary comes after 1 to 1440 minutes and lasts as long, and takes 1 to 3600 s a day; it asks for a product \
         and a mebibyte at least, and allows at least what its class does"
    )]
    Canary,
    /// Company that cannot be.
    #[error(
        "company: at most 16 machines, 10000 basis points, 1 to 120 seconds of waiting, 1 to 32 meetings, \
         and a rarity of at least 100"
    )]
    Company,
    /// A task out of bounds.
    #[error("class {class}: {bad}")]
    Task {
        /// The class.
        class: String,
        /// What is wrong.
        bad: BadTask,
    },
    /// An honest machine would be late.
    #[error(
        "class {class}: its limits of {limit_ms} ms are not longer than its proof, which takes {proof_ms} ms"
    )]
    Deadline {
        /// The class.
        class: String,
        /// What its tasks allow.
        limit_ms: u64,
        /// What they take.
        proof_ms: u32,
    },
    /// An hour would take too much.
    #[error(
        "class {class}: two proofs of {proof_ms} ms are more than the {max} ms that an hour may take"
    )]
    Load {
        /// The class.
        class: String,
        /// What one takes.
        proof_ms: u32,
        /// What an hour may take.
        max: u32,
    },
}

/// Which of an hour's proofs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// After nomination.
    First,
    /// Before the block closes.
    Last,
}

impl MemoryPlan {
    /// The task on a card of this much memory.
    pub fn task(&self, vram_mib: u64) -> Memory {
        let filled_mib = vram_mib * u64::from(self.share_bp) / 10_000;
        let gib = filled_mib.div_ceil(1024).max(1);
        Memory {
            blocks: (filled_mib * BLOCKS_PER_MIB).clamp(1, BLOCKS_MAX),
            mix: self.mix,
            log_walkers: self.log_walkers,
            legs: self.legs,
            steps: self.steps,
            opened: self.opened,
            fill_ms: u32::try_from(u64::from(self.fill_ms_per_gib) * gib).unwrap_or(u32::MAX),
            walk_ms: self.walk_ms,
            answer_ms: self.answer_ms,
        }
    }
}

impl Class {
    /// What a machine of this class with cards of this memory is asked.
    pub fn tasks(&self, vram_mib: u64) -> Vec<Task> {
        let puzzle = self.puzzle.map(Task::Puzzle);
        let matmul = self.matmul.map(Task::Matmul);
        let memory = self.memory.map(|plan| Task::Memory(plan.task(vram_mib)));
        puzzle.into_iter().chain(matmul).chain(memory).collect()
    }

    fn check(&self, name: &str, rules: &ProofRules) -> Result<(), NotProofRules> {
        let class = || name.to_owned();
        let tasks = self.tasks(self.vram_from_mib);
        for task in tasks.iter().chain(&self.canary(self.vram_from_mib, &rules.canary)) {
            task.check().map_err(|bad| NotProofRules::Task { class: class(), bad })?;
        }
        let limit_ms = tasks.iter().map(Task::limit_ms).sum();
        if tasks.is_empty() || u64::from(self.proof_ms) >= limit_ms {
            let proof_ms = self.proof_ms;
            return Err(NotProofRules::Deadline { class: class(), limit_ms, proof_ms });
        }
        if self.proof_ms > rules.hourly_ms_max / 2 {
            let (proof_ms, max) = (self.proof_ms, rules.hourly_ms_max);
            return Err(NotProofRules::Load { class: class(), proof_ms, max });
        }
        Ok(())
    }
}

impl Window {
    fn holds(self) -> bool {
        self.from_minute < self.to_minute && self.to_minute <= 60
    }

    fn at(self, hour: Hour, share: u32) -> Timestamp {
        let from = u64::from(self.from_minute) * MINUTE_MILLIS;
        let width = u64::from(self.to_minute - self.from_minute) * MINUTE_MILLIS;
        let millis = from + ((width * u64::from(share)) >> 32);
        Timestamp::from_millis(hour.start().millis() + millis)
    }
}

impl ProofRules {
    /// Whether they can hold.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn check(&self) -> Result<(), NotProofRules> {
        let (first, last) = (self.first, self.last);
        if !first.holds() || !last.holds() || first.to_minute > last.from_minute {
            return Err(NotProofRules::Windows);
        }
        let name_holds = |name: &String| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            (1..=32).contains(&name.len()) && name.bytes().all(known)
        };
        let classes = &self.classes;
        if !(1..=CLASSES_MAX).contains(&classes.len()) || !classes.keys().all(name_holds) {
            return Err(NotProofRules::Classes);
        }
        let retries = &self.retry_minutes;
        if retries.len() > RETRIES_MAX || !retries.iter().all(|wait| (1..60).contains(wait)) {
            return Err(NotProofRules::Retries);
        }
        if !(5..=1800).contains(&self.session_secs) || self.pings > crate::limits::PINGS_MAX {
            return Err(NotProofRules::Session);
        }
        if !(1..=RELIST_ROUNDS_MAX).contains(&self.relist_rounds) {
            return Err(NotProofRules::Relist);
        }
        if !self.company.holds() {
            return Err(NotProofRules::Company);
        }
        if !self.canary.hold() {
            return Err(NotProofRules::Canary);
        }
        classes.iter().try_for_each(|(name, class)| class.check(name, self))
    }

    /// The class of a machine with cards of this memory, and its name.
    pub fn class_of(&self, kind: DeviceKind, vram_mib: u64) -> Option<(&str, &Class)> {
        let fits = |class: &Class| class.kind == kind && class.vram_from_mib <= vram_mib;
        let fitting = self.classes.iter().filter(|(_, class)| fits(class));
        let largest = fitting.max_by_key(|(_, class)| class.vram_from_mib);
        largest.map(|(name, class)| (name.as_str(), class))
    }

    /// The part of an hour that a call is in.
    pub fn window(&self, call: Call) -> Window {
        match call {
            Call::First => self.first,
            Call::Last => self.last,
        }
    }

    /// A moment of a part of an hour, so many of 2^32 parts from its beginning.
    pub(crate) fn moment(&self, hour: Hour, call: Call, share: u32) -> Timestamp {
        self.window(call).at(hour, share)
    }

    /// When a machine is called in an hour. Nobody without the secret can tell.
    pub fn due(&self, secret: &[u8; 32], worker: WorkerId, hour: Hour, call: Call) -> Timestamp {
        let which = match call {
            Call::First => [0],
            Call::Last => [1],
        };
        let start = hour.start().millis().to_le_bytes();
        let parts: [&[u8]; 4] = [secret, &worker.bits().to_be_bytes(), &start, &which];
        let hash = derive("iog proof 1 due", &parts);
        self.moment(hour, call, u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]))
    }

    /// When a proof that came to nothing is tried again, after it was tried so many times; `None` when it is not.
    pub fn retry_at(&self, tried: usize, ended: Timestamp) -> Option<Timestamp> {
        let wait = self.retry_minutes.get(tried.checked_sub(1)?)?;
        Some(Timestamp::from_millis(ended.millis() + u64::from(*wait) * MINUTE_MILLIS))
    }
}

impl Default for ProofRules {
    fn default() -> Self {
        Self {
            first: Window { from_minute: 1, to_minute: 20 },
            last: Window { from_minute: 40, to_minute: 55 },
            retry_minutes: vec![1, 3, 9],
            session_secs: 300,
            pings: 3,
            hourly_ms_max: 60_000,
            relist_rounds: 3,
            company: CompanyRules::default(),
            classes: BTreeMap::from([
                ("cpu".to_owned(), CPU),
                ("gpu".to_owned(), SMALL),
                ("gpu-24".to_owned(), LARGE),
                ("gpu-80".to_owned(), DATA_CENTER),
            ]),
            canary: CanaryRules::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fingerprint::{Rate, Reference};

    #[test]
    fn the_rules_of_the_first_day_hold() {
        assert_eq!(ProofRules::default().check(), Ok(()));
    }

    #[test]
    fn a_machine_has_the_class_of_the_most_memory_that_fits() {
        let rules = ProofRules::default();
        let name = |kind, vram| rules.class_of(kind, vram).map(|(name, _)| name.to_owned());
        for (vram, expected) in [(8_192, "gpu"), (24_564, "gpu-24"), (81_559, "gpu-80")] {
            assert_eq!(name(DeviceKind::Gpu, vram).as_deref(), Some(expected));
        }
        assert_eq!(name(DeviceKind::Cpu, 0).as_deref(), Some("cpu"));
    }

    #[test]
    fn ninety_percent_of_a_card_are_filled() {
        let plan = LARGE.memory.expect("cards have memory");
        let memory = plan.task(24_564);
        assert_eq!(memory.bytes() >> 20, 22_107);
        assert_eq!(memory.fill_ms, 22 * 500);
    }

    /// What the rules of the first day ask of each card that the reference knows.
    fn asked_of_cards(mut of: impl FnMut(&str, &Memory, &dyn Fn(Rate) -> f64)) {
        let (rules, reference) = (ProofRules::default(), Reference::built_in());
        for row in reference.models.iter().filter(|row| row.kind == DeviceKind::Gpu) {
            let (_, class) = rules.class_of(row.kind, row.memory_mib).expect("cards have classes");
            let memory = class.memory.expect("cards have memory").task(row.memory_mib);
            let rate = |rate| reference.expected(row, rate).expect("cards have bounds").median;
            of(&row.model, &memory, &rate);
        }
    }

    #[test]
    fn every_known_card_fills_and_walks_in_time() {
        asked_of_cards(|model, memory, rate| {
            let fill = memory.blocks as f64 * 64.0 * f64::from(memory.mix) / rate(Rate::Mix);
            assert!(fill * 1_250.0 < memory.fill_ms.into(), "{model} fills for {fill} s");
            let walk = memory.walked_bytes() as f64 / rate(Rate::Walk);
            assert!(walk * 1_250.0 < memory.walk_ms.into(), "{model} walks for {walk} s");
        });
    }

    #[test]
    fn no_known_card_makes_blocks_as_fast_as_it_has_to_read_them() {
        let reference = Reference::built_in();
        let ops = reference.models.iter().filter_map(|row| row.bounds).map(|it| it.int32_ops);
        let most = ops.fold(0.0, f64::max);
        asked_of_cards(|model, memory, _| {
            let blocks = memory.walked_bytes() as f64 / 4096.0;
            let made = blocks * 64.0 * 48.0 * f64::from(memory.mix) / most;
            assert!(made * 1_000.0 > 1.5 * f64::from(memory.walk_ms), "{model}: {made} s");
            // Nor does a host send them: 64 GB/s are those of sixteen lanes of PCIe 5.
            let sent = memory.walked_bytes() as f64 / 64e9;
            assert!(sent * 1_000.0 > f64::from(memory.walk_ms), "{model}: {sent} s");
        });
    }

    #[test]
    fn every_product_is_opened_and_64_rows_or_more_in_all() {
        for (name, class) in ProofRules::default().classes {
            let matmul = class.matmul.expect("all classes multiply");
            assert_eq!(u16::from(matmul.checked), matmul.rounds, "{name}");
            assert!(u16::from(matmul.checked) * matmul.rows >= 64, "{name}");
        }
    }

    /// What two cores have for each of two sessions of a hundred thousand cards is 36 ms. Figures of one core with
    /// AVX-512: 2^26 entries of a matrix made and summed in 9 ms, 2^20 entries of rows hashed and summed in 2, and 2^20
    /// rounds of mixing of blocks in 29.
    #[test]
    fn what_the_rules_ask_of_cards_is_checked_a_hundred_thousand_times_twice_an_hour() {
        for (name, class) in ProofRules::default().classes {
            let matmul = class.matmul.expect("all classes multiply");
            let rows = f64::from(matmul.checked) * f64::from(matmul.rows) * matmul.n() as f64;
            let entries = (matmul.n() as f64).powi(2);
            let mixed = class.memory.map_or(0.0, |memory| {
                f64::from(memory.opened) * f64::from(memory.steps) * f64::from(memory.mix)
            });
            let ms = 9.0 * entries / 2_f64.powi(26)
                + 2.0 * rows / 2_f64.powi(20)
                + 29.0 * mixed / 2_f64.powi(20);
            assert!(ms < 30.0, "{name}: {ms} ms");
        }
    }

    #[test]
    fn rules_that_would_call_an_honest_machine_late_are_refused() {
        let mut rules = ProofRules::default();
        if let Some(class) = rules.classes.get_mut("cpu") {
            class.proof_ms = 25_000;
            class.puzzle = None;
            class.matmul = Some(Matmul { limit_ms: 20_000, ..CPU.matmul.expect("it is there") });
        }
        assert!(matches!(rules.check(), Err(NotProofRules::Deadline { .. })));
        let rules = ProofRules { hourly_ms_max: 30_000, ..ProofRules::default() };
        assert!(matches!(rules.check(), Err(NotProofRules::Load { .. })));
        let rules = ProofRules { last: Window { from_minute: 10, to_minute: 61 }, ..rules };
        assert_eq!(rules.check(), Err(NotProofRules::Windows));
    }

    proptest! {
        #[test]
        fn calls_fall_into_their_windows(secret: [u8; 32], worker: u128, hours in 0_u64..600_000) {
            let rules = ProofRules::default();
            let hour = Hour::of(Timestamp::from_millis(hours * 3_600_000));
            for (call, window) in [(Call::First, rules.first), (Call::Last, rules.last)] {
                let due = rules.due(&secret, WorkerId::from_bits(worker), hour, call);
                let minute = (due.millis() - hour.start().millis()) / MINUTE_MILLIS;
                prop_assert!((window.from_minute.into()..window.to_minute.into()).contains(&minute));
            }
        }
    }
}
