//! Speed tests: how fast a machine is connected, by this server's clock alone.
//!
//! ```text
//!   begin ──► pings: each answer ends with a token that the next question repeats
//!         ──► downloads: the last bytes of each are a token, which counts when it has come back
//!         ──► uploads: what has arrived counts
//!         ──► end: bytes by the time from the first question to the last token, or the last byte
//! ```
//!
//! # Invariants
//! - A caller says nothing that is believed: bytes count when they have arrived here, or when who has them all says how
//!   they end. Tokens are chance, so that nobody has one who did not wait for it.
//! - Tests at one time, their bytes, their time, and how many one caller has in a day have an end. Nothing outlives the
//!   server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use units::WorkerId;
use wire::SpeedTest;

use crate::clock::random;
use crate::limits::{
    SPEED_BYTES, SPEED_CALLERS_MAX, SPEED_PINGS, SPEED_SECS, SPEED_STREAMS, SPEED_TEST_VALID,
    SPEED_TESTS_AT_ONCE_MAX, SPEED_TESTS_OF_ADDRESS_MAX, SPEED_TESTS_OF_MACHINE_MAX,
};

/// The span in which a caller's tests are counted.
const DAY: Duration = Duration::from_secs(86_400);
/// Bytes handed to the network at once.
const PIECE: usize = 256 << 10;

/// Who measures.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asker {
    /// A machine in its session: what comes of it counts.
    Machine(WorkerId),
    /// Somebody at this address, who wants to know before joining.
    Address(String),
}

impl Asker {
    const fn tests_max(&self) -> u32 {
        match self {
            Self::Machine(_) => SPEED_TESTS_OF_MACHINE_MAX,
            Self::Address(_) => SPEED_TESTS_OF_ADDRESS_MAX,
        }
    }
}

/// Why nothing is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotMeasured {
    /// The caller's tests of the day are used up.
    #[error("as often as a day allows, the speed was tested already")]
    TooOften {
        /// When the next may begin.
        wait: Duration,
    },
    /// Others are being measured.
    #[error("others test their speed just now")]
    Busy,
    /// There is no such test of this caller, or not any more.
    #[error("there is no such speed test: it is over, or never was")]
    Over,
    /// More was asked for than a test has.
    #[error("a test has {SPEED_STREAMS} transfers of {SPEED_BYTES} bytes in each direction")]
    TooMuch,
    /// Too little arrived to reckon with.
    #[error("not all directions were measured")]
    Unfinished,
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Measured {
    pub(crate) down_mbps: u32,
    pub(crate) up_mbps: u32,
    pub(crate) ping_ms: u32,
}

/// A token that was sent and has not come back.
#[derive(Clone, Copy, Debug)]
enum Out {
    Ping { at: Instant },
    Tail { bytes: u64 },
}

/// What went in one direction.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    streams: u32,
    begun: Option<Instant>,
    ended: Option<Instant>,
    bytes: u64,
}

impl Flow {
    /// Another transfer begins; until when it may go on.
    fn begin(&mut self, now: Instant) -> Result<Instant, NotMeasured> {
        if self.streams >= SPEED_STREAMS {
            return Err(NotMeasured::TooMuch);
        }
        self.streams += 1;
        Ok(*self.begun.get_or_insert(now) + SPEED_SECS)
    }

    fn arrived(&mut self, bytes: u64, now: Instant) {
        self.bytes += bytes;
        self.ended = Some(now);
    }

    /// In megabits a second: bits by microseconds.
    fn mbps(&self) -> Option<u32> {
        let span = self.ended?.duration_since(self.begun?).as_micros().max(1);
        let mbps = u128::from(self.bytes) * 8 / span;
        Some(u32::try_from(mbps).unwrap_or(u32::MAX))
    }
}

#[derive(Debug)]
struct Test {
    asker: Asker,
    until: Instant,
    out: BTreeMap<String, Out>,
    asked: u32,
    pings: Vec<Duration>,
    down: Flow,
    up: Flow,
    _room: OwnedSemaphorePermit,
}

