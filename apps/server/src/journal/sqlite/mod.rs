//! The journal in one `SQLite` file.
//!
//! Beside `iog.db` lie `iog.db-wal` and `iog.db-shm`, which are part of it while a server runs, and `iog.db.lock`,
//! whose lock says that one does. All are readable by their owner only.

mod migrations;
mod statements;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use self::migrations::MIGRATIONS;
use self::statements::{StoredEntry, StoredEvent, StoredSnapshot};
use super::admit::{
    AFTER_ALL_IDS, BEFORE_ALL_IDS, Tail, chained, checksum, corrupt, hash, last_of_each, signed,
    snapshot_fits, text, unsigned,
};
use super::limits::{PAGE_BYTES_MAX, PAGE_ENTRIES_MAX, PAGE_ROWS_MAX, SNAPSHOT_PART_BYTES};
use super::{Batch, Entry, Event, Head, Journal, JournalError, Options, Reader, Snapshot, admit};

/// How long to wait for another program that writes to the file, such as a person's `sqlite3`.
const BUSY_PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait for the lock: a server that just ended, or a program it was just starting, may take a moment
/// to let go.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// How often to look whether the lock is free.
const LOCK_RETRY: Duration = Duration::from_millis(20);

/// Statements kept prepared: more than there are.
const STATEMENTS_KEPT: usize = 64;

/// The writer's connection.
pub(super) struct Sqlite {
    store: Connection,
    path: PathBuf,
    epoch: u64,
    tail: Tail,
    /// Held while this lives; the kernel lets go of it when the process ends, however it ends.
    _lock: Option<File>,
}

impl Sqlite {
    pub(super) fn open(path: &Path, options: &Options) -> Result<Self, JournalError> {
        let lock = lock(path, options.take_over)?;
        private_file(path)?;
        let mut store = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        statements::set_durable(&store).map_err(when("set up the file"))?;
        limit(&store, options.max_bytes).map_err(when("limit the file"))?;
        let begun = begin(&mut store)?;
        migrate(&begun)?;
        let epoch = statements::raise_epoch(&begun).map_err(when("become the writer"))?;
        let tail = tail(&begun)?;
        begun.commit().map_err(when("become the writer"))?;
        Ok(Self { store, path: path.to_owned(), epoch, tail, _lock: lock })
    }

    /// Starts a transaction in which this is still the writer.
    fn begin(&mut self) -> Result<Transaction<'_>, JournalError> {
        let ours = self.epoch;
        let begun = begin(&mut self.store)?;
        let theirs = statements::epoch(&begun).map_err(when("read the writer"))?;
        if theirs == ours { Ok(begun) } else { Err(JournalError::Fenced { ours, theirs }) }
    }
}

impl Journal for Sqlite {
    fn append(&mut self, batch: &Batch<'_>) -> Result<(), JournalError> {
        let next = self.tail.after(batch)?;
        let drop_to = self.tail.events_to_drop(&next);
        let first_place = self.tail.events + 1;
        let begun = self.begin()?;
        insert_entries(&begun, batch)?;
        write_rows(&begun, batch)?;
        insert_events(&begun, batch, first_place)?;
        if drop_to > 0 {
            statements::delete_events_to(&begun, drop_to).map_err(when("drop old events"))?;
        }
        begun.commit().map_err(when("commit a batch"))?;
        self.tail = next;
        Ok(())
    }

    fn head(&mut self) -> Result<Head, JournalError> {
        Ok(self.tail.head)
    }

    fn read(&mut self, after_seq: u64, limit: usize) -> Result<Vec<Entry>, JournalError> {
        entries(&self.store, after_seq, limit)
    }

    fn save_snapshot(
        &mut self,
        seq: u64,
        hash: [u8; 32],
        format: u32,
        body: &[u8],
    ) -> Result<(), JournalError> {
        let told = Head { seq, hash };
        let at = signed("entry number", seq)?;
        let head = self.tail.head;
        let begun = self.begin()?;
        snapshot_fits(head, told, hash_at(&begun, at)?, body)?;
        write_snapshot(&begun, at, &hash, format, body).map_err(when("write a snapshot"))?;
        begun.commit().map_err(when("commit a snapshot"))
    }

