//! A relay's log, handed over to the network's server: each segment once it is sealed, in their order.
//!
//! # Invariants
//! - What the server does not take now is handed over later, also by a relay that was started again: a mark beside the
//!   log says how far the server has it.
//! - What the server will never take does not hold up what follows, and neither does what is damaged.
//! - No hand-over takes longer than one segment after its time is up.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use wire::audit::{LINE_BYTES_MAX, Verifier};
use wire::paper::NodeKey;

use crate::client::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::Screen;

/// Segments at a time: where the relay is must be said in between.
const AT_ONCE_MAX: usize = 16;
/// How long a hand-over may go on before it begins another segment: a relay that says nothing for a minute is gone from
/// the list, and one segment may take half of that.
const AT_ONCE: Duration = Duration::from_secs(10);
/// The server takes no longer segments.
const SEGMENT_BYTES_MAX: usize = 8 << 20;
/// What is read at a time: no line of a log is as long.
const PIECE_BYTES_MAX: u64 = 2 * LINE_BYTES_MAX as u64;

/// Hands over what a relay with this key writes down.
#[derive(Debug)]
pub(super) struct HandsOver {
    log: PathBuf,
    mark: PathBuf,
    relay: NodeKey,
}

/// What comes next in a log.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    what: What,
    /// Where it ends in the log.
    end: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum What {
    /// A sealed segment.
    Segment(String),
    /// What is none, up to where another begins; and why.
    Damaged(String),
}

/// How far the server has a log.
#[derive(Debug, PartialEq, Eq)]
struct Mark {
    end: u64,
    /// Which log it is: what its first line hashes to. Marks of old have none.
    first: Option<String>,
}

impl HandsOver {
    pub(super) fn new(log: PathBuf, relay: NodeKey) -> Self {
        let mut mark = OsString::from(&log);
        mark.push(".handed-over");
        Self { log, mark: mark.into(), relay }
    }

    /// Hands over what is sealed, as far as the server takes it now, and until it is enough.
    pub(super) fn hand_over(&self, client: &Client, is_enough: impl Fn() -> bool) {
        let begun = Instant::now();
        let is_enough = || is_enough() || begun.elapsed() >= AT_ONCE;
        if let Err(failure) = one_by_one(|| self.hand_over_one(client), is_enough) {
            let failure = failure.text(Screen::PLAIN);
            tracing::warn!(failure, "the relay's log could not be handed over");
        }
    }

    /// Whether there was something.
    fn hand_over_one(&self, client: &Client) -> Result<bool, Failure> {
        let Some(Part { what, end }) = self.next()? else { return Ok(false) };
        match what {
            What::Damaged(why) => {
                tracing::error!(why, end, "a part of the relay's log is damaged, and left out");
            }
            What::Segment(text) => self.hand_over_segment(client, text, end)?,
        }
        self.note(end)?;
        Ok(true)
    }

    fn hand_over_segment(&self, client: &Client, text: String, end: u64) -> Result<(), Failure> {
        let path = format!("/v1/network/relays/me/audit?relay={}", self.relay);
        match client.put_bytes(&path, text.into_bytes()) {
            Err(failure) if is_final(&failure) => {
                let failure = failure.text(Screen::PLAIN);
                tracing::error!(
                    failure,
                    end,
                    "the server will not have a segment of the relay's log"
                );
                Ok(())
            }
            told => told,
        }
    }

    /// What is behind the mark, if it is all there: a segment, or what is none.
    fn next(&self) -> Result<Option<Part>> {
        let file = File::open(&self.log).context("read the relay's log")?;
        let length = file.metadata().context("read the relay's log")?.len();
        let mut lines = BufReader::new(file);
        let Some(first) = self.first(&mut lines)? else { return Ok(None) };
        // Another log may have taken its place.
        let is_of_it = |mark: &Mark| {
            mark.end <= length && mark.first.as_ref().is_none_or(|known| *known == first)
        };
        let mut end = self.mark().filter(is_of_it).map_or(0, |mark| mark.end);
        lines.seek(SeekFrom::Start(end)).context("go on in the relay's log")?;
        let mut segment = String::new();
        let mut verifier = Verifier::new(Some(self.relay));
        while let Some(line) = line(&mut lines)? {
            if let Err(why) = read(&mut verifier, &line, &mut segment) {
                // What begins a segment is the next one's, and not behind the damage.
                let is_next = !segment.is_empty() && self.is_begin(&line);
                end += if is_next { 0 } else { length_of(&line) };
                let end = if is_next { end } else { self.pass_over(&mut lines, end)? };
                return Ok(Some(Part { what: What::Damaged(why), end }));
            }
            end += length_of(&line);
            if verifier.so_far().segments > 0 {
                return Ok(Some(Part { what: What::Segment(segment), end }));
            }
        }
        Ok(None)
    }

