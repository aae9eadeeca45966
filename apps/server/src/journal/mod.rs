//! The durable store of the control plane: a hash-chained journal, snapshots, and the tables that people read.
//!
//! Two engines, one behavior: `SQLite` (one file, nothing to install) and `PostgreSQL`. All SQL of the program lives
//! in this folder, a function per statement. Calls block until the disk has answered: call from a plain thread,
//! never from an async task.
//!
//! # Invariants
//! - A batch is stored whole or not at all: its entries, its rows and its events are one transaction.
//! - What [`Journal::append`] acknowledged survives a kill of the server and a loss of power.
//! - Entries are numbered from 1 without gaps, and each names the hash of the one before.
//! - One writer at a time: a lock keeps the second out, and an epoch checked inside every transaction keeps out
//!   one that was paused and comes back.
//!
//! Deliberately absent: what the bodies mean. The store takes hashes as given; `control` makes and checks them.

mod admit;
mod error;
pub mod limits;
mod postgres;
mod sqlite;

pub use error::JournalError;

/// One accepted command, as stored. `hash` is SHA-256 over (`previous`, `seq`, `at_millis`, `body`); `control`
/// computes it and checks it on reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number: 1 for the first, no gaps.
    pub seq: u64,
    /// When it was accepted, in milliseconds since 1970.
    pub at_millis: u64,
    /// The hash of the entry before; all zero for the first.
    pub previous: [u8; 32],
    /// The hash of this entry.
    pub hash: [u8; 32],
    /// The command, opaque here.
    pub body: Vec<u8>,
}

/// What people read of one thing: upserted by (`kind`, `id`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The kind of thing, such as `rental`.
    pub kind: &'static str,
    /// Its id. Ids sort as text, so time-ordered ids page in order of time.
    pub id: String,
    /// Whose it is; empty for nobody's.
    pub owner: String,
    /// JSON, or nothing to delete the row.
    pub body: Option<Vec<u8>>,
}

/// A change told to clients that watch, ordered by (`seq`, `part`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The entry that caused it.
    pub seq: u64,
    /// Its place among the entry's events.
    pub part: u32,
    /// Who may see it; empty for nobody's.
    pub owner: String,
    /// JSON.
    pub body: Vec<u8>,
}

/// What is stored together or not at all. Of two rows with one (`kind`, `id`), the later counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Batch<'a> {
    /// Following the head, in order. May be empty, when rows are rebuilt.
    pub entries: &'a [Entry],
    /// In any order.
    pub rows: &'a [Row],
    /// Ascending, of entries of this batch.
    pub events: &'a [Event],
}

/// The end of the chain. Before the first entry: 0 and all zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The number of the last entry.
    pub seq: u64,
    /// The hash of the last entry.
    pub hash: [u8; 32],
}

/// A state of `control` after entry `seq`, so that a restart need not replay what came before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The last entry it contains.
    pub seq: u64,
    /// The hash of that entry.
    pub hash: [u8; 32],
    /// The version of the encoding of `body`.
    pub format: u32,
    /// Opaque here.
    pub body: Vec<u8>,
}

/// How to open a journal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The most the `SQLite` file may grow to, in bytes; nothing for as much as the disk has. `PostgreSQL` refuses it:
    /// there, a quota belongs to the database.
    pub max_bytes: Option<u64>,
    /// Become the writer although another holds the lock. The other one is fenced: it cannot append any more.
    pub take_over: bool,
}