    fn snapshot(&mut self) -> Result<Option<Snapshot>, JournalError> {
        newest_snapshot(&self.store)
    }

    fn clear_rows(&mut self) -> Result<(), JournalError> {
        let begun = self.begin()?;
        statements::delete_rows(&begun).map_err(when("delete rows"))?;
        begun.commit().map_err(when("commit the deletion of rows"))
    }

    fn reader(&self) -> Result<Box<dyn Reader>, JournalError> {
        let store = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok(Box::new(SqliteReader { store }))
    }
}

/// A reader's connection. It sees each commit whole, and the writer never waits for it.
pub(super) struct SqliteReader {
    store: Connection,
}

impl Reader for SqliteReader {
    fn head(&mut self) -> Result<Head, JournalError> {
        head(&self.store)
    }

    fn row(&mut self, kind: &str, id: &str) -> Result<Option<Vec<u8>>, JournalError> {
        let found = statements::row(&self.store, kind, id).map_err(when("read a row"))?;
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
        let limit = limit.min(PAGE_ROWS_MAX);
        let start = if newest_first { AFTER_ALL_IDS } else { BEFORE_ALL_IDS };
        let past = after_id.unwrap_or(start);
        let store = &self.store;
        match (owner, newest_first) {
            (None, false) => statements::rows_up(store, kind, past, limit),
            (None, true) => statements::rows_down(store, kind, past, limit),
            (Some(owner), false) => statements::rows_of_owner_up(store, kind, owner, past, limit),
            (Some(owner), true) => statements::rows_of_owner_down(store, kind, owner, past, limit),
        }
        .map_err(when("read rows"))
    }

    fn events(
        &mut self,
        owner: Option<&str>,
        after: (u64, u32),
        limit: usize,
    ) -> Result<Vec<Event>, JournalError> {
        let limit = limit.min(PAGE_ROWS_MAX);
        let (seq, part) = (signed("entry number", after.0)?, after.1);
        let found = match owner {
            None => statements::events(&self.store, seq, part, limit),
            Some(owner) => statements::events_of_owner(&self.store, owner, seq, part, limit),
        };
        let found = found.map_err(when("read events"))?;
        let event = |(seq, part, owner, body): statements::FoundEvent| {
            Ok(Event { seq: unsigned(seq)?, part, owner, body: body.into_bytes() })
        };
        found.into_iter().map(event).collect()
    }

    fn entries(&mut self, after_seq: u64, limit: usize) -> Result<Vec<Entry>, JournalError> {
        entries(&self.store, after_seq, limit)
    }

    fn snapshot(&mut self) -> Result<Option<Snapshot>, JournalError> {
        newest_snapshot(&self.store)
    }
}

/// A reader of a file that may have no writer.
pub(super) fn open_to_read(path: &Path) -> Result<SqliteReader, JournalError> {
    Ok(SqliteReader { store: connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)? })
}

fn newest_snapshot(store: &Connection) -> Result<Option<Snapshot>, JournalError> {
    for found in statements::snapshots(store).map_err(when("list snapshots"))? {
        if let Some(whole) = whole_snapshot(store, &found)? {
            return Ok(Some(whole));
        }
        tracing::warn!(seq = found.seq, "a snapshot is damaged; taking an older one");
    }
    Ok(None)
}

/// Nothing when another holds it and `take_over` says that this does not matter.
fn lock(path: &Path, take_over: bool) -> Result<Option<File>, JournalError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = private_file(Path::new(&name))?;
    let patience = if take_over { Duration::ZERO } else { LOCK_PATIENCE };
    match lock_within(&lock, patience) {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) if take_over => Ok(None),
        Err(TryLockError::WouldBlock) => {
            Err(JournalError::Locked { place: name.to_string_lossy().into_owned() })
        }
        Err(TryLockError::Error(fault)) => Err(file_fault("lock the file", &fault)),
    }
}

fn lock_within(lock: &File, patience: Duration) -> Result<(), TryLockError> {
    let until = Instant::now() + patience;
    loop {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(LOCK_RETRY),
            told => return told,
        }
    }
}