impl Test {
    fn measured(&mut self) -> Option<Measured> {
        self.pings.sort();
        let ping = self.pings.get(self.pings.len() / 2)?;
        Some(Measured {
            down_mbps: self.down.mbps()?,
            up_mbps: self.up.mbps()?,
            ping_ms: u32::try_from(ping.as_millis()).unwrap_or(u32::MAX),
        })
    }
}

#[derive(Debug, Default)]
struct Table {
    tests: BTreeMap<String, Test>,
    /// Since when a caller's tests are counted, and how many there were.
    counts: BTreeMap<Asker, (Instant, u32)>,
}

impl Table {
    fn sweep(&mut self, now: Instant) {
        self.tests.retain(|_, test| now < test.until);
        self.counts.retain(|_, (since, _)| now < *since + DAY);
    }

    fn may(&self, asker: &Asker, now: Instant) -> Result<(), NotMeasured> {
        match self.counts.get(asker) {
            Some((since, count)) if *count >= asker.tests_max() => {
                Err(NotMeasured::TooOften { wait: (*since + DAY).duration_since(now) })
            }
            None if self.counts.len() >= SPEED_CALLERS_MAX => Err(NotMeasured::Busy),
            Some(_) | None => Ok(()),
        }
    }
}

/// All speed tests of this server.
#[derive(Debug)]
pub(crate) struct Speeds {
    table: Mutex<Table>,
    room: Arc<Semaphore>,
    /// What is sent: chance, so that nothing on the way makes it shorter.
    noise: Bytes,
}

impl Speeds {
    pub(crate) fn new() -> Self {
        let noise: Box<[u8; PIECE]> = Box::new(random());
        Self {
            table: Mutex::default(),
            room: Arc::new(Semaphore::new(SPEED_TESTS_AT_ONCE_MAX)),
            noise: Bytes::from(noise.to_vec()),
        }
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.table.lock().expect("nobody panics with the table in hand")
    }

    fn with<T>(
        &self,
        test: &str,
        now: Instant,
        work: impl FnOnce(&mut Test) -> Result<T, NotMeasured>,
    ) -> Result<T, NotMeasured> {
        let mut table = self.table();
        let test = table.tests.get_mut(test).filter(|test| now < test.until);
        work(test.ok_or(NotMeasured::Over)?)
    }

    /// Begins a test.
    pub(crate) fn begin(&self, asker: Asker, now: Instant) -> Result<SpeedTest, NotMeasured> {
        let mut table = self.table();
        table.sweep(now);
        table.may(&asker, now)?;
        let room = Arc::clone(&self.room).try_acquire_owned().map_err(|_| NotMeasured::Busy)?;
        table.counts.entry(asker.clone()).or_insert((now, 0)).1 += 1;
        let test = token();
        let (out, pings) = (BTreeMap::new(), Vec::new());
        let (down, up) = (Flow::default(), Flow::default());
        let until = now + SPEED_TEST_VALID;
        let kept = Test { asker, until, out, asked: 0, pings, down, up, _room: room };
        table.tests.insert(test.clone(), kept);
        Ok(SpeedTest {
            test,
            pings: SPEED_PINGS,
            streams: SPEED_STREAMS,
            bytes: SPEED_BYTES,
            secs: SPEED_SECS.as_secs(),
        })
    }

    /// A token has come back.
    pub(crate) fn seen(&self, test: &str, token: &str, now: Instant) -> Result<(), NotMeasured> {
        self.with(test, now, |test| {
            match test.out.remove(token) {
                Some(Out::Ping { at }) => test.pings.push(now.duration_since(at)),
                Some(Out::Tail { bytes }) => test.down.arrived(bytes, now),
                // It was seen before, or made up: it says nothing.
                None => {}
            }
            Ok(())
        })
    }

