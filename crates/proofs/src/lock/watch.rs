//! The brain that watches: samples in, records and effects out.
//!
//! A process that belongs to nobody is named once it was seen on two samples running. If its owner allowed it, and only
//! on a card that is rented, it is asked to end, and after a grace period ended.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use units::WorkerId;

use super::clock::{Clock, Moment};
use super::disturbed::{Disturbance, Disturbed};
use super::limits::{HOUR_MS, SAMPLE_PROCESSES_MAX, SUBJECTS_MAX};
use super::record::{End, Header, Recorder, Sealed, Sign, Span};
use super::sample::{NodeRef, Owner, Process, Sample};

/// In how many samples running a process must be seen before anything is said of it.
const NAMED_AFTER: u32 = 2;
/// In how many samples running before it is told to end.
const STOPPED_AFTER: u32 = 3;
/// How long it may take to end, in milliseconds.
const STOP_GRACE_MS: u64 = 10_000;

/// Whose records these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its public key.
    pub key: [u8; 32],
    /// Its id.
    pub worker: WorkerId,
    /// The agent's own process.
    pub agent: u32,
    /// Whether its owner allows that strangers on rented cards are stopped.
    pub stop_foreign: bool,
}

/// What is to be watched, at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// A node of a rental, or what is idle.
    pub span: Span,
    /// Its cards.
    pub cards: Vec<[u8; 32]>,
}

/// Where the records of a span are: what the next one must say of the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// How many records there are.
    pub parts: u32,
    /// The hash of the last.
    pub hash: [u8; 32],
}

/// What the shell must do next, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Say that this process has no business on this card.
    Name {
        /// The card.
        card: [u8; 32],
        /// Whether the card is rented.
        rented: bool,
        /// The process.
        process: Process,
    },
    /// Say that it is gone.
    Gone {
        /// Its number.
        pid: u32,
        /// What it was called.
        name: String,
    },
    /// Tell it to end.
    Stop {
        /// Its number.
        pid: u32,
        /// When it started: a process that started at another time is another.
        started: u64,
        /// Whether it is not asked.
        forced: bool,
    },
    /// Say at once which rented nodes are not their renters' alone, in place of what was said before.
    Disturbed(BTreeMap<NodeRef, Disturbance>),
    /// Keep these bytes of a record that is not over, in place of earlier ones of the span.
    Keep {
        /// What it is about.
        span: Span,
        /// What is written so far.
        bytes: Vec<u8>,
    },
    /// Keep this record: it is over.
    Sealed {
        /// What it is about.
        span: Span,
        /// When it began, in milliseconds since 1970.
        began_ms: u64,
        /// Its place among the records of the span.
        part: u32,
        /// The record.
        sealed: Sealed,
    },
}

/// A stranger on a card.
#[derive(Clone, Debug)]
struct Stranger {
    name: String,
    /// In how many samples running it was seen; on rented cards.
    seen: u32,
    rented: u32,
    named: bool,
    asked_ms: Option<u64>,
    forced: bool,
}

/// Watches a machine.
#[derive(Debug)]
pub struct Watch {
    machine: Machine,
    clock: Clock,
    last_ms: u64,
    recorders: BTreeMap<Span, Recorder>,
    heads: BTreeMap<Span, Head>,
    strangers: BTreeMap<(u32, u64), Stranger>,
    disturbed: Disturbed,
    effects: VecDeque<Effect>,
}

impl Watch {
    /// Begins to watch. `heads`: where the records of earlier agents ended.
    pub fn new(machine: Machine, heads: BTreeMap<Span, Head>) -> Self {
        Self {
            machine,
            clock: Clock::default(),
            last_ms: 0,
            recorders: BTreeMap::new(),
            heads,
            strangers: BTreeMap::new(),
            disturbed: Disturbed::default(),
            effects: VecDeque::new(),
        }
    }

    /// What the shell must do next.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Where the records of each span end: what a next agent is given.
    pub fn heads(&self) -> &BTreeMap<Span, Head> {
        &self.heads
    }

    /// What the record of a span commits to so far. Told to somebody else, what is written cannot be changed any more.
    pub fn chain(&self, span: Span) -> Option<[u8; 32]> {
        self.recorders.get(&span).map(Recorder::chain)
    }

    /// Takes a look at the machine, and what is to be watched of it. Subjects beyond [`SUBJECTS_MAX`] are left out.
    pub fn on_sample(&mut self, sample: &Sample, subjects: &[Subject], sign: Sign<'_>) {
        let moment = self.clock.tick(sample.at, sample.steady_ms);
        let subjects = &subjects[..subjects.len().min(SUBJECTS_MAX)];
        if moment.anew {
            self.seal_all(self.last_ms, End::ClockSetBack, sign);
        }
        self.seal_gone(subjects, moment, sign);
        for subject in subjects {
            self.record(subject, moment, sample, sign);
        }
        self.last_ms = moment.at_ms;
        if let Some(news) = self.disturbed.on_sample(sample, subjects, moment.at_ms) {
            self.effects.push_back(Effect::Disturbed(news));
        }
        self.look_at_strangers(sample, subjects, moment);
    }

    /// The agent stops: every record ends.
    pub fn on_end(&mut self, sign: Sign<'_>) {
        self.seal_all(self.last_ms, End::AgentStops, sign);
    }

    fn seal_all(&mut self, ended_ms: u64, end: End, sign: Sign<'_>) {
        let spans: Vec<Span> = self.recorders.keys().copied().collect();
        spans.into_iter().for_each(|span| self.seal(span, ended_ms, end, sign));
    }

