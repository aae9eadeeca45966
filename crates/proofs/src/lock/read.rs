//! A record that is read: every byte has its place, or it is refused.

use ed25519_dalek::{Signature, VerifyingKey};
use units::WorkerId;

use super::limits::{
    CARDS_MAX, HOUR_MS, NAME_BYTES_MAX, PATH_BYTES_MAX, PROCESSES_MAX, RECORD_BYTES_MAX, STOPS_MAX,
};
use super::minute::Minute;
use super::record::{
    End, Header, KIND_MINUTE, KIND_PROCESS, KIND_SEAL, KIND_STOP, MAGIC, Sealed, Sign, VERSION,
    chain_from, chain_on, digest_of, hash_of, minute_of, seal, span_of,
};
use crate::bytes::{Malformed, Reader};

/// Why a record is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is longer than a record can be.
    #[error("the record has {bytes} bytes; at most {RECORD_BYTES_MAX} are one")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// Its bytes are not a record's.
    #[error("the record cannot be read: {0}")]
    Malformed(#[from] Malformed),
    /// It ends without a seal.
    #[error("the record is not sealed")]
    Unsealed,
    /// The key in it did not sign it.
    #[error("the record is not signed by the machine it names")]
    Unsigned,
}

/// A process that is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since boot; 0 if it could not be seen.
    pub started: u64,
    /// Whether it belongs to nobody; else to a node that has no right to the card.
    pub foreign: bool,
    /// What the kernel calls it.
    pub name: String,
    /// Its program's path.
    pub program: String,
    /// Its control group.
    pub place: String,
}

/// One line of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A process that is named from here on by its place among these.
    Process(Named),
    /// A minute.
    Minute(Minute),
    /// A process was told to end.
    Stop {
        /// Which, by its place.
        process: u16,
        /// Whether it was not asked.
        forced: bool,
        /// When, in milliseconds since the record began.
        after_ms: u32,
    },
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What stands at its beginning.
    pub header: Header,
    /// What stands in it.
    pub entries: Vec<Entry>,
    /// What the chain was after the header, and after each entry.
    pub chain: Vec<[u8; 32]>,
    /// When it ended, in milliseconds since 1970.
    pub ended_ms: u64,
    /// Why.
    pub end: End,
    /// Its hash, which the next record of the span names.
    pub hash: [u8; 32],
}

/// A record without its seal.
#[derive(Debug)]
struct Open {
    header: Header,
    entries: Vec<Entry>,
    chain: Vec<[u8; 32]>,
}

impl Record {
    /// Reads a sealed record, and checks its chain and its signature.
    ///
    /// # Errors
    /// If it is none, in the order of [`Refused`]'s variants.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let (open, mut from) = open(bytes)?;
        if from.left().is_empty() {
            return Err(Refused::Unsealed);
        }
        let (kind, body) = split(&mut from)?;
        known("an entry's kind", kind.into(), KIND_SEAL.into())?;
        from.end()?;
        let mut from = Reader::new(body);
        let (ended_ms, end) = (from.u64()?, End::numbered(from.u8()?)?);
        let signature: [u8; 64] = from.array()?;
        from.end()?;
        let Open { header, entries, chain } = open;
        let ends = hour_end(&header);
        if ended_ms < open_end(&header, &entries).0 || ended_ms > ends {
            return Err(wrong("a record's last moment", ended_ms).into());
        }
        let head = chain.last().expect("a chain begins with the header");
        let digest = digest_of(head, &body[..9]);
        let key = VerifyingKey::from_bytes(&header.machine).map_err(|_| Refused::Unsigned)?;
        let signed = key.verify_strict(&digest, &Signature::from_bytes(&signature));
        signed.map_err(|_| Refused::Unsigned)?;
        let hash = hash_of(&digest, &signature);
        Ok(Self { header, entries, chain, ended_ms, end, hash })
    }

    /// Seals what an agent left that broke off: it ends with its last whole minute.
    ///
    /// # Errors
    /// If the bytes are not the beginning of a record, as [`Effect::Keep`](super::Effect::Keep) told them.
    pub fn recover(bytes: &[u8], sign: Sign<'_>) -> Result<(Header, Sealed), Refused> {
        let (open, from) = open(bytes)?;
        from.end()?;
        let (_, ended_ms) = open_end(&open.header, &open.entries);
        let head = open.chain.last().expect("a chain begins with the header");
        let sealed = seal(head, ended_ms, End::BrokeOff, sign);
        let bytes = [bytes, &sealed.bytes].concat();
        Ok((open.header, Sealed { bytes, hash: sealed.hash }))
    }

    /// The processes it names, in order of their places.
    pub fn processes(&self) -> impl Iterator<Item = &Named> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Process(named) => Some(named),
            Entry::Minute(_) | Entry::Stop { .. } => None,
        })
    }

    /// Its minutes, upward.
    pub fn minutes(&self) -> impl Iterator<Item = &Minute> {
        minutes(&self.entries)
    }
}

fn minutes(entries: &[Entry]) -> impl Iterator<Item = &Minute> {
    entries.iter().filter_map(|entry| match entry {
        Entry::Minute(minute) => Some(minute),
        Entry::Process(_) | Entry::Stop { .. } => None,
    })
}

fn hour_end(header: &Header) -> u64 {
    (header.hour() + 1).saturating_mul(HOUR_MS)
}

/// The moment in which the last minute began, and the one in which it ended.
fn open_end(header: &Header, entries: &[Entry]) -> (u64, u64) {
    let began = header.began_ms;
    minutes(entries).last().map_or((began, began), |last| {
        let start = header.hour() * HOUR_MS + u64::from(last.minute) * 60_000;
        (start.max(began), start + 60_000)
    })
}

