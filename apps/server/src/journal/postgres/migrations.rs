//! How the tables came to be, one change after the other. A change that was published is never edited.

/// (what it does, its SQL), in order.
pub(super) const MIGRATIONS: &[(&str, &str)] =
    &[("create entries, rows, events, snapshots and writer", CREATE_ALL)];

/// The same tables as in the other engine. Texts that are sorted or compared do so by their bytes. No foreign keys:
/// what they would say is checked before a batch is sent, and they cost two fifths of the rate.
const CREATE_ALL: &str = r#"
CREATE TABLE entries (
    seq bigint NOT NULL,
    at_millis bigint NOT NULL,
    previous bytea NOT NULL,
    hash bytea NOT NULL,
    body bytea NOT NULL,
    CONSTRAINT entries_once_per_seq PRIMARY KEY (seq),
    CONSTRAINT entries_count_from_one CHECK (seq >= 1),
    CONSTRAINT entries_hashes_are_whole CHECK (length(previous) = 32 AND length(hash) = 32)
);

CREATE TABLE rows (
    kind text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    owner text COLLATE "C" NOT NULL,
    body text NOT NULL,
    CONSTRAINT rows_once_per_id PRIMARY KEY (kind, id)
);

CREATE INDEX rows_by_owner ON rows (kind, owner, id);

CREATE TABLE events (
    place bigint NOT NULL,
    seq bigint NOT NULL,
    part bigint NOT NULL,
    owner text COLLATE "C" NOT NULL,
    body text NOT NULL,
    CONSTRAINT events_once_per_place PRIMARY KEY (place),
    CONSTRAINT events_once_per_part UNIQUE (seq, part)
);

CREATE INDEX events_by_owner ON events (owner, seq, part);

CREATE TABLE snapshots (
    seq bigint NOT NULL,
    hash bytea NOT NULL,
    format bigint NOT NULL,
    checksum bytea NOT NULL,
    CONSTRAINT snapshots_once_per_seq PRIMARY KEY (seq)
);

CREATE TABLE snapshot_parts (
    seq bigint NOT NULL,
    part bigint NOT NULL,
    body bytea NOT NULL,
    CONSTRAINT snapshot_parts_once_per_part PRIMARY KEY (seq, part)
);

CREATE TABLE writer (
    one bigint NOT NULL,
    epoch bigint NOT NULL,
    CONSTRAINT writer_is_one PRIMARY KEY (one),
    CONSTRAINT writer_is_the_first CHECK (one = 1)
);

INSERT INTO writer (one, epoch) VALUES (1, 0);
"#;
