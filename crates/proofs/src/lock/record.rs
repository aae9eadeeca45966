//! A record while it is written: header, processes, minutes, signals, and at last the seal.

use std::collections::BTreeMap;

use units::{RentalId, WorkerId};

use super::clock::Moment;
use super::fold::{Fold, Users};
use super::limits::{
    CARDS_MAX, ENTRY_HEAD_BYTES, HOUR_MS, MINUTE_MS, NAME_BYTES_MAX, PATH_BYTES_MAX, PROCESSES_MAX,
    STOPS_MAX,
};
use super::sample::{NodeRef, Owner, Process, Reading, Sample};
use crate::bytes::Malformed;
use crate::prf::derive;

pub(super) const MAGIC: [u8; 4] = *b"IOGT";
pub(super) const VERSION: u8 = 1;
pub(super) const KIND_PROCESS: u8 = 1;
pub(super) const KIND_MINUTE: u8 = 2;
pub(super) const KIND_STOP: u8 = 3;
pub(super) const KIND_SEAL: u8 = 4;

/// Signs a digest with the machine's key.
pub type Sign<'a> = &'a dyn Fn(&[u8; 32]) -> [u8; 64];

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Span {
    /// One node of a rental, from when it was made until it was gone.
    Rental(NodeRef),
    /// What is on offer and not rented.
    Idle,
}

/// What stands at the beginning of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is about.
    pub span: Span,
    /// The machine's public key.
    pub machine: [u8; 32],
    /// The machine.
    pub worker: WorkerId,
    /// How many records of the same span came before.
    pub part: u32,
    /// The hash of the one before; zero bytes in the first.
    pub previous: [u8; 32],
    /// When it began, in milliseconds since 1970.
    pub began_ms: u64,
    /// SHA-256 of the UUIDs of the cards it is about, in the driver's order.
    pub cards: Vec<[u8; 32]>,
}

/// Why a record ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// The rental is over, or other cards are idle than before.
    Over,
    /// The hour is; another record follows.
    HourOver,
    /// The agent was told to stop.
    AgentStops,
    /// The agent broke off; its next start found the record.
    BrokeOff,
    /// The machine's clock was set back by more than an hour.
    ClockSetBack,
}

impl End {
    /// All of them, in the order of their numbers, which count from 1.
    const ALL: [Self; 5] =
        [Self::Over, Self::HourOver, Self::AgentStops, Self::BrokeOff, Self::ClockSetBack];

    fn number(self) -> u8 {
        match self {
            Self::Over => 1,
            Self::HourOver => 2,
            Self::AgentStops => 3,
            Self::BrokeOff => 4,
            Self::ClockSetBack => 5,
        }
    }

    /// The one with this number.
    pub(super) fn numbered(number: u8) -> Result<Self, Malformed> {
        let found = Self::ALL.into_iter().find(|end| end.number() == number);
        found.ok_or(Malformed::Unknown { what: "a record's end", value: number.into() })
    }
}

/// A record that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its hash, which the next record of the span names.
    pub hash: [u8; 32],
}

impl Header {
    pub(super) fn write(&self) -> Vec<u8> {
        let (kind, rental, node) = match self.span {
            Span::Rental(node) => (1, node.rental.bits(), node.node),
            Span::Idle => (2, 0, 0),
        };
        let mut to = Vec::new();
        to.extend(MAGIC);
        to.extend([VERSION, kind, 0, 0]);
        to.extend(self.machine);
        to.extend(self.worker.bits().to_be_bytes());
        to.extend(rental.to_be_bytes());
        to.extend(node.to_le_bytes());
        to.extend(self.part.to_le_bytes());
        to.extend(self.previous);
        to.extend(self.began_ms.to_le_bytes());
        to.push(u8::try_from(self.cards.len()).expect("cards are bounded"));
        self.cards.iter().for_each(|card| to.extend(card));
        to
    }

    /// The hour it is of, in hours since 1970.
    pub fn hour(&self) -> u64 {
        self.began_ms / HOUR_MS
    }
}

/// The span of a header's fields.
pub(super) fn span_of(kind: u8, rental: u128, node: u32) -> Result<Span, Malformed> {
    match (kind, rental, node) {
        (1, rental, node) => {
            Ok(Span::Rental(NodeRef { rental: RentalId::from_bits(rental), node }))
        }
        (2, 0, 0) => Ok(Span::Idle),
        (kind, _, _) => Err(Malformed::Unknown { what: "a record's kind", value: kind.into() }),
    }
}

