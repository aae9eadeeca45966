//! A relay's log, handed over to the network's server: each segment once it is sealed, in their order.
//!
//! # Invariants
//! - What the server does not take now is handed over later, also by a relay that was started again: a mark beside the
//!   log says how far the server has it.
//! - What the server will never take does not hold up what follows.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use wire::audit::Verifier;
use wire::paper::NodeKey;

use crate::client::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::Screen;

/// Segments at a time: where the relay is must be said in between.
const AT_ONCE_MAX: usize = 16;
/// The server takes no longer segments.
const SEGMENT_BYTES_MAX: usize = 8 << 20;

/// Hands over what a relay with this key writes down.
#[derive(Debug)]
pub(super) struct HandsOver {
    log: PathBuf,
    mark: PathBuf,
    relay: NodeKey,
}

/// A sealed segment.
#[derive(Debug, PartialEq, Eq)]
struct Segment {
    text: String,
    /// Where it ends in the log.
    end: u64,
}

impl HandsOver {
    pub(super) fn new(log: PathBuf, relay: NodeKey) -> Self {
        let mut mark = OsString::from(&log);
        mark.push(".handed-over");
        Self { log, mark: mark.into(), relay }
    }

    /// Hands over what is sealed, as far as the server takes it now.
    pub(super) fn hand_over(&self, client: &Client) {
        for _ in 0..AT_ONCE_MAX {
            match self.hand_over_one(client) {
                Ok(true) => {}
                Ok(false) => return,
                Err(failure) => {
                    let failure = failure.text(Screen::PLAIN);
                    tracing::warn!(failure, "the relay's log could not be handed over");
                    return;
                }
            }
        }
    }

    /// Whether there was one.
    fn hand_over_one(&self, client: &Client) -> Result<bool, Failure> {
        let Some(Segment { text, end }) = self.next()? else { return Ok(false) };
        let path = format!("/v1/network/relays/me/audit?relay={}", self.relay);
        match client.put_bytes(&path, text.into_bytes()) {
            Err(failure) if is_final(&failure) => {
                let failure = failure.text(Screen::PLAIN);
                tracing::error!(
                    failure,
                    end,
                    "the server will not have a segment of the relay's log"
                );
            }
            told => told?,
        }
        self.note(end)?;
        Ok(true)
    }

    /// The first segment behind the mark, if it is sealed.
    fn next(&self) -> Result<Option<Segment>> {
        let mut file = File::open(&self.log).context("read the relay's log")?;
        let marked = marked(&self.mark);
        // Another log may have taken its place.
        let mut end =
            marked.filter(|at| file.metadata().is_ok_and(|it| *at <= it.len())).unwrap_or(0);
        file.seek(SeekFrom::Start(end)).context("go on in the relay's log")?;
        let (mut lines, mut text) = (BufReader::new(file), String::new());
        let mut verifier = Verifier::new(Some(self.relay));
        loop {
            let begin = text.len();
            let read = lines.read_line(&mut text).context("read the relay's log")?;
            end += u64::try_from(read).unwrap_or(u64::MAX);
            let Some(line) = text.get(begin..).and_then(|line| line.strip_suffix('\n')) else {
                return Ok(None);
            };
            verifier.line(line).context("understand the relay's log")?;
            if verifier.so_far().segments > 0 {
                return Ok(Some(Segment { text, end }));
            }
            ensure!(text.len() <= SEGMENT_BYTES_MAX, "a segment of the relay's log is too long");
        }
    }

    fn note(&self, end: u64) -> Result<()> {
        let mut new = OsString::from(&self.mark);
        new.push(".new");
        fs::write(&new, end.to_string()).context("note what was handed over")?;
        fs::rename(&new, &self.mark).context("note what was handed over")
    }
}

fn marked(mark: &Path) -> Option<u64> {
    fs::read_to_string(mark).ok()?.trim().parse().ok()
}

/// Whether another time would be no better. That the server does not know the relay may be: it is told again.
fn is_final(failure: &Failure) -> bool {
    let Failure::Answered(problem) = failure else { return false };
    failure.exit() == Exit::Refused && matches!(problem.status, 409 | 413 | 422)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use ed25519_dalek::SigningKey;
    use units::Timestamp;
    use wire::audit::{AuditLog, Record};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn what_is_sealed_is_handed_over_once_and_in_order() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let relay = NodeKey(key.verifying_key().to_bytes());
        let path = std::env::temp_dir().join(format!("iog-hands-over-{}", std::process::id()));
        let hands = HandsOver::new(path.clone(), relay);
        let _ = (fs::remove_file(&path), fs::remove_file(&hands.mark));
        let mut file = File::create(&path).unwrap();
        let mut log = AuditLog::new(relay);
        let mut segment = |lost| {
            let mut lines = log.record(Record::Lost(lost), NOW);
            lines.extend(log.seal(&key, NOW));
            lines.join("\n") + "\n"
        };
        let (first, second) = (segment(1), segment(2));
        file.write_all(first.as_bytes()).unwrap();
        // The second is being written.
        file.write_all(&second.as_bytes()[..second.len() - 9]).unwrap();
        let next = hands.next().unwrap().unwrap();
        assert_eq!((next.text, next.end), (first.clone(), first.len() as u64));
        hands.note(next.end).unwrap();
        assert_eq!(hands.next().unwrap(), None);
        file.write_all(&second.as_bytes()[second.len() - 9..]).unwrap();
        let next = hands.next().unwrap().unwrap();
        assert_eq!(next.text, second);
        hands.note(next.end).unwrap();
        assert_eq!(hands.next().unwrap(), None);
        // A log that began anew.
        fs::write(&path, &first).unwrap();
        assert_eq!(hands.next().unwrap().unwrap().text, first);
        let _ = (fs::remove_file(&path), fs::remove_file(&hands.mark));
    }
}
