//! Every statement told to `PostgreSQL`, a function each.

use postgres::error::SqlState;
use postgres::{Error, Row};

use super::line::Line;
use crate::journal::limits::SNAPSHOTS_KEPT;

type Result<T> = std::result::Result<T, Error>;

/// A writer finds everything by key, and tables grow faster than their statistics: it never reads a table through,
/// and never compiles a plan because a forbidden step makes it look dear.
/// The other side lets go of a lost connection soon, and with it of the lock.
pub(super) fn set_up_writer(line: &mut Line, schema: &str) -> Result<()> {
    line.execute(&format!(
        "SET search_path TO {schema};
         SET enable_seqscan TO off;
         SET enable_hashjoin TO off;
         SET enable_mergejoin TO off;
         SET jit TO off;
         SET plan_cache_mode TO force_generic_plan;
         SET tcp_keepalives_idle TO 5;
         SET tcp_keepalives_interval TO 2;
         SET tcp_keepalives_count TO 3;
         SELECT set_config('synchronous_commit', 'on', false)
         WHERE current_setting('synchronous_commit') = 'off';"
    ))
}

pub(super) fn set_up_reader(line: &mut Line, schema: &str) -> Result<()> {
    line.execute(&format!(
        "SET search_path TO {schema};
         SET default_transaction_read_only TO on;"
    ))
}

pub(super) fn syncs_to_disk(line: &mut Line) -> Result<bool> {
    one(&line.query("SELECT current_setting('fsync') = 'on'", &[])?)
}

/// Tells whether the lock is held from here on, until the connection ends.
pub(super) fn try_lock(line: &mut Line, schema: &str) -> Result<bool> {
    let sql = "SELECT pg_try_advisory_lock(hashtextextended('iog journal ' || $1, 0))";
    one(&line.query(sql, &[&schema])?)
}

/// As [`try_lock`], but waits a while: the connection of a server that just ended may take a moment to end too.
pub(super) fn wait_for_lock(line: &mut Line, schema: &str) -> Result<bool> {
    line.execute("SET lock_timeout TO '2s'")?;
    let sql = "SELECT pg_advisory_lock(hashtextextended('iog journal ' || $1, 0))::text";
    let held = match line.query(sql, &[&schema]) {
        Ok(_) => true,
        Err(fault) if fault.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => false,
        Err(fault) => return Err(fault),
    };
    line.execute("SET lock_timeout TO '10s'")?;
    Ok(held)
}

pub(super) fn schema_exists(line: &mut Line, schema: &str) -> Result<bool> {
    one(&line.query("SELECT to_regnamespace($1) IS NOT NULL", &[&schema])?)
}

pub(super) fn create_schema(line: &mut Line, schema: &str) -> Result<()> {
    line.execute(&format!("CREATE SCHEMA {schema}"))
}

pub(super) fn begin(line: &mut Line) -> Result<()> {
    line.execute("BEGIN")
}

pub(super) fn commit(line: &mut Line) -> Result<()> {
    line.execute("COMMIT")
}

pub(super) fn roll_back(line: &mut Line) -> Result<()> {
    line.execute("ROLLBACK")
}

pub(super) fn create_migrations(line: &mut Line) -> Result<()> {
    line.execute(
        "CREATE TABLE IF NOT EXISTS migrations (
             number bigint NOT NULL,
             name text NOT NULL,
             CONSTRAINT migrations_once_per_number PRIMARY KEY (number)
         )",
    )
}

pub(super) fn last_migration(line: &mut Line) -> Result<i64> {
    one(&line.query("SELECT coalesce(max(number), 0) FROM migrations", &[])?)
}

pub(super) fn migrate(line: &mut Line, sql: &str) -> Result<()> {
    line.execute(sql)
}

pub(super) fn note_migration(line: &mut Line, number: i64, name: &str) -> Result<()> {
    done(line.query("INSERT INTO migrations (number, name) VALUES ($1, $2)", &[&number, &name]))
}