    /// Where the next segment begins, or where what is there ends.
    fn pass_over(&self, lines: &mut impl BufRead, mut end: u64) -> Result<u64> {
        while let Some(line) = line(lines)?.filter(|line| !self.is_begin(line)) {
            end += length_of(&line);
        }
        Ok(end)
    }

    /// Whether a segment of this relay can begin so.
    fn is_begin(&self, line: &[u8]) -> bool {
        read(&mut Verifier::new(Some(self.relay)), line, &mut String::new()).is_ok()
    }

    /// What tells this log from another that takes its place.
    fn first(&self, lines: &mut impl BufRead) -> Result<Option<String>> {
        Ok(line(lines)?.map(|line| HEXLOWER.encode(&Sha256::digest(line))))
    }

    fn mark(&self) -> Option<Mark> {
        let text = fs::read_to_string(&self.mark).ok()?;
        let mut words = text.split_whitespace();
        let end = words.next()?.parse().ok()?;
        Some(Mark { end, first: words.next().map(str::to_owned) })
    }

    fn note(&self, end: u64) -> Result<()> {
        let log = File::open(&self.log).context("read the relay's log")?;
        let first = self.first(&mut BufReader::new(log))?.unwrap_or_default();
        let mut new = OsString::from(&self.mark);
        new.push(".new");
        fs::write(&new, format!("{end} {first}\n")).context("note what was handed over")?;
        fs::rename(&new, &self.mark).context("note what was handed over")
    }
}

/// Does it again and again, until there is nothing more to do, it fails, or it is enough.
fn one_by_one<E>(
    mut one: impl FnMut() -> Result<bool, E>,
    is_enough: impl Fn() -> bool,
) -> Result<(), E> {
    for _ in 0..AT_ONCE_MAX {
        if !one()? || is_enough() {
            return Ok(());
        }
    }
    Ok(())
}

/// The next line with its newline, if all of it is there. What is too long for a line comes in pieces.
fn line(lines: &mut impl BufRead) -> Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut bounded = lines.take(PIECE_BYTES_MAX);
    bounded.read_until(b'\n', &mut line).context("read the relay's log")?;
    let is_whole = line.ends_with(b"\n") || length_of(&line) == PIECE_BYTES_MAX;
    Ok(is_whole.then_some(line))
}

/// Reads a line of a segment, and adds it to what is known of that; or tells why it is none.
fn read(verifier: &mut Verifier, line: &[u8], segment: &mut String) -> Result<(), String> {
    let line = std::str::from_utf8(line).map_err(|why| why.to_string())?;
    verifier.line(line.trim_end_matches('\n')).map_err(|why| why.to_string())?;
    segment.push_str(line);
    match segment.len() > SEGMENT_BYTES_MAX {
        true => Err("the segment is too long".to_owned()),
        false => Ok(()),
    }
}

fn length_of(line: &[u8]) -> u64 {
    u64::try_from(line.len()).unwrap_or(u64::MAX)
}