/// The one writer's hold on the store. After an error the store stays usable, except when fenced.
pub trait Journal: Send {
    /// Stores the batch in one durable transaction. On an error nothing of it is there; only after
    /// [`JournalError::Unreachable`] it is open whether it is, and appending the same batch again stores it once.
    ///
    /// # Errors
    /// The refusals of [`JournalError`] in their order, then what the store met.
    fn append(&mut self, batch: &Batch<'_>) -> Result<(), JournalError>;

    /// The end of the chain.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn head(&mut self) -> Result<Head, JournalError>;

    /// Up to `limit` entries after `after_seq`, in order; fewer when they are large, none only at the end.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`] when an entry is missing or does not name the one before.
    fn read(&mut self, after_seq: u64, limit: usize) -> Result<Vec<Entry>, JournalError>;

    /// Keeps a snapshot and drops all but the newest two. It must be of an entry that is stored.
    ///
    /// # Errors
    /// [`JournalError::ChainBroken`] when `hash` is not that of entry `seq`.
    fn save_snapshot(
        &mut self,
        seq: u64,
        hash: [u8; 32],
        format: u32,
        body: &[u8],
    ) -> Result<(), JournalError>;

    /// The newest snapshot that is whole and fits the chain.
    ///
    /// # Errors
    /// When the store cannot be read. A damaged snapshot is no error: the older one is taken, or none.
    fn snapshot(&mut self) -> Result<Option<Snapshot>, JournalError>;

    /// Deletes all rows, before they are rebuilt from the journal.
    ///
    /// # Errors
    /// What the store met; then all rows are still there.
    fn clear_rows(&mut self) -> Result<(), JournalError>;

    /// A connection of its own for reading, to be used beside the writer.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn reader(&self) -> Result<Box<dyn Reader>, JournalError>;
}

/// Reads what was acknowledged, and never waits for the writer.
pub trait Reader: Send {
    /// The end of the chain.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn head(&mut self) -> Result<Head, JournalError>;

    /// The body of one row.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn row(&mut self, kind: &str, id: &str) -> Result<Option<Vec<u8>>, JournalError>;

    /// A page of rows of one kind as (id, body), past `after_id` in the direction of reading.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn rows(
        &mut self,
        kind: &str,
        owner: Option<&str>,
        after_id: Option<&str>,
        newest_first: bool,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, JournalError>;

    /// Up to `limit` events after the entry and part of `after`, of one owner or of all, oldest first. Events
    /// older than the newest [`limits::EVENTS_KEPT`] are gone.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn events(
        &mut self,
        owner: Option<&str>,
        after: (u64, u32),
        limit: usize,
    ) -> Result<Vec<Event>, JournalError>;

    /// As [`Journal::read`], for auditors.
    ///
    /// # Errors
    /// As [`Journal::read`].
    fn entries(&mut self, after_seq: u64, limit: usize) -> Result<Vec<Entry>, JournalError>;

    /// As [`Journal::snapshot`], for auditors.
    ///
    /// # Errors
    /// As [`Journal::snapshot`].
    fn snapshot(&mut self) -> Result<Option<Snapshot>, JournalError>;
}

/// Opens the journal at the address for reading only: nothing of it is changed, and a server that has it goes on.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn open_to_read(url: &str) -> Result<Box<dyn Reader>, JournalError> {
    match place(url)? {
        Place::Postgres => Ok(Box::new(postgres::open_to_read(url)?)),
        Place::File(path) => Ok(Box::new(sqlite::open_to_read(path.as_ref())?)),
    }
}

/// Where a journal is.
enum Place<'a> {
    Postgres,
    File(&'a str),
}

fn place(url: &str) -> Result<Place<'_>, JournalError> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Place::Postgres);
    }
    let path = url.strip_prefix("sqlite:").unwrap_or(url);
    if path.is_empty() || path.contains("://") {
        let detail = "neither a path nor a postgres address".to_owned();
        return Err(JournalError::BadAddress { detail });
    }
    Ok(Place::File(path))
}

/// Opens the journal at `sqlite:/path/iog.db`, a plain path, or `postgres://user@host/database?schema=iog`, and
/// makes or upgrades its tables.
///
/// # Errors
/// [`JournalError::Locked`] when another server has it, [`JournalError::TooNew`] when a newer program changed it.
pub fn open(url: &str, options: &Options) -> Result<Box<dyn Journal>, JournalError> {
    match place(url)? {
        Place::Postgres => Ok(Box::new(postgres::Postgres::open(url, options)?)),
        Place::File(path) => Ok(Box::new(sqlite::Sqlite::open(path.as_ref(), options)?)),
    }
}