fn header(from: &mut Reader<'_>) -> Result<Header, Malformed> {
    let magic: [u8; 4] = from.array()?;
    known(
        "a record's beginning",
        u32::from_le_bytes(magic).into(),
        u32::from_le_bytes(MAGIC).into(),
    )?;
    known("a record's version", from.u8()?.into(), VERSION.into())?;
    let kind = from.u8()?;
    known("a record's padding", from.u16()?.into(), 0)?;
    let machine = from.array()?;
    let worker = WorkerId::from_bits(u128::from_be_bytes(from.array()?));
    let rental = u128::from_be_bytes(from.array()?);
    let span = span_of(kind, rental, from.u32()?)?;
    let (part, previous, began_ms) = (from.u32()?, from.array()?, from.u64()?);
    let count = from.u8()?;
    if usize::from(count) > CARDS_MAX {
        return Err(wrong("a number of cards", count.into()));
    }
    if began_ms > u64::MAX - 2 * HOUR_MS {
        return Err(wrong("a record's first moment", began_ms));
    }
    let mut cards = Vec::new();
    for _ in 0..count {
        cards.push(from.array()?);
    }
    Ok(Header { span, machine, worker, part, previous, began_ms, cards })
}

fn split<'a>(from: &mut Reader<'a>) -> Result<(u8, &'a [u8]), Malformed> {
    let kind = from.u8()?;
    let length = from.u16()?;
    Ok((kind, from.take(length.into())?))
}

/// Reads everything before the seal; the reader stands before it, or at the end.
fn open(bytes: &[u8]) -> Result<(Open, Reader<'_>), Refused> {
    if bytes.len() > RECORD_BYTES_MAX {
        return Err(Refused::TooLong { bytes: bytes.len() });
    }
    let mut from = Reader::new(bytes);
    let header = header(&mut from)?;
    let mut chain = vec![chain_from(&bytes[..bytes.len() - from.left().len()])];
    let mut state = State { cards: header.cards.len(), ..State::default() };
    state.first_minute = minute_of(header.began_ms);
    let mut entries = Vec::new();
    while let Some(kind) = from.left().first().filter(|kind| **kind != KIND_SEAL) {
        let (kind, before) = (*kind, from.left());
        let (_, body) = split(&mut from)?;
        entries.push(state.entry(kind, body)?);
        let whole = &before[..before.len() - from.left().len()];
        let head = chain.last().expect("a chain begins with the header");
        chain.push(chain_on(head, whole));
    }
    Ok((Open { header, entries, chain }, from))
}

/// What the entries before say of the next.
#[derive(Debug, Default)]
struct State {
    cards: usize,
    processes: usize,
    stops: usize,
    first_minute: u8,
    last_minute: Option<u8>,
}

impl State {
    fn entry(&mut self, kind: u8, body: &[u8]) -> Result<Entry, Malformed> {
        let mut from = Reader::new(body);
        let entry = match kind {
            KIND_PROCESS => Entry::Process(self.process(&mut from)?),
            KIND_MINUTE => Entry::Minute(self.minute(&mut from)?),
            KIND_STOP => self.stop(&mut from)?,
            kind => return Err(wrong("an entry's kind", kind.into())),
        };
        from.end()?;
        Ok(entry)
    }

    fn process(&mut self, from: &mut Reader<'_>) -> Result<Named, Malformed> {
        self.processes += 1;
        if self.processes > PROCESSES_MAX {
            return Err(wrong("a number of processes", self.processes as u64));
        }
        let (pid, started) = (from.u32()?, from.u64()?);
        let foreign = match from.u8()? {
            1 => true,
            2 => false,
            other => return Err(wrong("a process's owner", other.into())),
        };
        let name = text(from, NAME_BYTES_MAX)?;
        let (program, place) = (text(from, PATH_BYTES_MAX)?, text(from, PATH_BYTES_MAX)?);
        Ok(Named { pid, started, foreign, name, program, place })
    }

    fn minute(&mut self, from: &mut Reader<'_>) -> Result<Minute, Malformed> {
        let minute = Minute::read(from, self.cards, self.processes)?;
        let after = self.last_minute.is_none_or(|last| last < minute.minute);
        if !after || minute.minute < self.first_minute {
            return Err(wrong("a minute after the one before", minute.minute.into()));
        }
        self.last_minute = Some(minute.minute);
        Ok(minute)
    }

    fn stop(&mut self, from: &mut Reader<'_>) -> Result<Entry, Malformed> {
        self.stops += 1;
        let (process, forced, after_ms) = (from.u16()?, from.u8()?, from.u32()?);
        if self.stops > STOPS_MAX || usize::from(process) >= self.processes || forced > 1 {
            return Err(wrong("a signal to process", process.into()));
        }
        Ok(Entry::Stop { process, forced: forced == 1, after_ms })
    }
}

fn text(from: &mut Reader<'_>, bytes_max: usize) -> Result<String, Malformed> {
    let length = usize::from(from.u8()?);
    let bytes = from.take(length)?;
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= bytes_max);
    text.map(str::to_owned).ok_or(wrong("a text of this many bytes", length as u64))
}

fn known(what: &'static str, value: u64, expected: u64) -> Result<(), Malformed> {
    if value == expected { Ok(()) } else { Err(wrong(what, value)) }
}

fn wrong(what: &'static str, value: u64) -> Malformed {
    Malformed::Unknown { what, value }
}
