//! How long and how many, on a supplier's machine.

use std::time::Duration;

/// How long the control plane may hold a question for what is wanted until there is news.
pub(crate) const WANTED_WAIT: Duration = Duration::from_secs(25);
/// A question for what is wanted that brings no news is not asked again sooner than this.
pub(crate) const WANTED_EVERY_MIN: Duration = Duration::from_secs(1);
/// How long a connection to the control plane may take.
pub(crate) const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// How long the control plane may take to begin an answer, beyond what it was asked to wait.
pub(crate) const ANSWER_PATIENCE: Duration = Duration::from_secs(30);
/// How long a connection may take no bytes while something is sent or received.
pub(crate) const STALL_PATIENCE: Duration = Duration::from_secs(30);
/// What reasons and messages take of a beat, in bytes: a renter's failing jobs must not make it longer than the control
/// plane reads, which would silence the machine.
pub(crate) const BEAT_WORDS_BYTES_MAX: usize = 64 << 10;
/// The longest reason or message in a beat, in bytes: what the control plane keeps.
pub(crate) const BEAT_WORD_BYTES_MAX: usize = 2_048;
/// How long the control plane may hold a question for a challenge.
pub(crate) const CHALLENGE_WAIT: Duration = Duration::from_secs(25);
/// Challenges of a card are not asked for more often than this.
pub(crate) const CHALLENGE_EVERY_MIN: Duration = Duration::from_secs(1);
/// How long a process that proves in a node may take for all of it: a session has no longer.
pub(crate) const IN_NODE_PATIENCE: Duration = Duration::from_secs(300);
/// How long the control plane may take to answer a message of a proof: it judges what was opened first, and a walk
/// begins only when the memory of others is full, too.
pub(crate) const PROOF_PATIENCE: Duration = Duration::from_secs(120);
/// How often a message of a proof is sent when no answer comes.
pub(crate) const MESSAGE_TRIES: u32 = 3;
/// The longest answer that is kept in memory: a thousand jobs with the longest environment are 37 MB.
pub(crate) const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// How much is read of a refusal.
pub(crate) const PROBLEM_BYTES_MAX: u64 = 64 << 10;

/// The first wait after a failure; it doubles with every further one.
pub(crate) const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest wait after a failure. With it, an agent is back within two missed beats of the control plane.
pub(crate) const RETRY_MAX: Duration = Duration::from_secs(15);

/// How often nodes and jobs are looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long the brain's thread sleeps at most, so that a request to stop is seen.
pub(crate) const NAP: Duration = Duration::from_millis(100);
/// A cluster that answers slowly is asked so seldom that it takes at most one part in so many of the agent's time:
/// it belongs to a renter, and others have nodes here.
pub(crate) const SLOW_SHARE: u32 = 5;
/// How long a node that could not be stopped is left alone before it is tried again.
pub(crate) const STOP_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How long the preparation of the runtime waits after a failure: most are of the network.
pub(crate) const PREPARE_AGAIN_AFTER: Duration = Duration::from_secs(30);
/// How long an agent that stops waits for the runtime to finish what it does.
pub(crate) const FAREWELL: Duration = Duration::from_secs(15);

/// How often cards are looked at.
pub(crate) const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// How often the driver is asked for its list of cards: one that is loaded after the agent is found within a minute.
pub(crate) const CARDS_AGAIN_EVERY: Duration = Duration::from_secs(60);
/// Sealed records that are kept for whoever takes them: six weeks of one span, two megabytes.
pub(crate) const SEALED_RECORDS_MAX: usize = 1_000;

