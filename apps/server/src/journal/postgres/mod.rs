//! The journal in a schema of a `PostgreSQL` database.
//!
//! A lost connection is made anew on the next use: the lock is taken again, and the epoch and the head must be what
//! they were, or be what the batch in flight would have made them.

mod line;
mod migrations;
mod statements;

use self::line::{Address, Line, when};
use self::migrations::MIGRATIONS;
use self::statements::{Columns, FoundEntry, StoredSnapshot};
use super::admit::{
    self, AFTER_ALL_IDS, BEFORE_ALL_IDS, Tail, chained, checksum, corrupt, last_of_each, signed,
    snapshot_fits, text, unsigned,
};
use super::limits::{PAGE_BYTES_MAX, PAGE_ENTRIES_MAX, PAGE_ROWS_MAX, SNAPSHOT_PART_BYTES};
use super::{Batch, Entry, Event, Head, Journal, JournalError, Options, Reader, Snapshot};

/// The writer.
pub(super) struct Postgres {
    address: Address,
    take_over: bool,
    epoch: u64,
    tail: Tail,
    line: Option<Line>,
    /// Where the chain ends if the batch in flight when the connection was lost was stored.
    in_doubt: Option<Head>,
    /// The end of a batch that turned out to be stored, although its append did not say so.
    landed: Option<Head>,
}

impl Postgres {
    pub(super) fn open(url: &str, options: &Options) -> Result<Self, JournalError> {
        if options.max_bytes.is_some() {
            let detail = "a limit in bytes is for files; set a quota in the database".to_owned();
            return Err(JournalError::BadAddress { detail });
        }
        let address = Address::parse(url)?;
        let (mut line, locked) = connect(&address, options.take_over)?;
        if !locked && !options.take_over {
            let place = format!("schema {}", address.schema);
            return Err(JournalError::Locked { place });
        }
        let (epoch, tail) = within(&mut line, |line| become_writer(line, &address.schema))?;
        Ok(Self {
            address,
            take_over: options.take_over,
            epoch,
            tail,
            line: Some(line),
            in_doubt: None,
            landed: None,
        })
    }

    /// Does `work` on a connection that belongs to the writer, and forgets the connection if that was lost.
    fn on_line<T>(
        &mut self,
        work: impl FnOnce(&mut Line) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        self.resume()?;
        let line = self.line.as_mut().expect("there is a connection after resuming");
        let done = work(line);
        if matches!(done, Err(JournalError::Unreachable { .. })) {
            self.line = None;
        }
        done
    }

    /// As [`Self::on_line`], in a transaction in which this is still the writer.
    fn as_writer<T>(
        &mut self,
        work: impl FnOnce(&mut Line) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let ours = self.epoch;
        self.on_line(|line| {
            within(line, |line| {
                let theirs = statements::epoch_held(line).map_err(when("read the writer"))?;
                still(ours, theirs)?;
                work(line)
            })
        })
    }

    /// Makes sure that there is a connection, and that nobody wrote while there was none.
    fn resume(&mut self) -> Result<(), JournalError> {
        if self.line.as_ref().is_some_and(|line| !line.is_lost()) {
            return Ok(());
        }
        self.line = None;
        let (mut line, locked) = connect(&self.address, self.take_over)?;
        let theirs = statements::epoch(&mut line).map_err(when("read the writer"))?;
        still(self.epoch, theirs)?;
        if !locked && !self.take_over {
            let detail = "the lost connection still holds the lock".to_owned();
            return Err(JournalError::Unreachable { detail });
        }
        let found = tail(&mut line)?;
        self.accept(found)?;
        tracing::info!(seq = found.head.seq, "reached the database again");
        self.line = Some(line);
        Ok(())
    }

    /// Takes the tail found after a connection was lost: the known one, or that of the batch in doubt.
    fn accept(&mut self, found: Tail) -> Result<(), JournalError> {
        let doubted = self.in_doubt.take();
        if found.head == self.tail.head {
            return Ok(());
        }
        if doubted == Some(found.head) {
            self.landed = doubted;
            self.tail = found;
            return Ok(());
        }
        Err(corrupt(format!(
            "the database ends at entry {} after a lost connection, and ended at {} before",
            found.head.seq, self.tail.head.seq
        )))
    }

    /// Whether this very batch was stored by an append whose answer was lost.
    fn has_landed(&mut self, batch: &Batch<'_>) -> bool {
        let end = batch.entries.last().map(|entry| Head { seq: entry.seq, hash: entry.hash });
        let landed = self.landed.take();
        end.is_some() && end == landed
    }
}

