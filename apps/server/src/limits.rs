//! How much the server takes on. Every queue, body and wait has an end, and its name is here.

use std::time::Duration;

/// Commands and questions waiting for the writer. Beyond that the server is busy and says so.
pub const WRITER_QUEUE_MAX: usize = 8_192;

/// Commands in one commit (docs/benchmarks.md: from a few hundred on, a longer batch gains nothing).
pub const BATCH_COMMANDS_MAX: usize = 512;

/// Entries between two snapshots: about a second of replay.
pub const SNAPSHOT_EVERY: u64 = 20_000;

/// Bytes of one JSON request.
pub const BODY_BYTES_MAX: usize = 256 * 1024;

/// Hours for which an invitation can be good: a month, in which a machine that was ordered arrives.
pub const INVITE_HOURS_MAX: u32 = 720;

/// Bytes of one job's working folder, zipped.
pub const BLOB_BYTES_MAX: u64 = 256 << 20;

/// Bytes of one job's log. What is written beyond is dropped, and the log says so.
pub const LOG_BYTES_MAX: u64 = 64 << 20;

/// Bytes of one piece of a log.
pub const LOG_PIECE_BYTES_MAX: usize = 1 << 20;

/// Bytes of one result file.
pub const FILE_BYTES_MAX: u64 = 1 << 30;

/// Files of one job.
pub const FILES_MAX: usize = 1_000;

/// Items on one page, and how many when nobody asks.
pub const PAGE_ITEMS_MAX: usize = 200;
/// Items on a page when nobody asks for a number.
pub const PAGE_ITEMS_DEFAULT: usize = 50;

/// The longest wait for news of what is wanted.
pub const WANTED_WAIT_MAX: Duration = Duration::from_secs(30);

/// How long a machine's session lasts.
pub const SESSION_VALID: Duration = Duration::from_secs(3600);

/// How long a challenge can be answered.
pub const CHALLENGE_VALID: Duration = Duration::from_secs(60);

/// Challenges open at once; beyond that the oldest are dropped.
pub const CHALLENGES_MAX: usize = 100_000;

/// Streams of events and logs open at once.
pub const STREAMS_MAX: usize = 1_024;

/// Of these, streams of one account.
pub const STREAMS_PER_CALLER_MAX: usize = 64;

const _: () = assert!(STREAMS_PER_CALLER_MAX * 2 <= STREAMS_MAX, "nobody can take most of them");

/// How long requests in flight may take when the server stops.
pub const SHUTDOWN_MAX: Duration = Duration::from_secs(10);

/// Lines of all the blocks whose trees are kept for proofs: two hashes for each, 64 MiB in all. It is a day and more of
/// a network of thirty thousand machines, and one block of a million.
pub const PROOF_LINES_KEPT_MAX: usize = 1 << 20;

/// Connections to the store for reading.
pub const READERS: usize = 4;

/// The longest idempotency key.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;

/// Names whose rate of requests is remembered; beyond that the longest idle are forgotten.
pub const RATES_MAX: usize = 100_000;

/// Sessions of proofs open at once, over all machines. Each has some kilobytes, and its openings are counted apart.
pub const PROOF_SESSIONS_MAX: usize = 4_096;

/// Rentals whose checks are kept in mind: for a day each.
pub const CANARIES_MAX: usize = 1 << 16;

/// Machines of which the figures are in memory that were measured of their cards: some hundred bytes for each card.
/// Those of others are made from their transcripts when somebody asks.
pub const FINGERPRINTS_MAX: usize = 1 << 16;

/// Cards of one machine that are proved at one time.
pub const PROOF_CARDS_MAX: u32 = 32;

/// Kibibytes of openings in memory at once, over all sessions: those of a hundred large cards.
pub const PROOF_OPENINGS_KIB_MAX: u32 = 512 * 1024;

/// How long a long message waits for room in memory.
pub const PROOF_ROOM_WAIT: Duration = Duration::from_secs(5);

/// How long a message may take to come in.
pub const PROOF_BODY_WAIT: Duration = Duration::from_secs(60);

/// Within this time all cards of a machine take up what is asked of them at one time. An agent that waits for each of
/// its cards is woken at once; one that comes later proves another time.
pub const PROOF_JOIN: Duration = Duration::from_secs(15);

/// Openings that wait to be judged: some seconds of work. Beyond that the verifier stops, and nobody is blamed.
pub const PROOF_JUDGE_QUEUE_MAX: usize = 256;

/// Bytes of the transcripts that are kept. Of those who passed, or came to nothing, the oldest are dropped first.
pub const TRANSCRIPTS_BYTES_MAX: u64 = 16 << 30;

/// Bytes of the records of time-lock that are kept: two years of a thousand machines with eight cards. Of those from
/// which nothing follows, the oldest are dropped first.
pub const LOCKS_BYTES_MAX: u64 = 8 << 30;

/// Records of time-lock that one machine hands over in an hour: what its agent keeps at most goes in two.
pub const LOCKS_PER_HOUR_MAX: u32 = 600;

/// How far the clock of a machine that hands a record over may be ahead.
pub const LOCK_AHEAD_MAX: Duration = Duration::from_secs(300);

/// How old a record of time-lock may be that is handed over: what an agent keeps of a span goes back six weeks.
pub const LOCK_AGE_MAX: Duration = Duration::from_secs(45 * 24 * 3600);

/// Entries of the log of proofs in one answer.
pub const LOG_ENTRIES_MAX: usize = 500;