pub(super) fn raise_epoch(line: &mut Line) -> Result<i64> {
    one(&line.query("UPDATE writer SET epoch = epoch + 1 RETURNING epoch", &[])?)
}

pub(super) fn epoch(line: &mut Line) -> Result<i64> {
    one(&line.query("SELECT epoch FROM writer", &[])?)
}

/// The epoch, which nobody raises before this transaction ends.
pub(super) fn epoch_held(line: &mut Line) -> Result<i64> {
    one(&line.query("SELECT epoch FROM writer FOR SHARE", &[])?)
}

pub(super) fn head(line: &mut Line) -> Result<Option<(i64, Vec<u8>)>> {
    let found = line.query("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1", &[])?;
    found.first().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
}

pub(super) fn hash_of(line: &mut Line, seq: i64) -> Result<Option<Vec<u8>>> {
    first(&line.query("SELECT hash FROM entries WHERE seq = $1", &[&seq])?)
}

pub(super) fn last_place(line: &mut Line) -> Result<i64> {
    one(&line.query("SELECT coalesce(max(place), 0) FROM events", &[])?)
}

/// A batch as columns.
#[derive(Default)]
pub(super) struct Columns<'a> {
    pub(super) seqs: Vec<i64>,
    pub(super) at_millis: Vec<i64>,
    pub(super) previous: Vec<&'a [u8]>,
    pub(super) hashes: Vec<&'a [u8]>,
    pub(super) bodies: Vec<&'a [u8]>,
    pub(super) row_kinds: Vec<&'a str>,
    pub(super) row_ids: Vec<&'a str>,
    pub(super) row_owners: Vec<&'a str>,
    pub(super) row_bodies: Vec<&'a str>,
    pub(super) gone_kinds: Vec<&'a str>,
    pub(super) gone_ids: Vec<&'a str>,
    pub(super) event_places: Vec<i64>,
    pub(super) event_seqs: Vec<i64>,
    pub(super) event_parts: Vec<i64>,
    pub(super) event_owners: Vec<&'a str>,
    pub(super) event_bodies: Vec<&'a str>,
    /// Events at this place and before are dropped.
    pub(super) drop_to: i64,
}

/// One statement is one transaction and one round trip. Tells whether `epoch` was still that of the writer; if not,
/// nothing was written. Who raises the epoch waits for this statement, and then sees what it wrote.
pub(super) fn append(line: &mut Line, epoch: i64, batch: &Columns<'_>) -> Result<bool> {
    let sql = "
        WITH fence AS (
            SELECT epoch FROM writer WHERE epoch = $1 FOR SHARE
        ), new_entries AS (
            INSERT INTO entries (seq, at_millis, previous, hash, body)
            SELECT told.* FROM fence, unnest(
                $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[], $6::bytea[]
            ) AS told (seq, at_millis, previous, hash, body)
        ), new_rows AS (
            INSERT INTO rows (kind, id, owner, body)
            SELECT told.* FROM fence, unnest(
                $7::text[], $8::text[], $9::text[], $10::text[]
            ) AS told (kind, id, owner, body)
            ON CONFLICT ON CONSTRAINT rows_once_per_id
            DO UPDATE SET owner = excluded.owner, body = excluded.body
        ), gone_rows AS (
            DELETE FROM rows
            USING fence, unnest($11::text[], $12::text[]) AS told (kind, id)
            WHERE rows.kind = told.kind AND rows.id = told.id
        ), new_events AS (
            INSERT INTO events (place, seq, part, owner, body)
            SELECT told.* FROM fence, unnest(
                $13::bigint[], $14::bigint[], $15::bigint[], $16::text[], $17::text[]
            ) AS told (place, seq, part, owner, body)
        ), old_events AS (
            DELETE FROM events USING fence WHERE place <= $18::bigint
        )
        SELECT count(*) = 1 FROM fence";
    one(&line.query(
        sql,
        &[
            &epoch,
            &batch.seqs,
            &batch.at_millis,
            &batch.previous,
            &batch.hashes,
            &batch.bodies,
            &batch.row_kinds,
            &batch.row_ids,
            &batch.row_owners,
            &batch.row_bodies,
            &batch.gone_kinds,
            &batch.gone_ids,
            &batch.event_places,
            &batch.event_seqs,
            &batch.event_parts,
            &batch.event_owners,
            &batch.event_bodies,
            &batch.drop_to,
        ],
    )?)
}