impl Journal for Postgres {
    fn append(&mut self, batch: &Batch<'_>) -> Result<(), JournalError> {
        self.resume()?;
        if self.has_landed(batch) {
            return Ok(());
        }
        let next = self.tail.after(batch)?;
        let mut columns = columns(batch, self.tail.events + 1)?;
        columns.drop_to = self.tail.events_to_drop(&next);
        let epoch = signed("epoch", self.epoch)?;
        let stored = self.on_line(|line| {
            statements::append(line, epoch, &columns).map_err(when("append a batch"))
        });
        match stored {
            Ok(true) => self.tail = next,
            Ok(false) => return Err(self.fenced()),
            Err(JournalError::Unreachable { detail }) => {
                self.in_doubt = Some(next.head);
                return Err(JournalError::Unreachable { detail });
            }
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    fn head(&mut self) -> Result<Head, JournalError> {
        self.resume()?;
        Ok(self.tail.head)
    }

    fn read(&mut self, after_seq: u64, limit: usize) -> Result<Vec<Entry>, JournalError> {
        self.on_line(|line| entries(line, after_seq, limit))
    }

    fn save_snapshot(
        &mut self,
        seq: u64,
        hash: [u8; 32],
        format: u32,
        body: &[u8],
    ) -> Result<(), JournalError> {
        self.resume()?;
        let head = self.tail.head;
        let at = signed("entry number", seq)?;
        self.as_writer(|line| {
            snapshot_fits(head, Head { seq, hash }, hash_at(line, at)?, body)?;
            write_snapshot(line, Head { seq, hash }, format, body).map_err(when("write a snapshot"))
        })
    }

    fn snapshot(&mut self) -> Result<Option<Snapshot>, JournalError> {
        self.on_line(newest_snapshot)
    }

    fn clear_rows(&mut self) -> Result<(), JournalError> {
        self.as_writer(|line| statements::truncate_rows(line).map_err(when("delete rows")))
    }

    fn reader(&self) -> Result<Box<dyn Reader>, JournalError> {
        let mut reader = PostgresReader { address: self.address.clone(), line: None };
        reader.on_line(|_| Ok(()))?;
        Ok(Box::new(reader))
    }
}

impl Postgres {
    fn fenced(&mut self) -> JournalError {
        let ours = self.epoch;
        let theirs = self.on_line(|line| statements::epoch(line).map_err(when("read the writer")));
        match theirs.and_then(unsigned) {
            Ok(theirs) => JournalError::Fenced { ours, theirs },
            Err(fault) => fault,
        }
    }
}

/// A reader's connection, made anew on the next use after it was lost.
pub(super) struct PostgresReader {
    address: Address,
    line: Option<Line>,
}

impl PostgresReader {
    fn on_line<T>(
        &mut self,
        work: impl FnOnce(&mut Line) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let mut line = match self.line.take().filter(|line| !line.is_lost()) {
            Some(line) => line,
            None => {
                let mut line = self.address.connect()?;
                statements::set_up_reader(&mut line, &self.address.schema)
                    .map_err(when("set up a connection"))?;
                line
            }
        };
        let done = work(&mut line);
        if !matches!(done, Err(JournalError::Unreachable { .. })) {
            self.line = Some(line);
        }
        done
    }
}

impl Reader for PostgresReader {
    fn head(&mut self) -> Result<Head, JournalError> {
        self.on_line(head)
    }

    fn row(&mut self, kind: &str, id: &str) -> Result<Option<Vec<u8>>, JournalError> {
        let found =
            self.on_line(|line| statements::row(line, kind, id).map_err(when("read a row")))?;
        Ok(found.map(String::into_bytes))
    }

    fn rows(
        &mut self,
        kind: &str,
        owner: Option<&str>,
        after_id: Option<&str>,
        newest_first: bool,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, JournalError> {
        let limit = few(limit.min(PAGE_ROWS_MAX));
        let start = if newest_first { AFTER_ALL_IDS } else { BEFORE_ALL_IDS };
        let past = after_id.unwrap_or(start);
        self.on_line(|line| {
            match (owner, newest_first) {
                (None, false) => statements::rows_up(line, kind, past, limit),
                (None, true) => statements::rows_down(line, kind, past, limit),
                (Some(owner), false) => {
                    statements::rows_of_owner_up(line, kind, owner, past, limit)
                }
                (Some(owner), true) => {
                    statements::rows_of_owner_down(line, kind, owner, past, limit)
                }
            }
            .map_err(when("read rows"))
        })
    }

    fn events(
        &mut self,
        owner: Option<&str>,
        after: (u64, u32),
        limit: usize,
    ) -> Result<Vec<Event>, JournalError> {
        let limit = few(limit.min(PAGE_ROWS_MAX));
        let (seq, part) = (signed("entry number", after.0)?, i64::from(after.1));
        let found = self.on_line(|line| {
            match owner {
                None => statements::events(line, seq, part, limit),
                Some(owner) => statements::events_of_owner(line, owner, seq, part, limit),
            }
            .map_err(when("read events"))
        })?;
        found.into_iter().map(event).collect()
    }

    fn entries(&mut self, after_seq: u64, limit: usize) -> Result<Vec<Entry>, JournalError> {
        self.on_line(|line| entries(line, after_seq, limit))
    }

    fn snapshot(&mut self) -> Result<Option<Snapshot>, JournalError> {
        self.on_line(newest_snapshot)
    }
}

/// A reader of a schema that may have no writer.
pub(super) fn open_to_read(url: &str) -> Result<PostgresReader, JournalError> {
    let mut reader = PostgresReader { address: Address::parse(url)?, line: None };
    reader.on_line(|_| Ok(()))?;
    Ok(reader)
}

fn newest_snapshot(line: &mut Line) -> Result<Option<Snapshot>, JournalError> {
    for found in statements::snapshots(line).map_err(when("list snapshots"))? {
        if let Some(whole) = whole_snapshot(line, &found)? {
            return Ok(Some(whole));
        }
        tracing::warn!(seq = found.seq, "a snapshot is damaged; taking an older one");
    }
    Ok(None)
}

/// A connection for the writer, and whether the lock is held on it.
fn connect(address: &Address, take_over: bool) -> Result<(Line, bool), JournalError> {
    let mut line = address.connect()?;
    let set_up = when("set up a connection");
    statements::set_up_writer(&mut line, &address.schema).map_err(&set_up)?;
    if !statements::syncs_to_disk(&mut line).map_err(&set_up)? {
        tracing::warn!(
            "the database runs with fsync off: a loss of power loses what was acknowledged"
        );
    }
    let lock = if take_over { statements::try_lock } else { statements::wait_for_lock };
    let locked = lock(&mut line, &address.schema).map_err(when("lock the schema"))?;
    Ok((line, locked))
}

fn still(ours: u64, theirs: i64) -> Result<(), JournalError> {
    let theirs = unsigned(theirs)?;
    if theirs == ours { Ok(()) } else { Err(JournalError::Fenced { ours, theirs }) }
}

/// Does `work` in a transaction: all of it is stored, or nothing.
fn within<T>(
    line: &mut Line,
    work: impl FnOnce(&mut Line) -> Result<T, JournalError>,
) -> Result<T, JournalError> {
    statements::begin(line).map_err(when("begin"))?;
    match work(line) {
        Ok(done) => statements::commit(line).map_err(when("commit")).map(|()| done),
        Err(refused) => {
            // When even this fails the connection is gone, and the transaction with it.
            let _ = statements::roll_back(line);
            Err(refused)
        }
    }
}

fn become_writer(line: &mut Line, schema: &str) -> Result<(u64, Tail), JournalError> {
    if !statements::schema_exists(line, schema).map_err(when("find the schema"))? {
        statements::create_schema(line, schema).map_err(when("create the schema"))?;
    }
    migrate(line)?;
    let epoch = statements::raise_epoch(line).map_err(when("become the writer"))?;
    Ok((unsigned(epoch)?, tail(line)?))
}

fn migrate(line: &mut Line) -> Result<(), JournalError> {
    let doing = "change the schema";
    statements::create_migrations(line).map_err(when(doing))?;
    let found = unsigned(statements::last_migration(line).map_err(when(doing))?)?;
    let known = MIGRATIONS.len() as u64;
    if found > known {
        return Err(JournalError::TooNew { known, found });
    }
    for (number, (name, sql)) in (1_u32..).zip(MIGRATIONS) {
        if u64::from(number) > found {
            statements::migrate(line, sql).map_err(when(doing))?;
            statements::note_migration(line, i64::from(number), name).map_err(when(doing))?;
        }
    }
    Ok(())
}

fn tail(line: &mut Line) -> Result<Tail, JournalError> {
    let events = statements::last_place(line).map_err(when("read the last event"))?;
    Ok(Tail { head: head(line)?, events })
}

fn head(line: &mut Line) -> Result<Head, JournalError> {
    match statements::head(line).map_err(when("read the head"))? {
        Some((seq, bytes)) => Ok(Head { seq: unsigned(seq)?, hash: admit::hash(&bytes)? }),
        None => Ok(Head::default()),
    }
}

fn columns<'a>(batch: &Batch<'a>, first_place: i64) -> Result<Columns<'a>, JournalError> {
    let mut columns = Columns::default();
    for entry in batch.entries {
        columns.seqs.push(signed("entry number", entry.seq)?);
        columns.at_millis.push(signed("time", entry.at_millis)?);
        columns.previous.push(&entry.previous);
        columns.hashes.push(&entry.hash);
        columns.bodies.push(&entry.body);
    }
    for row in last_of_each(batch.rows) {
        let Some(body) = &row.body else {
            columns.gone_kinds.push(row.kind);
            columns.gone_ids.push(&row.id);
            continue;
        };
        columns.row_kinds.push(row.kind);
        columns.row_ids.push(&row.id);
        columns.row_owners.push(&row.owner);
        columns.row_bodies.push(text(body, "the body of a row")?);
    }
    for (place, event) in (first_place..).zip(batch.events) {
        columns.event_places.push(place);
        columns.event_seqs.push(signed("entry number", event.seq)?);
        columns.event_parts.push(i64::from(event.part));
        columns.event_owners.push(&event.owner);
        columns.event_bodies.push(text(&event.body, "the body of an event")?);
    }
    Ok(columns)
}

fn hash_at(line: &mut Line, seq: i64) -> Result<Option<[u8; 32]>, JournalError> {
    let found = statements::hash_of(line, seq).map_err(when("read an entry"))?;
    found.map(|bytes| admit::hash(&bytes)).transpose()
}

fn write_snapshot(
    line: &mut Line,
    told: Head,
    format: u32,
    body: &[u8],
) -> Result<(), ::postgres::Error> {
    let seq = told.seq.cast_signed();
    statements::delete_snapshot(line, seq)?;
    statements::insert_snapshot(line, seq, &told.hash, format, &checksum(told, format, body))?;
    for (part, bytes) in (0..).zip(body.chunks(SNAPSHOT_PART_BYTES)) {
        statements::insert_snapshot_part(line, seq, part, bytes)?;
    }
    for old in statements::old_snapshots(line)? {
        statements::delete_snapshot(line, old)?;
    }
    Ok(())
}

/// The snapshot with its body; nothing when it is damaged or of another chain.
fn whole_snapshot(
    line: &mut Line,
    found: &StoredSnapshot,
) -> Result<Option<Snapshot>, JournalError> {
    let body = match snapshot_body(line, found.seq).map_err(when("read a snapshot")) {
        Ok(body) => body,
        Err(JournalError::Corrupt { .. }) => return Ok(None),
        Err(fault) => return Err(fault),
    };
    let Ok(format) = u32::try_from(found.format) else { return Ok(None) };
    let told = Head { seq: unsigned(found.seq)?, hash: admit::hash(&found.hash)? };
    let chained = told == Head::default() || hash_at(line, found.seq)? == Some(told.hash);
    let whole = checksum(told, format, &body)[..] == found.checksum[..];
    let snapshot = Snapshot { seq: told.seq, hash: told.hash, format, body };
    Ok((chained && whole).then_some(snapshot))
}

fn snapshot_body(line: &mut Line, seq: i64) -> Result<Vec<u8>, ::postgres::Error> {
    let mut body = Vec::new();
    let mut part = 0;
    while let Some(bytes) = statements::snapshot_part(line, seq, part)? {
        body.extend_from_slice(&bytes);
        part += 1;
    }
    Ok(body)
}

fn entries(line: &mut Line, after_seq: u64, limit: usize) -> Result<Vec<Entry>, JournalError> {
    let after = signed("entry number", after_seq)?;
    let limit = few(limit.min(PAGE_ENTRIES_MAX));
    let found = statements::entries(line, after, limit, few(PAGE_BYTES_MAX))
        .map_err(when("read entries"))?;
    chained(after_seq, found.into_iter().map(entry).collect::<Result<_, _>>()?)
}

fn entry((seq, at_millis, previous, hash, body): FoundEntry) -> Result<Entry, JournalError> {
    Ok(Entry {
        seq: unsigned(seq)?,
        at_millis: unsigned(at_millis)?,
        previous: admit::hash(&previous)?,
        hash: admit::hash(&hash)?,
        body,
    })
}

fn event((seq, part, owner, body): statements::FoundEvent) -> Result<Event, JournalError> {
    let part = u32::try_from(part).map_err(|_| corrupt(format!("an event has part {part}")))?;
    Ok(Event { seq: unsigned(seq)?, part, owner, body: body.into_bytes() })
}

/// A number of things that a limit has bounded.
fn few(count: usize) -> i64 {
    i64::try_from(count).expect("limits are small")
}
