//! What a record means: which minutes were up, which were not and why, and who was there.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use units::WorkerId;

use super::limits::{HOUR_MS, MINUTE_MS};
use super::minute::{CardMinute, Minute};
use super::read::{Entry, Named, Record, Refused};
use super::record::{End, Span, minute_of};
use super::rules::{Ceilings, LockRules};

/// Why a minute does not count. Reasons of a minute are told in this order.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
#[schema(as = LockBreak)]
pub enum Break {
    /// Nobody looked for longer than is allowed.
    Silence,
    /// The machine's clock was set.
    ClockStep,
    /// A card did not answer.
    CardLost,
    /// The driver did not say who uses a card, or how busy an idle one is.
    Blind,
    /// A process that belongs to nobody was on a rented card, or another renter's was.
    Foreign,
    /// An idle card was busier than its ceiling.
    BusyCard,
    /// An idle machine's processor was.
    BusyProcessor,
}

impl Break {
    /// How it is written.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::ClockStep => "clock-step",
            Self::CardLost => "card-lost",
            Self::Blind => "blind",
            Self::Foreign => "foreign",
            Self::BusyCard => "busy-card",
            Self::BusyProcessor => "busy-processor",
        }
    }
}

/// A minute and what broke it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedMinute {
    /// Which of the hour.
    pub minute: u8,
    /// Why it does not count; none if it does.
    pub breaks: BTreeSet<Break>,
}

/// A process that should not have been there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offender {
    /// Which process.
    pub process: Named,
    /// The cards it was on, by their place in the header.
    pub cards: BTreeSet<u8>,
    /// In how many minutes it was there.
    pub minutes: u8,
    /// In how many samples, on all cards.
    pub samples: u32,
    /// The most memory it held on a card, in mebibytes.
    pub memory_max_mib: u32,
    /// Whether the agent told it to end.
    pub stopped: bool,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What it is about.
    pub span: Span,
    /// The machine.
    pub worker: WorkerId,
    /// The key that signed it. Whether that is the machine's, its reader must know.
    pub machine: [u8; 32],
    /// Its place among the records of the span, and the hash of the one before.
    pub part: u32,
    /// The hash of the one before.
    pub previous: [u8; 32],
    /// Its own.
    pub hash: [u8; 32],
    /// The hour, in hours since 1970.
    pub hour: u64,
    /// When it began and ended, in milliseconds since 1970.
    pub began_ms: u64,
    /// When it ended.
    pub ended_ms: u64,
    /// Why.
    pub end: End,
    /// Every minute that the record touches, upward.
    pub minutes: Vec<JudgedMinute>,
    /// Who should not have been there, in the order they came.
    pub offenders: Vec<Offender>,
    /// Strangers that were counted but not named.
    pub unnamed: u32,
    /// In how many samples the agent proved something.
    pub proving_samples: u32,
}

impl Report {
    /// How many minutes count.
    pub fn up(&self) -> u8 {
        self.count(BTreeSet::is_empty)
    }

    /// How many minutes do not.
    pub fn broken(&self) -> u8 {
        self.count(|breaks| !breaks.is_empty())
    }

    /// How many minutes are broken for this reason.
    pub fn broken_by(&self, why: Break) -> u8 {
        self.count(|breaks| breaks.contains(&why))
    }

    /// Stretches of silent minutes, both ends included.
    pub fn gaps(&self) -> Vec<(u8, u8)> {
        let mut gaps: Vec<(u8, u8)> = Vec::new();
        for judged in self.minutes.iter().filter(|m| m.breaks.contains(&Break::Silence)) {
            match gaps.last_mut() {
                Some((_, last)) if *last + 1 == judged.minute => *last = judged.minute,
                Some(_) | None => gaps.push((judged.minute, judged.minute)),
            }
        }
        gaps
    }

    fn count(&self, of: impl Fn(&BTreeSet<Break>) -> bool) -> u8 {
        let count = self.minutes.iter().filter(|minute| of(&minute.breaks)).count();
        u8::try_from(count).expect("an hour has sixty minutes")
    }
}

/// Reads a record and says what it means.
///
/// # Errors
/// If it is none.
pub fn verify(bytes: &[u8], rules: &LockRules, ceilings: Ceilings) -> Result<Report, Refused> {
    Ok(judge(&Record::read(bytes)?, rules, ceilings))
}

/// Says what a record means.
pub fn judge(record: &Record, rules: &LockRules, ceilings: Ceilings) -> Report {
    let header = &record.header;
    let bar = Bar { rules, ceilings, span: header.span };
    let told: Vec<&Minute> = record.minutes().collect();
    let judged = touched(record).map(|minute| {
        let entry = told.iter().find(|entry| entry.minute == minute);
        let breaks = match entry {
            Some(entry) => bar.breaks(entry),
            None => BTreeSet::from([Break::Silence]),
        };
        JudgedMinute { minute, breaks }
    });
    Report {
        span: header.span,
        worker: header.worker,
        machine: header.machine,
        part: header.part,
        previous: header.previous,
        hash: record.hash,
        hour: header.hour(),
        began_ms: header.began_ms,
        ended_ms: record.ended_ms,
        end: record.end,
        minutes: judged.collect(),
        offenders: offenders(record, rules),
        unnamed: told.iter().map(|minute| u32::from(minute.more)).sum(),
        proving_samples: told.iter().map(|minute| u32::from(minute.proving)).sum(),
    }
}

