//! Every statement told to `SQLite`, a function each. Functions that write run inside their caller's transaction.

use rusqlite::{Connection, OptionalExtension, Result, Row as Found, params};

use crate::journal::limits::SNAPSHOTS_KEPT;

/// Every commit reaches the disk; readers never wait for the writer; no trigger or view of a tampered file runs.
/// Pages go from the log to the file after 32 MiB, so that one that changes often is moved once.
pub(super) fn set_durable(store: &Connection) -> Result<()> {
    store.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 8192;
         PRAGMA cell_size_check = ON;
         PRAGMA trusted_schema = OFF;
         PRAGMA cache_size = -65536;",
    )
}

pub(super) fn page_bytes(store: &Connection) -> Result<u64> {
    store.query_row("PRAGMA page_size", [], |found| found.get::<_, u32>(0)).map(u64::from)
}

pub(super) fn set_pages_max(store: &Connection, pages: u64) -> Result<()> {
    store.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
}

pub(super) fn create_migrations(store: &Connection) -> Result<()> {
    store.execute_batch(
        "CREATE TABLE IF NOT EXISTS migrations (
             number INTEGER NOT NULL,
             name TEXT NOT NULL,
             CONSTRAINT migrations_once_per_number PRIMARY KEY (number)
         ) STRICT;",
    )
}

pub(super) fn last_migration(store: &Connection) -> Result<u64> {
    store.query_row("SELECT coalesce(max(number), 0) FROM migrations", [], |found| {
        found.get::<_, u32>(0).map(u64::from)
    })
}

pub(super) fn note_migration(store: &Connection, number: u64, name: &str) -> Result<()> {
    store
        .execute("INSERT INTO migrations (number, name) VALUES (?1, ?2)", params![number, name])
        .map(|_| ())
}

pub(super) fn raise_epoch(store: &Connection) -> Result<u64> {
    store.query_row("UPDATE writer SET epoch = epoch + 1 RETURNING epoch", [], |found| found.get(0))
}

pub(super) fn epoch(store: &Connection) -> Result<u64> {
    store.prepare_cached("SELECT epoch FROM writer")?.query_row([], |found| found.get(0))
}

pub(super) fn head(store: &Connection) -> Result<Option<(i64, Vec<u8>)>> {
    store
        .prepare_cached("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1")?
        .query_row([], |found| Ok((found.get(0)?, found.get(1)?)))
        .optional()
}

pub(super) fn hash_of(store: &Connection, seq: i64) -> Result<Option<Vec<u8>>> {
    store
        .prepare_cached("SELECT hash FROM entries WHERE seq = ?1")?
        .query_row([seq], |found| found.get(0))
        .optional()
}

pub(super) fn last_place(store: &Connection) -> Result<i64> {
    store.query_row("SELECT coalesce(max(place), 0) FROM events", [], |found| found.get(0))
}

/// An entry as `SQLite` keeps it.
pub(super) struct StoredEntry<'a> {
    pub(super) seq: i64,
    pub(super) at_millis: i64,
    pub(super) previous: &'a [u8],
    pub(super) hash: &'a [u8],
    pub(super) body: &'a [u8],
}

pub(super) fn insert_entry(store: &Connection, entry: &StoredEntry<'_>) -> Result<()> {
    store
        .prepare_cached(
            "INSERT INTO entries (seq, at_millis, previous, hash, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![entry.seq, entry.at_millis, entry.previous, entry.hash, entry.body])
        .map(|_| ())
}

pub(super) fn upsert_row(
    store: &Connection,
    kind: &str,
    id: &str,
    owner: &str,
    body: &str,
) -> Result<()> {
    store
        .prepare_cached(
            "INSERT INTO rows (kind, id, owner, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (kind, id) DO UPDATE SET owner = excluded.owner, body = excluded.body",
        )?
        .execute([kind, id, owner, body])
        .map(|_| ())
}

pub(super) fn delete_row(store: &Connection, kind: &str, id: &str) -> Result<()> {
    store
        .prepare_cached("DELETE FROM rows WHERE kind = ?1 AND id = ?2")?
        .execute([kind, id])
        .map(|_| ())
}

pub(super) fn delete_rows(store: &Connection) -> Result<()> {
    store.execute("DELETE FROM rows", []).map(|_| ())
}

/// An event as `SQLite` keeps it.
pub(super) struct StoredEvent<'a> {
    pub(super) place: i64,
    pub(super) seq: i64,
    pub(super) part: u32,
    pub(super) owner: &'a str,
    pub(super) body: &'a str,
}