/// What a test of the disk writes and reads at most: enough that the disk's own memory does not hold all of it.
pub(crate) const DISK_TEST_BYTES: u64 = 256 << 20;
/// How long it writes, and how long it reads, at most.
pub(crate) const DISK_TEST_TIME: Duration = Duration::from_secs(3);
/// How often the control plane is asked to measure the line.
pub(crate) const LINE_AGAIN_AFTER: Duration = Duration::from_secs(24 * 3600);
/// The same, while the line is too slow for any tier: four times a day, of the eight that the control plane allows.
pub(crate) const LINE_SLOW_AGAIN_AFTER: Duration = Duration::from_secs(6 * 3600);
/// How often the hardware is looked at while the agent runs: cards are seldom exchanged under a running system.
pub(crate) const HARDWARE_LOOK_EVERY: Duration = Duration::from_secs(60);
/// How often a machine on which nodes run is looked at, whether it is idle again and can be measured.
pub(crate) const IDLE_LOOK_EVERY: Duration = Duration::from_secs(30);

/// How often it is looked for sealed records to hand over: soon after the hour, because its block is closed then.
pub(crate) const HAND_OVER_EVERY: Duration = Duration::from_secs(2);

/// What may wait for the thread that owns the runtime, or for the one that owns the brain.
pub(crate) const QUEUE: usize = 256;
/// What may wait for one node's courier: more than a rental has open jobs.
pub(crate) const ERRANDS: usize = 4_096;

/// How often a cluster is asked to take a job before the job has failed.
pub(crate) const SUBMIT_TRIES: u32 = 3;
/// How often a package is asked for when it arrives broken.
pub(crate) const FETCH_TRIES: u32 = 5;
/// The largest package of a job, in bytes: what the control plane takes.
pub(crate) const PACKAGE_BYTES_MAX: u64 = 256 << 20;
/// Packages kept for the next job that needs them, in bytes.
pub(crate) const PACKAGES_KEPT_BYTES: u64 = 2 << 30;
/// A package used so recently is kept in any case: a job may be about to be submitted with it.
pub(crate) const PACKAGE_KEPT_FOR: Duration = Duration::from_secs(600);

/// How often the logs of running jobs are looked at for news.
pub(crate) const FOLLOW_EVERY: Duration = Duration::from_millis(300);
/// How much of a log is sent at once.
pub(crate) const LOG_PART_BYTES: usize = 256 << 10;
/// How much of one job's log is kept; the job runs on, and its log says so. The control plane keeps a mebibyte more,
/// so that the notes fit.
pub(crate) const LOG_BYTES_MAX: u64 = 63 << 20;
/// Files of one job that are handed over.
pub(crate) const FILES_MAX: usize = 1_000;
/// The largest file of a job that is handed over, in bytes: what the control plane takes.
pub(crate) const FILE_BYTES_MAX: u64 = 1 << 30;
/// All files of one job together, in bytes.
pub(crate) const FILES_BYTES_MAX: u64 = 8 << 30;
/// Files that could not be handed over and are named in the job's log; the rest is counted.
pub(crate) const NOTES_MAX: usize = 20;
/// How often the log or the files of an ended job are asked of a node that does not give them.
pub(crate) const READ_TRIES: u32 = 3;

/// How often it is asked whether what this machine attested is due anew: sooner than anybody misses it.
pub(crate) const ATTEST_LOOK_EVERY: Duration = Duration::from_secs(600);
/// How long to wait after evidence was refused or could not be had: the same would come of it sooner.
pub(crate) const ATTEST_AGAIN: Duration = Duration::from_secs(1_800);
/// How long a kernel may take to make a quote: Intel's comes from a service on the host.
pub(crate) const QUOTE_PATIENCE: Duration = Duration::from_secs(30);

/// Memory of a machine that is not on offer unless it is named: the system's and the agent's.
pub(crate) const MEMORY_KEPT_MIB: u64 = 1_024;
/// Free disk that is not on offer unless it is named: the runtime, packages and logs.
pub(crate) const DISK_KEPT_MIB: u64 = 8_192;

const _: () = assert!(FILE_BYTES_MAX <= FILES_BYTES_MAX, "the largest file is handed over");
const _: () = assert!(PACKAGE_BYTES_MAX <= PACKAGES_KEPT_BYTES, "the largest package is kept");