/// The minutes of its hour that a record touches. One without length touches none, unless an entry says so.
fn touched(record: &Record) -> std::ops::Range<u8> {
    let first = minute_of(record.header.began_ms);
    let length = record.ended_ms - record.header.hour() * HOUR_MS;
    let by_time = u8::try_from(length.div_ceil(MINUTE_MS)).expect("a record ends with its hour");
    let by_entry = record.minutes().last().map_or(0, |minute| minute.minute + 1);
    let empty = record.ended_ms == record.header.began_ms && by_entry == 0;
    if empty { first..first } else { first..by_time.max(by_entry) }
}

/// What minutes are held against.
struct Bar<'a> {
    rules: &'a LockRules,
    ceilings: Ceilings,
    span: Span,
}

impl Bar<'_> {
    fn breaks(&self, minute: &Minute) -> BTreeSet<Break> {
        let rules = self.rules;
        let is_idle = self.span == Span::Idle;
        let any = |test: &dyn Fn(&CardMinute) -> bool| minute.cards.iter().any(test);
        let foreign = minute.aliens.iter().any(|a| a.samples >= rules.foreign_samples_min);
        let silence_max_ms = u32::from(rules.silence_max_secs) * 1_000;
        let gpu_max = self.ceilings.gpu_max_pct.unwrap_or(100);
        let table = [
            (Break::Silence, u32::from(minute.silence_max_ms) > silence_max_ms),
            (Break::ClockStep, minute.step_ms.unsigned_abs() > rules.clock_step_max_ms),
            (
                Break::CardLost,
                any(&|card| minute.samples - card.answered > rules.unseen_samples_max),
            ),
            (Break::Blind, any(&|card| card.blind > rules.unseen_samples_max)),
            (Break::Foreign, !is_idle && (foreign || minute.more > 0)),
            (Break::BusyCard, is_idle && any(&|card| card.busy_mean_pct > gpu_max)),
            (Break::BusyProcessor, is_idle && minute.cpu_mean_pct > self.ceilings.cpu_max_pct),
        ];
        table.into_iter().filter(|(_, broken)| *broken).map(|(why, _)| why).collect()
    }
}

fn offenders(record: &Record, rules: &LockRules) -> Vec<Offender> {
    let new = |process: &Named| Offender {
        process: process.clone(),
        cards: BTreeSet::new(),
        minutes: 0,
        samples: 0,
        memory_max_mib: 0,
        stopped: false,
    };
    let mut offenders: Vec<Offender> = record.processes().map(new).collect();
    for minute in record.minutes() {
        let mut there = BTreeSet::new();
        for alien in &minute.aliens {
            let offender = &mut offenders[usize::from(alien.process)];
            offender.cards.insert(alien.card);
            offender.samples += u32::from(alien.samples);
            offender.memory_max_mib = offender.memory_max_mib.max(alien.memory_max_mib);
            if there.insert(alien.process) {
                offender.minutes += 1;
            }
        }
    }
    for entry in &record.entries {
        if let Entry::Stop { process, .. } = entry {
            offenders[usize::from(*process)].stopped = true;
        }
    }
    offenders.retain(|offender| offender.samples >= u32::from(rules.foreign_samples_min));
    offenders
}

/// The uptime of an hour: minutes that are up in some report of it, broken in none, and not in between two records.
///
/// Where a record ended with its span, what follows is another span's matter. The reports are of one span; those of
/// hours before and after may be among them.
pub fn uptime(reports: &[Report], hour: u64, rules: &LockRules) -> u8 {
    let mut in_order: Vec<&Report> = reports.iter().collect();
    in_order.sort_by_key(|report| report.part);
    let silence_max_ms = u64::from(rules.silence_max_secs) * 1_000;
    let silent = |from: u64, to: u64| {
        in_order.windows(2).filter(|pair| pair[0].end != End::Over).any(|pair| {
            let (ended, began) = (pair[0].ended_ms, pair[1].began_ms);
            began.saturating_sub(ended) > silence_max_ms && ended < to && from < began
        })
    };
    let minutes =
        || in_order.iter().filter(|report| report.hour == hour).flat_map(|report| &report.minutes);
    let is_up = |minute: &u8| {
        let told = || minutes().filter(|judged| judged.minute == *minute);
        let from = hour.saturating_mul(HOUR_MS).saturating_add(u64::from(*minute) * MINUTE_MS);
        told().next().is_some()
            && told().all(|judged| judged.breaks.is_empty())
            && !silent(from, from.saturating_add(MINUTE_MS))
    };
    u8::try_from((0..60).filter(is_up).count()).expect("an hour has sixty minutes")
}