    /// Seals records of what is no longer to be watched, or has other cards.
    fn seal_gone(&mut self, subjects: &[Subject], moment: Moment, sign: Sign<'_>) {
        let same = |span: &Span, recorder: &Recorder| {
            subjects.iter().any(|s| s.span == *span && s.cards == recorder.header().cards)
        };
        let gone = self.recorders.iter().filter(|(span, recorder)| !same(span, recorder));
        let gone: Vec<Span> = gone.map(|(span, _)| *span).collect();
        gone.into_iter().for_each(|span| self.seal(span, moment.at_ms, End::Over, sign));
        // A rental that is over has no more records.
        let wanted: BTreeSet<Span> = subjects.iter().map(|subject| subject.span).collect();
        self.heads.retain(|span, _| *span == Span::Idle || wanted.contains(span));
    }

    fn seal(&mut self, span: Span, ended_ms: u64, end: End, sign: Sign<'_>) {
        let Some(recorder) = self.recorders.remove(&span) else { return };
        let (began_ms, part) = (recorder.header().began_ms, recorder.header().part);
        let sealed = recorder.seal(ended_ms, end, sign);
        self.heads.insert(span, Head { parts: part.saturating_add(1), hash: sealed.hash });
        self.effects.push_back(Effect::Sealed { span, began_ms, part, sealed });
    }

    fn record(&mut self, subject: &Subject, moment: Moment, sample: &Sample, sign: Sign<'_>) {
        let span = subject.span;
        let hour = moment.at_ms / HOUR_MS;
        let mut began_ms = moment.at_ms;
        if self.recorders.get(&span).is_some_and(|recorder| recorder.header().hour() != hour) {
            self.seal(span, u64::MAX, End::HourOver, sign);
            // The part of this hour in which nobody looked belongs to this record.
            began_ms = hour * HOUR_MS;
        }
        let (machine, heads) = (self.machine, &self.heads);
        let recorder = self.recorders.entry(span).or_insert_with(|| {
            let head = heads.get(&span).copied().unwrap_or_default();
            Recorder::begin(Header {
                span,
                machine: machine.key,
                worker: machine.worker,
                part: head.parts,
                previous: head.hash,
                began_ms,
                cards: subject.cards.clone(),
            })
        });
        if recorder.on_sample(moment, sample) {
            let bytes = recorder.bytes().to_vec();
            self.effects.push_back(Effect::Keep { span, bytes });
        }
    }

    fn look_at_strangers(&mut self, sample: &Sample, subjects: &[Subject], moment: Moment) {
        let rented = |card: &[u8; 32]| {
            subjects.iter().any(|s| matches!(s.span, Span::Rental(_)) && s.cards.contains(card))
        };
        let watched = |card: &[u8; 32]| subjects.iter().any(|s| s.cards.contains(card));
        // By process: where it is, on a rented card if it is on one.
        let mut here: BTreeMap<(u32, u64), (&Process, [u8; 32], bool)> = BTreeMap::new();
        for card in sample.cards.iter().filter(|card| watched(&card.card)) {
            let processes = card.reading.iter().flat_map(|r| r.processes.iter().flatten());
            for process in processes.filter(|p| p.owner == Owner::Foreign) {
                let key = (process.pid, process.started);
                let is_rented = rented(&card.card);
                let room = here.len() < SAMPLE_PROCESSES_MAX || here.contains_key(&key);
                if room && (is_rented || !here.contains_key(&key)) {
                    here.insert(key, (process, card.card, is_rented));
                }
            }
        }
        self.forget_gone(&here.keys().copied().collect());
        for (key, (process, card, is_rented)) in here {
            self.on_stranger(key, process, (card, is_rented), moment.at_ms);
        }
    }

    fn forget_gone(&mut self, here: &BTreeSet<(u32, u64)>) {
        let effects = &mut self.effects;
        self.strangers.retain(|key, stranger| {
            let stays = here.contains(key);
            if !stays && stranger.named {
                effects.push_back(Effect::Gone { pid: key.0, name: stranger.name.clone() });
            }
            stays
        });
    }

    fn on_stranger(
        &mut self,
        key: (u32, u64),
        process: &Process,
        (card, is_rented): ([u8; 32], bool),
        at_ms: u64,
    ) {
        let may_stop = self.machine.stop_foreign && self.may_be_stopped(key);
        let stranger = self.strangers.entry(key).or_insert_with(|| Stranger {
            name: process.name.clone(),
            seen: 0,
            rented: 0,
            named: false,
            asked_ms: None,
            forced: false,
        });
        stranger.seen = stranger.seen.saturating_add(1);
        stranger.rented = if is_rented { stranger.rented.saturating_add(1) } else { 0 };
        if stranger.seen >= NAMED_AFTER && !stranger.named {
            stranger.named = true;
            let process = process.clone();
            self.effects.push_back(Effect::Name { card, rented: is_rented, process });
        }
        if !may_stop || stranger.rented < STOPPED_AFTER {
            return;
        }
        let forced = match stranger.asked_ms {
            None => {
                stranger.asked_ms = Some(at_ms);
                false
            }
            Some(asked) if !stranger.forced && at_ms.saturating_sub(asked) >= STOP_GRACE_MS => {
                stranger.forced = true;
                true
            }
            Some(_) => return,
        };
        let (pid, started) = key;
        self.recorders.values_mut().for_each(|r| r.on_stop(pid, started, forced, at_ms));
        self.effects.push_back(Effect::Stop { pid, started, forced });
    }

    /// Not the first process, not the agent, and none that the kernel does not show: its number may be another's.
    fn may_be_stopped(&self, (pid, started): (u32, u64)) -> bool {
        pid > 1 && pid != self.machine.agent && started > 0 && i32::try_from(pid).is_ok()
    }
}