/// How long a nonce can be answered: a machine with sixteen cards needs seconds.
pub const ATTESTATION_NONCE_VALID: Duration = Duration::from_secs(300);

/// Nonces that one machine is given in an hour: it needs one a day, and asks every ten minutes whether it does.
pub const ATTESTATION_NONCES_MAX: u32 = 60;

/// Attestations that are verified at one time. One takes some milliseconds of a core for each card.
pub const ATTESTATIONS_AT_ONCE_MAX: usize = 2;

/// How long one waits for its turn.
pub const ATTESTATION_WAIT: Duration = Duration::from_secs(10);

/// Bytes of the operator's folder of data for attestations, all files together.
pub const ATTESTATION_DATA_BYTES_MAX: u64 = 16 << 20;

/// Files of it.
pub const ATTESTATION_FILES_MAX: usize = 512;

/// Bytes of the evidence that is kept; the oldest goes first. Of a machine with eight cards it is 80 KiB.
pub const EVIDENCE_BYTES_MAX: u64 = 4 << 30;

/// Trials at one time: eight machines each. More wait for their turn.
pub const TRIALS_AT_ONCE_MAX: usize = 64;

/// How much is read of what a stress job left: some hundred bytes for each of eight nodes.
pub const STRESS_RESULT_BYTES_MAX: u64 = 64 << 10;

/// The longest note of a stress job on one node, in bytes: some sentences.
pub const TRIAL_NOTE_BYTES_MAX: usize = 512;

/// Pings of a speed test: the median of so many is steady.
pub const SPEED_PINGS: u32 = 9;

/// Transfers at one time in each direction of a speed test: one alone does not fill a long line.
pub const SPEED_STREAMS: u32 = 4;

/// Bytes of each of them at most: all together take a second at the fastest tier.
pub const SPEED_BYTES: u64 = 64 << 20;

/// How long a direction is measured at most.
pub const SPEED_SECS: Duration = Duration::from_secs(4);

/// How long a speed test may take in all.
pub const SPEED_TEST_VALID: Duration = Duration::from_secs(60);

/// Speed tests at one time: two share this server's own line, and who finds no room comes back in seconds. At ten
/// seconds each they are enough for seventeen thousand machines a day.
pub const SPEED_TESTS_AT_ONCE_MAX: usize = 2;

/// Speed tests of one machine in a day: one, and some more after trouble or when its owner has changed the line. With
/// them go 4 GiB at most.
pub const SPEED_TESTS_OF_MACHINE_MAX: u32 = 8;

/// Speed tests in a day of those at one address who have not joined: a rack may stand behind it.
pub const SPEED_TESTS_OF_ADDRESS_MAX: u32 = 32;

/// Callers whose speed tests of the day are counted.
pub const SPEED_CALLERS_MAX: usize = 100_000;

const _: () = assert!(
    SPEED_TEST_VALID.as_secs() >= 4 * SPEED_SECS.as_secs(),
    "both directions and their pings fit into a test, on a slow machine too"
);

/// Relays of suppliers in the list: each has a record of up to 4 KiB. Whoever runs the network is not counted.
pub const RELAYS_MAX: usize = 512;

/// Relays that have left the list within the last hour, and may still hand over what they carried: 100 bytes each.
pub const RELAYS_LEFT_MAX: usize = 1_024;

/// Of these, relays of one account.
pub const RELAYS_OF_OWNER_MAX: usize = 32;

/// Relays of which a node or a client is told: the best.
pub const RELAYS_TOLD_MAX: usize = 16;

/// Accounts whose machines' word about one relay is kept.
pub const RELAY_REPORTERS_MAX: usize = 256;

/// Clients of one rental at one time that are members of its network; who only visits is not counted.
pub const MESH_CLIENTS_MAX: usize = 64;

/// Of these, clients of one person: nobody locks the rest of the project out.
pub const MESH_CLIENTS_OF_ACCOUNT_MAX: usize = 16;

/// Members of the operator's network.
pub const OPERATOR_MEMBERS_MAX: usize = 1_024;

/// Bytes of a sentence that a member says: why a way is the way it is, why a service is refused.
pub const MESH_WORDS_BYTES_MAX: usize = 256;

/// Relays at which one service is said to be.
pub const SERVED_AT_MAX: usize = 8;

/// The longest public key of SSH, as text, in bytes: RSA with 16,384 bits has half as many.
pub const SSH_KEY_BYTES_MAX: usize = 8 * 1024;

/// Bytes of one segment of a log of connections: 4,096 records of some hundred bytes, ten times over what is usual.
pub const AUDIT_SEGMENT_BYTES_MAX: usize = 8 << 20;

/// Segments that are received at one time: each is in memory, as it came and as it was read.
pub const AUDITS_AT_ONCE_MAX: usize = 8;

/// How long one waits for its turn.
pub const AUDIT_TURN_WAIT: Duration = Duration::from_secs(10);

/// How long a segment may take to arrive: the longest, over a line of 2 Mbit/s.
pub const AUDIT_BODY_WAIT: Duration = Duration::from_secs(40);

/// Bytes of the logs of one rental's nodes, or of one relay, that are kept; the oldest segments of who has most go.
pub const AUDIT_OWNER_BYTES_MAX: u64 = 64 << 20;

/// Segments of them.
pub const AUDIT_OWNER_FILES_MAX: usize = 8_192;

/// Bytes of all logs of connections together; the oldest segments of who has most go.
pub const AUDIT_BYTES_MAX: u64 = 8 << 30;
