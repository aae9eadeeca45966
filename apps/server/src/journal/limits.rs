//! How much the journal takes at once, and how much it keeps. Every bound here is met before anything is written.

/// Entries in one batch. Group commit closes at a few hundred; the rest is room for a replay.
pub const BATCH_ENTRIES_MAX: usize = 10_000;

/// Rows or events in one batch: one command may touch several of each.
pub const BATCH_ROWS_MAX: usize = 100_000;

/// Bytes of all bodies of one batch. It is one message to `PostgreSQL`, whose messages end at 1 GiB.
pub const BATCH_BYTES_MAX: usize = 64 << 20;

/// Bytes of one body: a command, a row or an event. Larger things are blobs, and a record only names them.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// Bytes of a row's kind, id or owner.
pub const KEY_BYTES_MAX: usize = 256;

/// Entries in one page of reading.
pub const PAGE_ENTRIES_MAX: usize = 10_000;

/// Rows or events in one page of reading.
pub const PAGE_ROWS_MAX: usize = 1_000;

/// Bytes of bodies in one page of entries; a page always holds at least one entry.
pub const PAGE_BYTES_MAX: usize = 16 << 20;

/// Bytes of one snapshot: ten million records of 400 bytes.
pub const SNAPSHOT_BYTES_MAX: usize = 4 << 30;

/// A snapshot is stored in parts of this many bytes, far below what either engine takes as one value.
pub const SNAPSHOT_PART_BYTES: usize = 4 << 20;

/// Snapshots kept: the newest, and one to fall back to if it is damaged.
pub const SNAPSHOTS_KEPT: i64 = 2;

/// Newest events kept for clients that were away. Who was away longer reads the rows anew.
pub const EVENTS_KEPT: i64 = 100_000;

/// Old events are dropped each time this many new ones came, so that most appends drop nothing.
pub const EVENTS_TRIM_EVERY: i64 = 1_024;

const _: () = assert!(BODY_BYTES_MAX <= PAGE_BYTES_MAX, "a page holds at least one body");
const _: () = assert!(BODY_BYTES_MAX <= BATCH_BYTES_MAX, "a batch holds at least one body");
const _: () = assert!(EVENTS_TRIM_EVERY < EVENTS_KEPT, "dropping keeps up with what comes");