/// Whether another time would be no better. That the server does not know the relay may be: it is told again.
fn is_final(failure: &Failure) -> bool {
    let Failure::Answered(problem) = failure else { return false };
    failure.exit() == Exit::Refused && matches!(problem.status, 409 | 413 | 422)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use units::Timestamp;
    use wire::audit::{AuditLog, Record};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    /// A log in a folder of its own, gone when dropped.
    struct Log {
        key: SigningKey,
        hands: HandsOver,
    }

    impl Log {
        fn new(name: &str) -> Self {
            let key = SigningKey::from_bytes(&[7; 32]);
            let relay = NodeKey(key.verifying_key().to_bytes());
            let name = format!("iog-hands-over-{name}-{}", std::process::id());
            let hands = HandsOver::new(std::env::temp_dir().join(name), relay);
            Self { key, hands }
        }

        /// What the relay writes for each of these.
        fn segments(&self, lost: &[u64]) -> Vec<String> {
            let mut log = AuditLog::new(self.hands.relay);
            let segment = |lost: &u64| {
                let mut lines = log.record(Record::Lost(*lost), NOW);
                lines.extend(log.seal(&self.key, NOW));
                lines.join("\n") + "\n"
            };
            lost.iter().map(segment).collect()
        }

        fn write(&self, bytes: &[u8]) {
            fs::write(&self.hands.log, bytes).unwrap();
        }

        /// Passes what comes next, and says which segment it is; nothing if it is none.
        fn pass(&self) -> Option<Option<String>> {
            let part = self.hands.next().unwrap()?;
            self.hands.note(part.end).unwrap();
            Some(match part.what {
                What::Segment(text) => Some(text),
                What::Damaged(_) => None,
            })
        }
    }

    impl Drop for Log {
        fn drop(&mut self) {
            let _ = (fs::remove_file(&self.hands.log), fs::remove_file(&self.hands.mark));
        }
    }

    #[test]
    fn what_is_sealed_is_handed_over_once_and_in_order() {
        let log = Log::new("order");
        let parts = log.segments(&[1, 2]);
        let whole = parts.concat();
        // The second is being written.
        log.write(&whole.as_bytes()[..whole.len() - 9]);
        assert_eq!(log.pass(), Some(Some(parts[0].clone())));
        assert_eq!(log.pass(), None);
        log.write(whole.as_bytes());
        assert_eq!(log.pass(), Some(Some(parts[1].clone())));
        assert_eq!(log.pass(), None);
        // A log that began anew.
        log.write(parts[0].as_bytes());
        assert_eq!(log.pass(), Some(Some(parts[0].clone())));
    }

    #[test]
    fn what_is_damaged_is_passed_over_and_what_follows_is_not() {
        let log = Log::new("damaged");
        let parts = log.segments(&[1, 2, 3]);
        let (second, third) = (parts[1].as_str(), &parts[2]);
        let without_its_seal = second.lines().next().unwrap().to_owned() + "\n";
        let long = vec![0; 3 * usize::try_from(PIECE_BYTES_MAX).unwrap()];
        let damaged: [&[u8]; 5] = [
            &[b"{\n", second.as_bytes()].concat(),
            &second.replace("lost", "last").into_bytes(),
            without_its_seal.as_bytes(),
            b"\xff\xfe\n",
            &[&long[..], b"\n"].concat(),
        ];
        for damaged in damaged {
            log.write(&[parts[0].as_bytes(), damaged, third.as_bytes()].concat());
            let passed: Vec<_> = std::iter::from_fn(|| log.pass()).flatten().collect();
            let told = String::from_utf8_lossy(damaged);
            assert!(passed.ends_with(std::slice::from_ref(third)), "{told}");
            let _ = fs::remove_file(&log.hands.mark);
        }
    }

    #[test]
    fn a_longer_log_in_place_of_another_is_begun_at_its_beginning() {
        let log = Log::new("another");
        log.write(log.segments(&[1])[0].as_bytes());
        assert!(log.pass().is_some());
        let mut other = AuditLog::new(log.hands.relay);
        let later = NOW.after(Duration::from_secs(1));
        let mut lines: Vec<_> = (0..9).flat_map(|n| other.record(Record::Lost(n), later)).collect();
        lines.extend(other.seal(&log.key, later));
        let text = lines.join("\n") + "\n";
        log.write(text.as_bytes());
        assert_eq!(log.pass(), Some(Some(text)));
    }

    #[test]
    fn a_mark_of_old_goes_on_where_it_says() {
        let log = Log::new("old");
        let parts = log.segments(&[1, 2]);
        log.write(parts.concat().as_bytes());
        fs::write(&log.hands.mark, parts[0].len().to_string()).unwrap();
        assert_eq!(log.pass(), Some(Some(parts[1].clone())));
    }

    #[test]
    fn a_hand_over_ends_when_it_is_enough() {
        let count = |enough: usize| {
            let done = std::cell::Cell::new(0);
            let one = || {
                done.set(done.get() + 1);
                Ok::<_, ()>(done.get() < 100)
            };
            one_by_one(one, || done.get() >= enough).unwrap();
            done.get()
        };
        assert_eq!((count(0), count(3), count(1_000)), (1, 3, AT_ONCE_MAX));
    }
}