pub(super) fn insert_event(store: &Connection, event: &StoredEvent<'_>) -> Result<()> {
    store
        .prepare_cached(
            "INSERT INTO events (place, seq, part, owner, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![event.place, event.seq, event.part, event.owner, event.body])
        .map(|_| ())
}

pub(super) fn delete_events_to(store: &Connection, place: i64) -> Result<()> {
    store.prepare_cached("DELETE FROM events WHERE place <= ?1")?.execute([place]).map(|_| ())
}

pub(super) fn delete_snapshot(store: &Connection, seq: i64) -> Result<()> {
    store.execute("DELETE FROM snapshot_parts WHERE seq = ?1", [seq])?;
    store.execute("DELETE FROM snapshots WHERE seq = ?1", [seq]).map(|_| ())
}

pub(super) fn insert_snapshot(
    store: &Connection,
    seq: i64,
    hash: &[u8],
    format: u32,
    checksum: &[u8],
) -> Result<()> {
    store
        .execute(
            "INSERT INTO snapshots (seq, hash, format, checksum) VALUES (?1, ?2, ?3, ?4)",
            params![seq, hash, format, checksum],
        )
        .map(|_| ())
}

pub(super) fn insert_snapshot_part(
    store: &Connection,
    seq: i64,
    part: usize,
    body: &[u8],
) -> Result<()> {
    store
        .prepare_cached("INSERT INTO snapshot_parts (seq, part, body) VALUES (?1, ?2, ?3)")?
        .execute(params![seq, part, body])
        .map(|_| ())
}

pub(super) fn old_snapshots(store: &Connection) -> Result<Vec<i64>> {
    store
        .prepare("SELECT seq FROM snapshots ORDER BY seq DESC LIMIT -1 OFFSET ?1")?
        .query_map([SNAPSHOTS_KEPT], |found| found.get(0))?
        .collect()
}

/// A snapshot as `SQLite` keeps it, without its body.
pub(super) struct StoredSnapshot {
    pub(super) seq: i64,
    pub(super) hash: Vec<u8>,
    pub(super) format: u32,
    pub(super) checksum: Vec<u8>,
}

pub(super) fn snapshots(store: &Connection) -> Result<Vec<StoredSnapshot>> {
    let read = |found: &Found<'_>| {
        Ok(StoredSnapshot {
            seq: found.get(0)?,
            hash: found.get(1)?,
            format: found.get(2)?,
            checksum: found.get(3)?,
        })
    };
    store
        .prepare("SELECT seq, hash, format, checksum FROM snapshots ORDER BY seq DESC")?
        .query_map([], read)?
        .collect()
}

pub(super) fn snapshot_body(store: &Connection, seq: i64) -> Result<Vec<u8>> {
    let mut statement =
        store.prepare("SELECT body FROM snapshot_parts WHERE seq = ?1 ORDER BY part")?;
    let mut parts = statement.query([seq])?;
    let mut body = Vec::new();
    while let Some(part) = parts.next()? {
        body.extend_from_slice(part.get_ref(0)?.as_blob()?);
    }
    Ok(body)
}

/// Calls `take` for each entry after `seq` until it answers false.
pub(super) fn each_entry(
    store: &Connection,
    seq: i64,
    limit: usize,
    mut take: impl FnMut(&Found<'_>) -> Result<bool>,
) -> Result<()> {
    let mut statement = store.prepare_cached(
        "SELECT seq, at_millis, previous, hash, body FROM entries WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )?;
    let mut entries = statement.query(params![seq, limit])?;
    while let Some(found) = entries.next()? {
        if !take(found)? {
            break;
        }
    }
    Ok(())
}

pub(super) fn row(store: &Connection, kind: &str, id: &str) -> Result<Option<String>> {
    store
        .prepare_cached("SELECT body FROM rows WHERE kind = ?1 AND id = ?2")?
        .query_row([kind, id], |found| found.get(0))
        .optional()
}

type IdAndBody = (String, Vec<u8>);

fn id_and_body(found: &Found<'_>) -> Result<IdAndBody> {
    Ok((found.get(0)?, found.get::<_, String>(1)?.into_bytes()))
}

pub(super) fn rows_up(
    store: &Connection,
    kind: &str,
    after_id: &str,
    limit: usize,
) -> Result<Vec<IdAndBody>> {
    store
        .prepare_cached(
            "SELECT id, body FROM rows WHERE kind = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
        )?
        .query_map(params![kind, after_id, limit], id_and_body)?
        .collect()
}

pub(super) fn rows_down(
    store: &Connection,
    kind: &str,
    before_id: &str,
    limit: usize,
) -> Result<Vec<IdAndBody>> {
    store
        .prepare_cached(
            "SELECT id, body FROM rows WHERE kind = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3",
        )?
        .query_map(params![kind, before_id, limit], id_and_body)?
        .collect()
}

pub(super) fn rows_of_owner_up(
    store: &Connection,
    kind: &str,
    owner: &str,
    after_id: &str,
    limit: usize,
) -> Result<Vec<IdAndBody>> {
    store
        .prepare_cached(
            "SELECT id, body FROM rows WHERE kind = ?1 AND owner = ?2 AND id > ?3 ORDER BY id LIMIT ?4",
        )?
        .query_map(params![kind, owner, after_id, limit], id_and_body)?
        .collect()
}

pub(super) fn rows_of_owner_down(
    store: &Connection,
    kind: &str,
    owner: &str,
    before_id: &str,
    limit: usize,
) -> Result<Vec<IdAndBody>> {
    store
        .prepare_cached(
            "SELECT id, body FROM rows WHERE kind = ?1 AND owner = ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4",
        )?
        .query_map(params![kind, owner, before_id, limit], id_and_body)?
        .collect()
}

/// (seq, part, owner, body)
pub(super) type FoundEvent = (i64, u32, String, String);

fn event(found: &Found<'_>) -> Result<FoundEvent> {
    Ok((found.get(0)?, found.get(1)?, found.get(2)?, found.get(3)?))
}

pub(super) fn events(
    store: &Connection,
    seq: i64,
    part: u32,
    limit: usize,
) -> Result<Vec<FoundEvent>> {
    store
        .prepare_cached(
            "SELECT seq, part, owner, body FROM events WHERE (seq, part) > (?1, ?2)
             ORDER BY seq, part LIMIT ?3",
        )?
        .query_map(params![seq, part, limit], event)?
        .collect()
}

pub(super) fn events_of_owner(
    store: &Connection,
    owner: &str,
    seq: i64,
    part: u32,
    limit: usize,
) -> Result<Vec<FoundEvent>> {
    store
        .prepare_cached(
            "SELECT seq, part, owner, body FROM events WHERE owner = ?1 AND (seq, part) > (?2, ?3)
             ORDER BY seq, part LIMIT ?4",
        )?
        .query_map(params![owner, seq, part, limit], event)?
        .collect()
}
