//! Which batch may be stored: the rules both engines share, checked in memory before a byte is written.

use std::collections::BTreeMap;
use std::str;

use sha2::{Digest, Sha256};

use super::limits::{
    BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, BATCH_ROWS_MAX, BODY_BYTES_MAX, EVENTS_KEPT,
    EVENTS_TRIM_EVERY, KEY_BYTES_MAX, SNAPSHOT_BYTES_MAX,
};
use super::{Batch, Entry, Event, Head, JournalError, Row};

/// Sorts before every id, and after every id: where a page starts that follows no other.
pub(super) const BEFORE_ALL_IDS: &str = "";
pub(super) const AFTER_ALL_IDS: &str = "\u{10FFFF}";

/// Where the store ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tail {
    pub(super) head: Head,
    /// Events ever stored. Each has its number as its place, so dropping the oldest needs no counting.
    pub(super) events: i64,
}

impl Tail {
    /// The tail once `batch` is stored, or why it may not be. Refusals come in the order of their variants.
    pub(super) fn after(&self, batch: &Batch<'_>) -> Result<Tail, JournalError> {
        fits(batch)?;
        batch.rows.iter().try_for_each(is_text)?;
        batch.events.iter().try_for_each(event_is_text)?;
        let head = batch.entries.iter().try_fold(self.head, follow)?;
        self.events_follow(batch.events, head)?;
        let more = i64::try_from(batch.events.len()).expect("a batch has few events");
        Ok(Tail { head, events: self.events + more })
    }

    fn events_follow(&self, events: &[Event], head: Head) -> Result<(), JournalError> {
        let mut last = (self.head.seq, u32::MAX);
        for event in events {
            let key = (event.seq, event.part);
            if key <= last || event.seq > head.seq {
                return Err(JournalError::EventOutOfOrder { seq: event.seq, part: event.part });
            }
            last = key;
        }
        Ok(())
    }

    /// Events at this place and before are dropped when the tail moves to `next`; 0 when it is not yet time.
    pub(super) fn events_to_drop(&self, next: &Tail) -> i64 {
        let due = self.events / EVENTS_TRIM_EVERY != next.events / EVENTS_TRIM_EVERY;
        if due { (next.events - EVENTS_KEPT).max(0) } else { 0 }
    }
}

fn follow(head: Head, entry: &Entry) -> Result<Head, JournalError> {
    if entry.seq != head.seq + 1 || entry.previous != head.hash {
        return Err(JournalError::ChainBroken { last: head.seq, told: entry.seq });
    }
    Ok(Head { seq: entry.seq, hash: entry.hash })
}

fn fits(batch: &Batch<'_>) -> Result<(), JournalError> {
    bound("batch of entries", batch.entries.len(), BATCH_ENTRIES_MAX)?;
    bound("batch of rows", batch.rows.len(), BATCH_ROWS_MAX)?;
    bound("batch of events", batch.events.len(), BATCH_ROWS_MAX)?;
    let entries = batch.entries.iter().map(|entry| entry.body.len());
    let rows = batch.rows.iter().map(|row| row.body.as_ref().map_or(0, Vec::len));
    let events = batch.events.iter().map(|event| event.body.len());
    let mut total = 0;
    for size in entries.chain(rows).chain(events) {
        bound("body", size, BODY_BYTES_MAX)?;
        total += size;
    }
    bound("bodies of a batch", total, BATCH_BYTES_MAX)?;
    for row in batch.rows {
        bound("row id", row.id.len().max(row.kind.len()), KEY_BYTES_MAX)?;
        bound("owner", row.owner.len(), KEY_BYTES_MAX)?;
    }
    batch.events.iter().try_for_each(|event| bound("owner", event.owner.len(), KEY_BYTES_MAX))
}

fn bound(what: &'static str, size: usize, limit: usize) -> Result<(), JournalError> {
    if size > limit { Err(JournalError::TooLarge { what, size, limit }) } else { Ok(()) }
}

fn is_text(row: &Row) -> Result<(), JournalError> {
    let sortable = BEFORE_ALL_IDS < row.id.as_str() && row.id.as_str() < AFTER_ALL_IDS;
    if !sortable || row.id.contains('\0') || row.kind.contains('\0') || row.owner.contains('\0') {
        return Err(JournalError::NotText { what: "the key of a row" });
    }
    row.body.as_deref().map_or(Ok(()), |body| text(body, "the body of a row").map(|_| ()))
}

fn event_is_text(event: &Event) -> Result<(), JournalError> {
    if event.owner.contains('\0') {
        return Err(JournalError::NotText { what: "the owner of an event" });
    }
    text(&event.body, "the body of an event").map(|_| ())
}

/// The body as text that both engines keep as it is.
pub(super) fn text<'a>(body: &'a [u8], what: &'static str) -> Result<&'a str, JournalError> {
    let text = str::from_utf8(body).map_err(|_| JournalError::NotText { what })?;
    if text.contains('\0') { Err(JournalError::NotText { what }) } else { Ok(text) }
}

/// Each row once, the later of two winning, sorted by key so that the tables are walked in order.
pub(super) fn last_of_each(rows: &[Row]) -> impl Iterator<Item = &Row> {
    let by_key: BTreeMap<(&str, &str), &Row> =
        rows.iter().map(|row| ((row.kind, row.id.as_str()), row)).collect();
    by_key.into_values()
}

/// A number as the engines keep it.
pub(super) fn signed(what: &'static str, number: u64) -> Result<i64, JournalError> {
    i64::try_from(number).map_err(|_| JournalError::TooLarge {
        what,
        size: usize::MAX,
        limit: isize::MAX.unsigned_abs(),
    })
}

/// A number the engines gave back.
pub(super) fn unsigned(number: i64) -> Result<u64, JournalError> {
    u64::try_from(number).map_err(|_| corrupt(format!("{number} is stored where no sign may be")))
}

/// A hash the engines gave back.
pub(super) fn hash(bytes: &[u8]) -> Result<[u8; 32], JournalError> {
    bytes.try_into().map_err(|_| corrupt(format!("a hash has {} bytes", bytes.len())))
}

pub(super) fn corrupt(detail: String) -> JournalError {
    JournalError::Corrupt { detail }
}

/// Refuses a page that misses an entry or whose entries do not name each other.
pub(super) fn chained(after_seq: u64, entries: Vec<Entry>) -> Result<Vec<Entry>, JournalError> {
    let Some(first) = entries.first() else { return Ok(entries) };
    let before = Head { seq: after_seq, hash: first.previous };
    entries
        .iter()
        .try_fold(before, follow)
        .map_err(|_| corrupt(format!("the entries after {after_seq} do not form a chain")))?;
    Ok(entries)
}

/// What tells a whole snapshot from a damaged one.
pub(super) fn checksum(head: Head, format: u32, body: &[u8]) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(head.seq.to_be_bytes());
    digest.update(head.hash);
    digest.update(format.to_be_bytes());
    digest.update(body);
    digest.finalize().into()
}

/// Refuses a snapshot that is too large, or not of a stored entry, whose hash `stored` is.
pub(super) fn snapshot_fits(
    head: Head,
    told: Head,
    stored: Option<[u8; 32]>,
    body: &[u8],
) -> Result<(), JournalError> {
    bound("snapshot", body.len(), SNAPSHOT_BYTES_MAX)?;
    if told == Head::default() || stored == Some(told.hash) {
        return Ok(());
    }
    Err(JournalError::ChainBroken { last: head.seq, told: told.seq })
}