pub(super) fn truncate_rows(line: &mut Line) -> Result<()> {
    line.execute("TRUNCATE rows")
}

pub(super) fn delete_snapshot(line: &mut Line, seq: i64) -> Result<()> {
    done(line.query("DELETE FROM snapshot_parts WHERE seq = $1", &[&seq]))?;
    done(line.query("DELETE FROM snapshots WHERE seq = $1", &[&seq]))
}

pub(super) fn insert_snapshot(
    line: &mut Line,
    seq: i64,
    hash: &[u8],
    format: u32,
    checksum: &[u8],
) -> Result<()> {
    let sql = "INSERT INTO snapshots (seq, hash, format, checksum) VALUES ($1, $2, $3, $4)";
    done(line.query(sql, &[&seq, &hash, &i64::from(format), &checksum]))
}

pub(super) fn insert_snapshot_part(
    line: &mut Line,
    seq: i64,
    part: i64,
    body: &[u8],
) -> Result<()> {
    let sql = "INSERT INTO snapshot_parts (seq, part, body) VALUES ($1, $2, $3)";
    done(line.query(sql, &[&seq, &part, &body]))
}

pub(super) fn old_snapshots(line: &mut Line) -> Result<Vec<i64>> {
    let sql = "SELECT seq FROM snapshots ORDER BY seq DESC OFFSET $1";
    line.query(sql, &[&SNAPSHOTS_KEPT])?.iter().map(|row| row.try_get(0)).collect()
}

/// A snapshot as it is kept, without its body.
pub(super) struct StoredSnapshot {
    pub(super) seq: i64,
    pub(super) hash: Vec<u8>,
    pub(super) format: i64,
    pub(super) checksum: Vec<u8>,
}

pub(super) fn snapshots(line: &mut Line) -> Result<Vec<StoredSnapshot>> {
    let read = |row: &Row| {
        Ok(StoredSnapshot {
            seq: row.try_get(0)?,
            hash: row.try_get(1)?,
            format: row.try_get(2)?,
            checksum: row.try_get(3)?,
        })
    };
    let sql = "SELECT seq, hash, format, checksum FROM snapshots ORDER BY seq DESC";
    line.query(sql, &[])?.iter().map(read).collect()
}

/// One part, so that a large snapshot never is one message.
pub(super) fn snapshot_part(line: &mut Line, seq: i64, part: i64) -> Result<Option<Vec<u8>>> {
    let sql = "SELECT body FROM snapshot_parts WHERE seq = $1 AND part = $2";
    first(&line.query(sql, &[&seq, &part])?)
}

/// (seq, at millis, previous, hash, body)
pub(super) type FoundEntry = (i64, i64, Vec<u8>, Vec<u8>, Vec<u8>);

/// Entries up to `bytes_max` of bodies; the first one in any case.
pub(super) fn entries(
    line: &mut Line,
    after: i64,
    limit: i64,
    bytes_max: i64,
) -> Result<Vec<FoundEntry>> {
    let sql = "
        SELECT seq, at_millis, previous, hash, body
        FROM (
            SELECT *, sum(length(body)) OVER (ORDER BY seq) AS bytes, row_number() OVER (ORDER BY seq) AS number
            FROM (SELECT * FROM entries WHERE seq > $1 ORDER BY seq LIMIT $2) AS page
        ) AS measured
        WHERE bytes <= $3 OR number = 1
        ORDER BY seq";
    let read = |row: &Row| {
        Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?, row.try_get(4)?))
    };
    line.query(sql, &[&after, &limit, &bytes_max])?.iter().map(read).collect()
}

