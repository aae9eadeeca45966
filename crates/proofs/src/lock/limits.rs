//! Everything in a record that could grow, and how far it may.

/// Milliseconds of a minute.
pub const MINUTE_MS: u64 = 60_000;
/// Milliseconds of an hour: a record is of one hour at most.
pub const HOUR_MS: u64 = 60 * MINUTE_MS;
/// Cards of a record: more than any machine has.
pub const CARDS_MAX: usize = 16;
/// Processes that a record names; what comes after is counted, not named.
pub const PROCESSES_MAX: usize = 64;
/// Processes that a minute tells of; what is left out is counted.
pub const ALIENS_MAX: usize = 16;
/// Signals that a record tells of: two for each process it can name.
pub const STOPS_MAX: usize = 2 * PROCESSES_MAX;
/// Bytes of a process's name: the kernel keeps fifteen.
pub const NAME_BYTES_MAX: usize = 32;
/// Bytes of a program's path, and of a control group's; longer ones lose their beginning.
pub const PATH_BYTES_MAX: usize = 120;
/// Bytes of a record: sixteen cards, a full hour, and as many strangers as can be named.
pub const RECORD_BYTES_MAX: usize = 64 << 10;
/// Subjects that are watched at a time.
pub const SUBJECTS_MAX: usize = 64;
/// Processes of a sample that are looked at, on all cards together.
pub const SAMPLE_PROCESSES_MAX: usize = 1_024;

/// Bytes of a header without its cards.
pub(super) const HEADER_BYTES: usize = 4 + 4 + 32 + 16 + 16 + 4 + 4 + 32 + 8 + 1;
/// Bytes that stand before an entry's body.
pub(super) const ENTRY_HEAD_BYTES: usize = 3;
/// Bytes of a minute's body without cards and strangers.
pub(super) const MINUTE_BYTES: usize = 12;
/// Bytes of a card in a minute.
pub(super) const CARD_BYTES: usize = 15;
/// Bytes of a stranger in a minute.
pub(super) const ALIEN_BYTES: usize = 8;
/// Bytes of a process's entry without its texts.
const PROCESS_BYTES: usize = 16;
/// Bytes of a signal's entry.
const STOP_BYTES: usize = 7;

const _: () = assert!(
    HEADER_BYTES
        + CARDS_MAX * 32
        + PROCESSES_MAX * (ENTRY_HEAD_BYTES + PROCESS_BYTES + NAME_BYTES_MAX + 2 * PATH_BYTES_MAX)
        + 60 * (ENTRY_HEAD_BYTES
            + MINUTE_BYTES
            + CARDS_MAX * CARD_BYTES
            + 2
            + ALIENS_MAX * ALIEN_BYTES)
        + STOPS_MAX * (ENTRY_HEAD_BYTES + STOP_BYTES)
        + 128
        <= RECORD_BYTES_MAX,
    "the longest record fits"
);
