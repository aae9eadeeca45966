//! How the tables came to be, one change after the other. A change that was published is never edited.

/// (what it does, its SQL), in order.
pub(super) const MIGRATIONS: &[(&str, &str)] =
    &[("create entries, rows, events, snapshots and writer", CREATE_ALL)];

/// `previous` could be read off the entry before; it is kept so that an entry can be checked alone and the oldest
/// can be archived away. `events.place` is the table's own row number.
const CREATE_ALL: &str = "
CREATE TABLE entries (
    seq INTEGER NOT NULL,
    at_millis INTEGER NOT NULL,
    previous BLOB NOT NULL,
    hash BLOB NOT NULL,
    body BLOB NOT NULL,
    CONSTRAINT entries_once_per_seq PRIMARY KEY (seq),
    CONSTRAINT entries_count_from_one CHECK (seq >= 1),
    CONSTRAINT entries_hashes_are_whole CHECK (length(previous) = 32 AND length(hash) = 32)
) STRICT;

CREATE TABLE rows (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    owner TEXT NOT NULL,
    body TEXT NOT NULL,
    CONSTRAINT rows_once_per_id PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX rows_by_owner ON rows (kind, owner, id);

CREATE TABLE events (
    place INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    part INTEGER NOT NULL,
    owner TEXT NOT NULL,
    body TEXT NOT NULL,
    CONSTRAINT events_once_per_place PRIMARY KEY (place),
    CONSTRAINT events_once_per_part UNIQUE (seq, part)
) STRICT;

CREATE INDEX events_by_owner ON events (owner, seq, part);

CREATE TABLE snapshots (
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL,
    format INTEGER NOT NULL,
    checksum BLOB NOT NULL,
    CONSTRAINT snapshots_once_per_seq PRIMARY KEY (seq)
) STRICT;

CREATE TABLE snapshot_parts (
    seq INTEGER NOT NULL,
    part INTEGER NOT NULL,
    body BLOB NOT NULL,
    CONSTRAINT snapshot_parts_once_per_part PRIMARY KEY (seq, part)
) STRICT;

CREATE TABLE writer (
    one INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    CONSTRAINT writer_is_one PRIMARY KEY (one),
    CONSTRAINT writer_is_the_first CHECK (one = 1)
) STRICT;

INSERT INTO writer (one, epoch) VALUES (1, 0);
";
