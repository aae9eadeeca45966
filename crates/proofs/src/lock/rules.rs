//! What breaks a minute, in figures.

use serde::{Deserialize, Serialize};

/// How busy what is idle and on offer may be. The registry of devices has them by model; these are its three classes,
/// io.net's since 2024-11-04.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LockCeilings)]
pub struct Ceilings {
    /// The processor, in percent, without what renters' nodes take.
    pub cpu_max_pct: u8,
    /// A card, in percent; `None` where there is none.
    pub gpu_max_pct: Option<u8>,
}

impl Ceilings {
    /// Cards of data centers, and the fastest at home.
    pub const DATA_CENTER: Self = Self { cpu_max_pct: 30, gpu_max_pct: Some(5) };
    /// Other cards: a desktop may be on them.
    pub const CONSUMER: Self = Self { cpu_max_pct: 30, gpu_max_pct: Some(20) };
    /// Machines that offer their processor.
    pub const PROCESSOR: Self = Self { cpu_max_pct: 30, gpu_max_pct: None };
}

/// What breaks a minute, and what follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LockRules {
    /// The longest time without a sample, in seconds. Ten: a sampler that is one in ten late by a whole beat of ten
    /// still passes, and nothing worth its while runs on a card in between. Own choice; none is published.
    pub silence_max_secs: u16,
    /// The largest step of the clock, in milliseconds. Two seconds: network time slews less in a minute.
    pub clock_step_max_ms: u32,
    /// In how many samples of a minute a foreign process must be seen. Two: the driver lists a process for a moment
    /// after it ended.
    pub foreign_samples_min: u8,
    /// In how many samples of a minute a card may be missing, or may not say who uses it.
    pub unseen_samples_max: u8,
    /// How many minutes of an hour may be busier than the ceilings before that is reported: driver updates and
    /// desktops that wake are no work.
    pub busy_minutes_max: u8,
    /// From how many minutes an hour on what is idle counts as somebody else's work. Own choice: half of it.
    pub busy_minutes_offence: u8,
    /// How many minutes of an hour must be up for the hour to count. 54 is the least io.net shows as a success.
    pub up_minutes_min: u8,
    /// For how many hours running a machine may hand over no record before its hours in blocks count for nothing. Own
    /// choice: a day, in which an agent that cannot reach the control plane keeps what it has to hand over. With 0 no
    /// record is asked for.
    pub missing_hours_max: u16,
    /// For how many hours after an offence that a record shows no other slash is opened for the same offence of the
    /// same machine. Own choice: a day; hour after hour of one process is one deed.
    pub offence_again_hours: u16,
}

impl Default for LockRules {
    fn default() -> Self {
        Self {
            silence_max_secs: 10,
            clock_step_max_ms: 2_000,
            foreign_samples_min: 2,
            unseen_samples_max: 10,
            busy_minutes_max: 5,
            busy_minutes_offence: 30,
            up_minutes_min: 54,
            missing_hours_max: 24,
            offence_again_hours: 24,
        }
    }
}

/// Rules that make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` cannot be {value}: give a number from {min} to {max}")]
pub struct BadRules {
    /// Which one.
    pub field: &'static str,
    /// What it is.
    pub value: u32,
    /// The least it can be.
    pub min: u32,
    /// The most.
    pub max: u32,
}

impl LockRules {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub fn check(&self) -> Result<(), BadRules> {
        let fields = [
            ("silence_max_secs", u32::from(self.silence_max_secs), 2, 59),
            ("clock_step_max_ms", self.clock_step_max_ms, 100, 60_000),
            ("foreign_samples_min", self.foreign_samples_min.into(), 1, 60),
            ("unseen_samples_max", self.unseen_samples_max.into(), 0, 59),
            ("busy_minutes_max", self.busy_minutes_max.into(), 0, 60),
            (
                "busy_minutes_offence",
                self.busy_minutes_offence.into(),
                u32::from(self.busy_minutes_max) + 1,
                61,
            ),
            ("up_minutes_min", self.up_minutes_min.into(), 1, 60),
            ("missing_hours_max", self.missing_hours_max.into(), 0, 8_760),
            ("offence_again_hours", self.offence_again_hours.into(), 0, 8_760),
        ];
        let bad = fields.into_iter().find(|(_, value, min, max)| value < min || value > max);
        bad.map_or(Ok(()), |(field, value, min, max)| Err(BadRules { field, value, min, max }))
    }
}