pub(super) fn row(line: &mut Line, kind: &str, id: &str) -> Result<Option<String>> {
    first(&line.query("SELECT body FROM rows WHERE kind = $1 AND id = $2", &[&kind, &id])?)
}

type IdAndBody = (String, Vec<u8>);

fn ids_and_bodies(found: Result<Vec<Row>>) -> Result<Vec<IdAndBody>> {
    let read = |row: &Row| Ok((row.try_get(0)?, row.try_get::<_, String>(1)?.into_bytes()));
    found?.iter().map(read).collect()
}

pub(super) fn rows_up(
    line: &mut Line,
    kind: &str,
    after_id: &str,
    limit: i64,
) -> Result<Vec<IdAndBody>> {
    let sql = "SELECT id, body FROM rows WHERE kind = $1 AND id > $2 ORDER BY id LIMIT $3";
    ids_and_bodies(line.query(sql, &[&kind, &after_id, &limit]))
}

pub(super) fn rows_down(
    line: &mut Line,
    kind: &str,
    before_id: &str,
    limit: i64,
) -> Result<Vec<IdAndBody>> {
    let sql = "SELECT id, body FROM rows WHERE kind = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
    ids_and_bodies(line.query(sql, &[&kind, &before_id, &limit]))
}

pub(super) fn rows_of_owner_up(
    line: &mut Line,
    kind: &str,
    owner: &str,
    after_id: &str,
    limit: i64,
) -> Result<Vec<IdAndBody>> {
    let sql = "
        SELECT id, body FROM rows
        WHERE kind = $1 AND owner = $2 AND id > $3 ORDER BY id LIMIT $4";
    ids_and_bodies(line.query(sql, &[&kind, &owner, &after_id, &limit]))
}

pub(super) fn rows_of_owner_down(
    line: &mut Line,
    kind: &str,
    owner: &str,
    before_id: &str,
    limit: i64,
) -> Result<Vec<IdAndBody>> {
    let sql = "
        SELECT id, body FROM rows
        WHERE kind = $1 AND owner = $2 AND id < $3 ORDER BY id DESC LIMIT $4";
    ids_and_bodies(line.query(sql, &[&kind, &owner, &before_id, &limit]))
}

/// (seq, part, owner, body)
pub(super) type FoundEvent = (i64, i64, String, String);

fn found_events(found: Result<Vec<Row>>) -> Result<Vec<FoundEvent>> {
    let read = |row: &Row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?));
    found?.iter().map(read).collect()
}

pub(super) fn events(line: &mut Line, seq: i64, part: i64, limit: i64) -> Result<Vec<FoundEvent>> {
    let sql = "
        SELECT seq, part, owner, body FROM events
        WHERE (seq, part) > ($1, $2) ORDER BY seq, part LIMIT $3";
    found_events(line.query(sql, &[&seq, &part, &limit]))
}

pub(super) fn events_of_owner(
    line: &mut Line,
    owner: &str,
    seq: i64,
    part: i64,
    limit: i64,
) -> Result<Vec<FoundEvent>> {
    let sql = "
        SELECT seq, part, owner, body FROM events
        WHERE owner = $1 AND (seq, part) > ($2, $3) ORDER BY seq, part LIMIT $4";
    found_events(line.query(sql, &[&owner, &seq, &part, &limit]))
}

fn done(answer: Result<Vec<Row>>) -> Result<()> {
    answer.map(|_| ())
}

/// The only value of an answer that always has one.
fn one<T: for<'a> postgres::types::FromSql<'a>>(answer: &[Row]) -> Result<T> {
    answer.first().expect("the statement answers with one row").try_get(0)
}

fn first<T: for<'a> postgres::types::FromSql<'a>>(answer: &[Row]) -> Result<Option<T>> {
    answer.first().map(|row| row.try_get(0)).transpose()
}