fn private_file(path: &Path) -> Result<File, JournalError> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(|fault| file_fault("open the file", &fault))
}

fn file_fault(doing: &'static str, fault: &io::Error) -> JournalError {
    let detail = fault.to_string();
    if matches!(fault.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
        JournalError::Full { detail }
    } else {
        JournalError::Other { doing, detail }
    }
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, JournalError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let store = Connection::open_with_flags(path, flags).map_err(when("open the file"))?;
    store.busy_timeout(BUSY_PATIENCE).map_err(when("open the file"))?;
    store.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(store)
}

fn limit(store: &Connection, max_bytes: Option<u64>) -> rusqlite::Result<()> {
    let Some(max_bytes) = max_bytes else { return Ok(()) };
    let pages = max_bytes / statements::page_bytes(store)?;
    statements::set_pages_max(store, pages.max(1))
}

fn begin(store: &mut Connection) -> Result<Transaction<'_>, JournalError> {
    store.transaction_with_behavior(TransactionBehavior::Immediate).map_err(when("begin"))
}

fn migrate(store: &Connection) -> Result<(), JournalError> {
    let doing = "change the schema";
    statements::create_migrations(store).map_err(when(doing))?;
    let found = statements::last_migration(store).map_err(when(doing))?;
    let known = MIGRATIONS.len() as u64;
    if found > known {
        return Err(JournalError::TooNew { known, found });
    }
    for (number, (name, sql)) in (1..).zip(MIGRATIONS) {
        if number > found {
            store.execute_batch(sql).map_err(when(doing))?;
            statements::note_migration(store, number, name).map_err(when(doing))?;
        }
    }
    Ok(())
}

fn tail(store: &Connection) -> Result<Tail, JournalError> {
    let events = statements::last_place(store).map_err(when("read the last event"))?;
    Ok(Tail { head: head(store)?, events })
}

fn head(store: &Connection) -> Result<Head, JournalError> {
    match statements::head(store).map_err(when("read the head"))? {
        Some((seq, bytes)) => Ok(Head { seq: unsigned(seq)?, hash: hash(&bytes)? }),
        None => Ok(Head::default()),
    }
}

fn insert_entries(store: &Connection, batch: &Batch<'_>) -> Result<(), JournalError> {
    for entry in batch.entries {
        let stored = StoredEntry {
            seq: signed("entry number", entry.seq)?,
            at_millis: signed("time", entry.at_millis)?,
            previous: &entry.previous,
            hash: &entry.hash,
            body: &entry.body,
        };
        statements::insert_entry(store, &stored).map_err(when("insert an entry"))?;
    }
    Ok(())
}

fn write_rows(store: &Connection, batch: &Batch<'_>) -> Result<(), JournalError> {
    for row in last_of_each(batch.rows) {
        match &row.body {
            Some(body) => {
                let body = text(body, "the body of a row")?;
                statements::upsert_row(store, row.kind, &row.id, &row.owner, body)
            }
            None => statements::delete_row(store, row.kind, &row.id),
        }
        .map_err(when("write a row"))?;
    }
    Ok(())
}

fn insert_events(
    store: &Connection,
    batch: &Batch<'_>,
    first_place: i64,
) -> Result<(), JournalError> {
    for (place, event) in (first_place..).zip(batch.events) {
        let stored = StoredEvent {
            place,
            seq: signed("entry number", event.seq)?,
            part: event.part,
            owner: &event.owner,
            body: text(&event.body, "the body of an event")?,
        };
        statements::insert_event(store, &stored).map_err(when("insert an event"))?;
    }
    Ok(())
}

fn hash_at(store: &Connection, seq: i64) -> Result<Option<[u8; 32]>, JournalError> {
    let found = statements::hash_of(store, seq).map_err(when("read an entry"))?;
    found.map(|bytes| hash(&bytes)).transpose()
}

