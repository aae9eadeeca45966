//! Everything in a proof that could grow, and how far it may.

/// Bits of a puzzle, at most: a day of a fast card is far below.
pub const PUZZLE_BITS_MAX: u8 = 48;
/// Puzzles of a task.
pub const PUZZLES_MAX: u16 = 64;

/// The smallest matrix has 2^8 rows: a row's hash is then more than one BLAKE3 chunk everywhere.
pub const LOG_N_MIN: u8 = 8;
/// The largest has 2^16: sums of products of bytes stay below 2^31, and a verifier makes and sums 2^32 entries of the
/// right matrix once for a task, most of a second of one core.
pub const LOG_N_MAX: u8 = 16;
/// Rounds of a matmul.
pub const ROUNDS_MAX: u16 = 1024;
/// Rounds that are opened: every one of a task as the published classes ask for. A round more costs a verifier its rows
/// only, and those are bounded by [`OPENINGS_BYTES_MAX`].
pub const CHECKED_MAX: u8 = 128;
/// Rows that are opened in a round.
pub const ROWS_MAX: u16 = 1024;

/// Bytes of a block of memory.
pub const BLOCK_BYTES: usize = 4096;
/// Blocks of a memory: a tebibyte.
pub const BLOCKS_MAX: u64 = 1 << 28;
/// The least mixing of a cell, in rounds.
pub const MIX_MIN: u16 = 8;
/// The most.
pub const MIX_MAX: u16 = 4096;
/// Walkers, as a power of two.
pub const LOG_WALKERS_MAX: u8 = 16;
/// Legs of a walk.
pub const LEGS_MAX: u16 = 256;
/// Ends of legs of all walkers: 128 MiB of them.
pub const ENDS_MAX: u64 = 1 << 20;
/// Steps of a leg.
pub const STEPS_MAX: u32 = 65_536;
/// Parts of an opened leg: a verifier walks them side by side, in lanes of a vector that would else be empty. With four
/// walkers opened they are as many as the widest vectors have.
pub const LEG_PARTS: u32 = 4;
/// Walkers that are opened.
pub const OPENED_MAX: u16 = 1024;
/// Blocks that a verifier makes for one task.
pub const WALKED_BLOCKS_MAX: u64 = 65_536;
/// Blocks times mixing of those: two seconds of one core, four times what the dearest class asks for. Whoever re-checks
/// the transcript of a stranger spends no more on a task.
pub const MIXED_BLOCKS_MAX: u64 = 1 << 24;

/// Bytes of the openings of a task.
pub const OPENINGS_BYTES_MAX: usize = 64 << 20;
/// Tasks of a challenge.
pub const TASKS_MAX: usize = 4;
/// Pings of a session.
pub const PINGS_MAX: u8 = 8;
/// How much of a ping is taken off a time, in microseconds: the way around the earth and back. Who answers pings late
/// gains no more.
pub const PING_TAKEN_OFF_US_MAX: u64 = 300_000;
/// And it is one part in so many of what a time may be: a limit of a second is not to be a third of ping.
pub const PING_TAKEN_OFF_PARTS: u64 = 10;
/// What is taken off a time that may be `limit_ms` long, for a ping of so many microseconds.
pub fn ping_taken_off_us(ping_us: u64, limit_ms: u32) -> u64 {
    let part = u64::from(limit_ms) * 1_000 / PING_TAKEN_OFF_PARTS;
    ping_us.min(part).min(PING_TAKEN_OFF_US_MAX)
}

/// Messages of a session: four tasks of all rounds, and what stands around them.
pub const MESSAGES_MAX: usize =
    TASKS_MAX * (ROUNDS_MAX as usize + 8) + 2 * (PINGS_MAX as usize + 2);
/// Bytes in which a prover says why it cannot go on.
pub const UNABLE_BYTES_MAX: usize = 200;
/// Bytes of a transcript.
pub const TRANSCRIPT_BYTES_MAX: usize = 80 << 20;