/// Where the chain begins.
pub(super) fn chain_from(header: &[u8]) -> [u8; 32] {
    derive("iog lock 1 begin", &[header])
}

/// The chain after an entry.
pub(super) fn chain_on(chain: &[u8; 32], entry: &[u8]) -> [u8; 32] {
    derive("iog lock 1 entry", &[chain, entry])
}

/// What is signed: the chain, and the seal without its signature.
pub(super) fn digest_of(chain: &[u8; 32], seal: &[u8]) -> [u8; 32] {
    derive("iog lock 1 seal", &[chain, seal])
}

/// A record's hash.
pub(super) fn hash_of(digest: &[u8; 32], signature: &[u8; 64]) -> [u8; 32] {
    let mut hash = blake3::Hasher::new();
    hash.update(digest).update(signature);
    *hash.finalize().as_bytes()
}

/// What seals a record whose chain is this: the last entry, and the record's hash.
pub(super) fn seal(chain: &[u8; 32], ended_ms: u64, end: End, sign: Sign<'_>) -> Sealed {
    let mut body = Vec::new();
    body.extend(ended_ms.to_le_bytes());
    body.push(end.number());
    let digest = digest_of(chain, &body);
    let signature = sign(&digest);
    body.extend(signature);
    let mut bytes = Vec::new();
    entry(&mut bytes, KIND_SEAL, &body);
    Sealed { bytes, hash: hash_of(&digest, &signature) }
}

fn entry(to: &mut Vec<u8>, kind: u8, body: &[u8]) {
    to.push(kind);
    to.extend(u16::try_from(body.len()).expect("entries are short").to_le_bytes());
    to.extend(body);
}

/// Writes a record.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    header: Header,
    bytes: Vec<u8>,
    chain: [u8; 32],
    fold: Option<Fold>,
    /// When the last sample was, or it began.
    last_ms: u64,
    /// Places of the processes that are named, by number and start.
    processes: BTreeMap<(u32, u64), u16>,
    stops: usize,
}

impl Recorder {
    /// A record that has a header and nothing else. Cards beyond [`CARDS_MAX`] are left out.
    pub(super) fn begin(mut header: Header) -> Self {
        header.cards.truncate(CARDS_MAX);
        let bytes = header.write();
        let (chain, last_ms) = (chain_from(&bytes), header.began_ms);
        let (processes, stops) = (BTreeMap::new(), 0);
        Self { header, bytes, chain, fold: None, last_ms, processes, stops }
    }

    /// Its header.
    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// What is written so far: a record without a seal. The minute that is not over is not in it.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the entries so far commit to. Told to somebody else, they cannot be changed any more.
    pub(super) fn chain(&self) -> [u8; 32] {
        self.chain
    }

    /// Takes a sample of the record's hour. Returns whether it closed a minute.
    pub(super) fn on_sample(&mut self, moment: Moment, sample: &Sample) -> bool {
        let silence = moment.at_ms.saturating_sub(self.last_ms);
        let minute = minute_of(moment.at_ms);
        let closed = self.fold.take_if(|fold| fold.minute != minute);
        let is_closed = closed.is_some();
        if let Some(fold) = closed {
            self.close(fold, silence);
        }
        self.last_ms = moment.at_ms;
        let cards = self.header.cards.len();
        let mut fold = self.fold.take().unwrap_or_else(|| Fold::new(minute, cards));
        fold.silence(silence);
        fold.add(moment.step_ms, sample.cpu_pct, sample.nodes_cpu_pct, sample.proving);
        for place in 0..cards {
            let wanted = self.header.cards[place];
            let reading = sample.cards.iter().find(|card| card.card == wanted);
            if let Some(reading) = reading.and_then(|card| card.reading.as_ref()) {
                self.on_card(&mut fold, place, reading, sample.proving);
            }
        }
        self.fold = Some(fold);
        is_closed
    }