    /// The token that answers a ping.
    pub(crate) fn ping(&self, test: &str, now: Instant) -> Result<String, NotMeasured> {
        // One more for each transfer, which ends with a question.
        const ASKED_MAX: u32 = SPEED_PINGS + 1 + SPEED_STREAMS;
        self.with(test, now, |test| {
            if test.asked >= ASKED_MAX {
                return Err(NotMeasured::TooMuch);
            }
            test.asked += 1;
            let token = token();
            test.out.insert(token.clone(), Out::Ping { at: now });
            Ok(token)
        })
    }

    /// Begins a download of so many bytes.
    pub(crate) fn download(
        self: &Arc<Self>,
        test: &str,
        bytes: u64,
        now: Instant,
    ) -> Result<Download, NotMeasured> {
        if bytes > SPEED_BYTES {
            return Err(NotMeasured::TooMuch);
        }
        let until = self.with(test, now, |test| test.down.begin(now))?;
        let (speeds, test) = (Arc::clone(self), test.to_owned());
        Ok(Download { speeds, test, left: bytes, sent: 0, until, over: false })
    }

    fn tail(&self, test: &str, bytes: u64, now: Instant) -> Option<String> {
        let made = self.with(test, now, |test| {
            let token = token();
            test.out.insert(token.clone(), Out::Tail { bytes });
            Ok(token)
        });
        made.ok()
    }

    /// Begins an upload.
    pub(crate) fn upload(&self, test: &str, now: Instant) -> Result<(), NotMeasured> {
        self.with(test, now, |test| test.up.begin(now).map(drop))
    }

    /// A piece of an upload has arrived.
    pub(crate) fn arrived(&self, test: &str, bytes: u64, now: Instant) -> Result<(), NotMeasured> {
        self.with(test, now, |test| {
            test.up.arrived(bytes, now);
            Ok(())
        })
    }

    /// Ends a test of this caller: what came of it.
    pub(crate) fn end(
        &self,
        asker: &Asker,
        test: &str,
        now: Instant,
    ) -> Result<Measured, NotMeasured> {
        let mut table = self.table();
        let is_theirs =
            table.tests.get(test).is_some_and(|test| test.asker == *asker && now < test.until);
        if !is_theirs {
            return Err(NotMeasured::Over);
        }
        let test = table.tests.remove(test);
        test.and_then(|mut test| test.measured()).ok_or(NotMeasured::Unfinished)
    }
}

/// What goes to a machine, piece by piece, until its bytes or its time are over.
#[derive(Debug)]
pub(crate) struct Download {
    speeds: Arc<Speeds>,
    test: String,
    left: u64,
    sent: u64,
    until: Instant,
    over: bool,
}

impl Download {
    /// The next piece; the last one is the token.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Bytes> {
        if self.over {
            return None;
        }
        if self.left == 0 || now >= self.until {
            self.over = true;
            return self.speeds.tail(&self.test, self.sent, now).map(Bytes::from);
        }
        let length = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE);
        let piece = self.speeds.noise.slice(..length);
        self.left -= piece.len() as u64;
        self.sent += piece.len() as u64;
        Some(piece)
    }
}