fn write_snapshot(
    store: &Connection,
    seq: i64,
    hash: &[u8; 32],
    format: u32,
    body: &[u8],
) -> rusqlite::Result<()> {
    statements::delete_snapshot(store, seq)?;
    let told = Head { seq: seq.unsigned_abs(), hash: *hash };
    statements::insert_snapshot(store, seq, hash, format, &checksum(told, format, body))?;
    for (part, bytes) in body.chunks(SNAPSHOT_PART_BYTES).enumerate() {
        statements::insert_snapshot_part(store, seq, part, bytes)?;
    }
    for old in statements::old_snapshots(store)? {
        statements::delete_snapshot(store, old)?;
    }
    Ok(())
}

/// The snapshot with its body; nothing when it is damaged or of another chain.
fn whole_snapshot(
    store: &Connection,
    found: &StoredSnapshot,
) -> Result<Option<Snapshot>, JournalError> {
    let body = match statements::snapshot_body(store, found.seq).map_err(when("read a snapshot")) {
        Ok(body) => body,
        Err(JournalError::Corrupt { .. }) => return Ok(None),
        Err(fault) => return Err(fault),
    };
    let told = Head { seq: unsigned(found.seq)?, hash: hash(&found.hash)? };
    let chained = told == Head::default() || hash_at(store, found.seq)? == Some(told.hash);
    let whole = checksum(told, found.format, &body)[..] == found.checksum[..];
    let snapshot = Snapshot { seq: told.seq, hash: told.hash, format: found.format, body };
    Ok((chained && whole).then_some(snapshot))
}

fn entries(store: &Connection, after_seq: u64, limit: usize) -> Result<Vec<Entry>, JournalError> {
    let after = signed("entry number", after_seq)?;
    let mut page: Vec<Result<Entry, JournalError>> = Vec::new();
    let mut bytes = 0;
    let take = |found: &rusqlite::Row<'_>| {
        let body: Vec<u8> = found.get(4)?;
        bytes += body.len();
        if bytes > PAGE_BYTES_MAX && !page.is_empty() {
            return Ok(false);
        }
        page.push(entry(found.get(0)?, found.get(1)?, [found.get(2)?, found.get(3)?], body));
        Ok(true)
    };
    statements::each_entry(store, after, limit.min(PAGE_ENTRIES_MAX), take)
        .map_err(when("read entries"))?;
    chained(after_seq, page.into_iter().collect::<Result<_, _>>()?)
}

fn entry(
    seq: i64,
    at_millis: i64,
    [previous, hash]: [Vec<u8>; 2],
    body: Vec<u8>,
) -> Result<Entry, JournalError> {
    Ok(Entry {
        seq: unsigned(seq)?,
        at_millis: unsigned(at_millis)?,
        previous: admit::hash(&previous)?,
        hash: admit::hash(&hash)?,
        body,
    })
}

/// What a fault of the engine means to the person who must act.
fn when(doing: &'static str) -> impl Fn(rusqlite::Error) -> JournalError {
    move |fault| {
        use rusqlite::Error as E;
        let detail = fault.to_string();
        let misread = matches!(
            fault,
            E::InvalidColumnType(..)
                | E::FromSqlConversionFailure(..)
                | E::IntegralValueOutOfRange(..)
        );
        match fault.sqlite_error_code().and_then(known) {
            Some(Known::Full) => JournalError::Full { detail },
            Some(Known::Corrupt) => corrupt(detail),
            Some(Known::Busy) => JournalError::Locked { place: OTHER_WRITER.to_owned() },
            None if misread => corrupt(detail),
            None => JournalError::Other { doing, detail },
        }
    }
}

const OTHER_WRITER: &str = "the file (a program that is no server writes to it)";

enum Known {
    Full,
    Corrupt,
    Busy,
}

fn known(code: ErrorCode) -> Option<Known> {
    let table = [
        (ErrorCode::DiskFull, Known::Full),
        (ErrorCode::DatabaseCorrupt, Known::Corrupt),
        (ErrorCode::NotADatabase, Known::Corrupt),
        (ErrorCode::DatabaseBusy, Known::Busy),
        (ErrorCode::DatabaseLocked, Known::Busy),
    ];
    table.into_iter().find(|(listed, _)| *listed == code).map(|(_, known)| known)
}