    fn on_card(&mut self, fold: &mut Fold, place: usize, reading: &Reading, proving: bool) {
        let mut users = Users { proving, ..Users::default() };
        let mut aliens = BTreeMap::new();
        let mut more = 0;
        for process in reading.processes.iter().flatten() {
            match (process.owner, self.header.span) {
                (Owner::Agent, _) => users.proving = true,
                (Owner::System, _) => users.system = true,
                (Owner::Node(node), Span::Rental(of)) if node == of => users.renter = true,
                // One that both computes and draws is listed twice.
                (Owner::Node(_) | Owner::Foreign, Span::Rental(_) | Span::Idle) => {
                    match self.name(process) {
                        Some(named) => {
                            let memory_mib: &mut u32 = aliens.entry(named).or_default();
                            *memory_mib = process.memory_mib.max(*memory_mib);
                        }
                        None => more += 1,
                    }
                }
            }
        }
        let card = u8::try_from(place).expect("cards are bounded");
        aliens.into_iter().for_each(|(process, mib)| fold.add_alien(card, process, mib));
        fold.add_unnamed(more);
        users.blind = reading.processes.is_none()
            || (reading.busy_pct.is_none() && self.header.span == Span::Idle);
        fold.add_card(place, reading, users);
    }

    /// The place of a process among those that are named; `None` if there is no room.
    fn name(&mut self, process: &Process) -> Option<u16> {
        let key = (process.pid, process.started);
        if let Some(place) = self.processes.get(&key) {
            return Some(*place);
        }
        let place = u16::try_from(self.processes.len()).ok()?;
        if usize::from(place) >= PROCESSES_MAX {
            return None;
        }
        let mut body = Vec::new();
        body.extend(process.pid.to_le_bytes());
        body.extend(process.started.to_le_bytes());
        body.push(if process.owner == Owner::Foreign { 1 } else { 2 });
        text(&mut body, &process.name, NAME_BYTES_MAX);
        text(&mut body, &process.program, PATH_BYTES_MAX);
        text(&mut body, &process.place, PATH_BYTES_MAX);
        self.push(KIND_PROCESS, &body);
        self.processes.insert(key, place);
        Some(place)
    }

    /// Notes that a process was told to end.
    pub(super) fn on_stop(&mut self, pid: u32, started: u64, forced: bool, at_ms: u64) {
        let Some(place) = self.processes.get(&(pid, started)).copied() else { return };
        if self.stops >= STOPS_MAX {
            return;
        }
        self.stops += 1;
        let after = at_ms.saturating_sub(self.header.began_ms);
        let mut body = Vec::new();
        body.extend(place.to_le_bytes());
        body.push(u8::from(forced));
        body.extend(u32::try_from(after).unwrap_or(u32::MAX).to_le_bytes());
        self.push(KIND_STOP, &body);
    }

    fn close(&mut self, mut fold: Fold, silence: u64) {
        fold.silence(silence);
        let minute = fold.close();
        let mut body = Vec::with_capacity(minute.size());
        minute.write(&mut body);
        self.push(KIND_MINUTE, &body);
    }

    fn push(&mut self, kind: u8, body: &[u8]) {
        let mut bytes = Vec::with_capacity(ENTRY_HEAD_BYTES + body.len());
        entry(&mut bytes, kind, body);
        self.chain = chain_on(&self.chain, &bytes);
        self.bytes.extend(bytes);
    }

    /// Ends the record: at `ended_ms`, or where its hour ends.
    pub(super) fn seal(mut self, ended_ms: u64, end: End, sign: Sign<'_>) -> Sealed {
        let hour_ends = (self.header.hour() + 1).saturating_mul(HOUR_MS);
        let ended_ms = ended_ms.clamp(self.last_ms.min(hour_ends), hour_ends);
        if let Some(fold) = self.fold.take() {
            self.close(fold, ended_ms.saturating_sub(self.last_ms));
        }
        let Sealed { bytes, hash } = seal(&self.chain, ended_ms, end, sign);
        self.bytes.extend(bytes);
        Sealed { bytes: self.bytes, hash }
    }
}

/// Which minute of its hour a moment is in.
pub(super) fn minute_of(at_ms: u64) -> u8 {
    u8::try_from(at_ms % HOUR_MS / MINUTE_MS).expect("an hour has sixty minutes")
}

/// Writes a text's length and the text. One that is too long loses its beginning: paths differ at their ends.
fn text(to: &mut Vec<u8>, text: &str, bytes_max: usize) {
    let mut from = text.len().saturating_sub(bytes_max);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let kept = &text[from..];
    to.push(u8::try_from(kept.len()).expect("texts are short"));
    to.extend(kept.as_bytes());
}