fn token() -> String {
    HEXLOWER.encode(&random::<32>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Asker = Asker::Machine(WorkerId::from_bits(1));

    fn speeds() -> (Arc<Speeds>, Instant) {
        (Arc::new(Speeds::new()), Instant::now())
    }

    fn drained(mut download: Download, now: Instant) -> (u64, String) {
        let mut pieces: Vec<Bytes> = std::iter::from_fn(|| download.next(now)).collect();
        let tail = String::from_utf8(pieces.pop().unwrap().to_vec()).unwrap();
        (pieces.iter().map(|piece| piece.len() as u64).sum(), tail)
    }

    #[test]
    fn a_connection_is_what_arrived_by_the_servers_clock() {
        let (speeds, start) = speeds();
        let at = |millis| start + Duration::from_millis(millis);
        let test = speeds.begin(MACHINE, at(0)).unwrap().test;
        for millis in [10, 30, 70] {
            let ping = speeds.ping(&test, at(0)).unwrap();
            speeds.seen(&test, &ping, at(millis)).unwrap();
        }
        let (bytes, tail) = drained(speeds.download(&test, 25_000_000, at(100)).unwrap(), at(100));
        assert_eq!(bytes, 25_000_000);
        speeds.seen(&test, "made up", at(101)).unwrap();
        speeds.seen(&test, &tail, at(1_100)).unwrap();
        speeds.upload(&test, at(2_000)).unwrap();
        speeds.arrived(&test, 1_000_000, at(2_400)).unwrap();
        speeds.arrived(&test, 1_000_000, at(2_800)).unwrap();
        let measured = speeds.end(&MACHINE, &test, at(3_000)).unwrap();
        assert_eq!(measured, Measured { down_mbps: 200, up_mbps: 20, ping_ms: 30 });
        assert_eq!(speeds.end(&MACHINE, &test, at(3_000)), Err(NotMeasured::Over), "it is over");
    }

    #[test]
    fn a_download_ends_when_its_time_is_over() {
        let (speeds, start) = speeds();
        let test = speeds.begin(MACHINE, start).unwrap().test;
        let mut download = speeds.download(&test, SPEED_BYTES, start).unwrap();
        assert_eq!(download.next(start).unwrap().len(), PIECE);
        let late = start + SPEED_SECS;
        let (bytes, tail) = drained(download, late);
        assert_eq!(bytes, 0, "nothing but the token");
        speeds.seen(&test, &tail, late).unwrap();
        assert_eq!(speeds.with(&test, late, |test| Ok(test.down.bytes)), Ok(PIECE as u64));
    }

    #[test]
    fn a_test_is_its_own_callers_and_half_a_test_is_none() {
        let (speeds, now) = speeds();
        let test = speeds.begin(MACHINE, now).unwrap().test;
        let other = Asker::Machine(WorkerId::from_bits(2));
        assert_eq!(speeds.end(&other, &test, now), Err(NotMeasured::Over));
        assert_eq!(speeds.end(&MACHINE, &test, now), Err(NotMeasured::Unfinished));
        let test = speeds.begin(MACHINE, now).unwrap().test;
        let late = now + SPEED_TEST_VALID;
        assert_eq!(speeds.ping(&test, late), Err(NotMeasured::Over));
    }

    #[test]
    fn nobody_takes_more_than_a_test_has() {
        let (speeds, now) = speeds();
        let test = speeds.begin(MACHINE, now).unwrap().test;
        assert!(speeds.download(&test, SPEED_BYTES + 1, now).is_err());
        for _ in 0..SPEED_STREAMS {
            speeds.upload(&test, now).unwrap();
        }
        assert_eq!(speeds.upload(&test, now), Err(NotMeasured::TooMuch));
        let pings = (0..100).filter(|_| speeds.ping(&test, now).is_ok()).count();
        assert_eq!(pings, (SPEED_PINGS + 1 + SPEED_STREAMS) as usize);
    }

    #[test]
    fn tests_at_one_time_and_in_a_day_have_an_end() {
        let (speeds, now) = speeds();
        let asker = |number| Asker::Machine(WorkerId::from_bits(number));
        for number in 0..SPEED_TESTS_AT_ONCE_MAX {
            speeds.begin(asker(number as u128), now).unwrap();
        }
        assert_eq!(speeds.begin(MACHINE, now), Err(NotMeasured::Busy));
        let later = now + SPEED_TEST_VALID;
        assert!(speeds.begin(MACHINE, later).is_ok(), "those that were left are forgotten");
        let mut begun = 2;
        let refused = loop {
            let test = match speeds.begin(MACHINE, later) {
                Ok(test) => test.test,
                Err(why) => break why,
            };
            begun += 1;
            speeds.end(&MACHINE, &test, later).unwrap_err();
        };
        assert_eq!(begun, SPEED_TESTS_OF_MACHINE_MAX);
        assert!(matches!(refused, NotMeasured::TooOften { wait } if wait <= DAY), "{refused}");
        assert!(speeds.begin(MACHINE, now + DAY).is_ok(), "the next day");
    }
}
