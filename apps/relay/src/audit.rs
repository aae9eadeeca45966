//! The relay's log: which streams there were, and who was not let to what, as a file of sealed segments.
//!
//! # Invariants
//! - What carries never waits for the disk: what finds no room is counted as lost, and the log says so.
//! - A relay goes on behind the last seal of its file; what was written behind it is sealed anew.
//! - A file that is not what a relay of this key wrote is not written to.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ed25519_dalek::SigningKey;
use trunk::system_time;
use tunnel::{ServiceName, StreamRecord};
use units::Timestamp;
use wire::Time;
use wire::audit::{AuditLog, Reconciled, Record, RefusalRecord, Side, Verifier};
use wire::paper::NodeKey;

use crate::door::neighborhood;
use crate::opener::{Entry, Visitor};
use crate::records::{Records, ToLog};

/// Records that wait to be written.
const WAITING_MAX: usize = 8_192;
/// How often it is looked whether a segment is to be sealed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Refusals of one visitor are told at once, and then so often while they go on.
const REFUSALS_EVERY: Duration = Duration::from_secs(60);
/// Visitors whose refusals are counted apart at a time. Those of more are lost, and counted.
const REFUSED_MAX: usize = 1_024;

/// Writes records to a log on disk, and to that of the process.
#[derive(Debug)]
pub struct AuditTo {
    relay: NodeKey,
    /// None once the log is closed.
    sender: RwLock<Option<SyncSender<Record>>>,
    lost: Arc<AtomicU64>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl AuditTo {
    /// The log in this file, which goes on where it ended; it is made if there is none.
    ///
    /// # Errors
    /// If the file cannot be used, or is not such a log.
    pub fn open(path: &Path, key: SigningKey) -> Result<Self> {
        let relay = NodeKey(key.verifying_key().to_bytes());
        let lost = Arc::new(AtomicU64::new(0));
        let writer = Writer::open(path, key, lost.clone());
        let mut writer = writer.with_context(|| format!("use {}", path.display()))?;
        let (sender, records) = sync_channel(WAITING_MAX);
        let thread = std::thread::Builder::new().name("audit".to_owned());
        let thread = thread.spawn(move || writer.work(&records)).context("start a thread")?;
        let (sender, thread) = (RwLock::new(Some(sender)), Mutex::new(Some(thread)));
        Ok(Self { relay, sender, lost, thread })
    }

    fn take(&self, record: Record) {
        let sender = self.sender.read().unwrap_or_else(PoisonError::into_inner);
        let is_taken = sender.as_ref().is_some_and(|sender| sender.try_send(record).is_ok());
        if !is_taken {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for AuditTo {
    fn drop(&mut self) {
        self.close();
    }
}

impl Records for AuditTo {
    fn ended(&self, record: &StreamRecord, node: NodeKey) {
        self.take(Record::Stream(trunk::told(record, Side::Relay, self.relay, node)));
    }

    fn over(&self, record: &StreamRecord, node: Option<Reconciled>) {
        ToLog.over(record, node);
    }

    /// Seals what is open.
    fn close(&self) {
        drop(self.sender.write().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }

    fn refused(&self, service: &ServiceName, visitor: &Visitor) {
        ToLog.refused(service, visitor);
        let now = Time(system_time());
        self.take(Record::Refused(RefusalRecord {
            relay: self.relay,
            service: service.to_string(),
            door: door(visitor.entry).to_owned(),
            visitor: neighborhood(visitor.address.ip()),
            subject: visitor.subject.clone(),
            start: now,
            end: now,
            times: 1,
        }));
    }
}

const fn door(entry: Entry) -> &'static str {
    match entry {
        Entry::Https => "https",
        Entry::Passthrough => "passthrough",
        Entry::Ssh => "ssh",
        Entry::Tcp => "tcp",
        Entry::Udp => "udp",
        Entry::Forward => "forward",
    }
}

/// Refusals of one visitor at one service.
struct Counted {
    told: Timestamp,
    /// What was not told yet.
    more: Option<RefusalRecord>,
}

struct Writer {
    file: File,
    log: AuditLog,
    key: SigningKey,
    lost: Arc<AtomicU64>,
    refused: BTreeMap<(String, String, IpAddr), Counted>,
    /// Whether a line could not be written. What follows would fit nothing.
    is_broken: bool,
}

impl Writer {
    fn open(path: &Path, key: SigningKey, lost: Arc<AtomicU64>) -> Result<Self> {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        let relay = NodeKey(key.verifying_key().to_bytes());
        let (log, sealed, unsealed) = read(&file, relay)?;
        file.set_len(sealed).context("cut off what was not sealed")?;
        file.seek(SeekFrom::End(0)).context("go to its end")?;
        let refused = BTreeMap::new();
        let mut writer = Self { file, log, key, lost, refused, is_broken: false };
        unsealed.into_iter().for_each(|record| writer.write(record));
        Ok(writer)
    }

    /// Writes until nobody has anything more to say, and seals.
    fn work(&mut self, records: &Receiver<Record>) {
        loop {
            match records.recv_timeout(LOOK_EVERY) {
                Ok(Record::Refused(refusal)) => self.count(refusal),
                Ok(record) => self.write(record),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = system_time();
            self.tell_refusals(now, false);
            if self.log.is_due(now) {
                self.seal(now);
            }
        }
        let now = system_time();
        self.tell_refusals(now, true);
        self.seal(now);
    }

    fn count(&mut self, refusal: RefusalRecord) {
        let name = (refusal.service.clone(), refusal.door.clone(), refusal.visitor);
        let is_full = self.refused.len() >= REFUSED_MAX;
        match self.refused.get_mut(&name) {
            Some(counted) => match &mut counted.more {
                Some(more) => {
                    (more.end, more.subject) = (refusal.end, refusal.subject);
                    more.times = more.times.saturating_add(refusal.times);
                }
                more @ None => *more = Some(refusal),
            },
            None if is_full => {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
            None => {
                self.refused.insert(name, Counted { told: system_time(), more: None });
                self.write(Record::Refused(refusal));
            }
        }
    }

    fn tell_refusals(&mut self, now: Timestamp, all: bool) {
        let is_due = |counted: &Counted| all || counted.told.after(REFUSALS_EVERY) <= now;
        let mut due = Vec::new();
        self.refused.retain(|_, counted| {
            if !is_due(counted) {
                return true;
            }
            counted.told = now;
            let more = counted.more.take();
            let goes_on = more.is_some();
            due.extend(more);
            goes_on
        });
        due.into_iter().for_each(|refusal| self.write(Record::Refused(refusal)));
    }

    fn write(&mut self, record: Record) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            self.append(Record::Lost(lost));
        }
        self.append(record);
    }

    fn append(&mut self, record: Record) {
        let mut text = String::new();
        for line in self.log.record(record, system_time()) {
            text.push_str(&line);
            text.push('\n');
        }
        self.say(&text);
    }

    fn seal(&mut self, now: Timestamp) {
        if let Some(line) = self.log.seal(&self.key, now) {
            self.say(&format!("{line}\n"));
            let _ = self.file.sync_data();
        }
    }

    fn say(&mut self, text: &str) {
        if self.is_broken {
            return;
        }
        if let Err(fault) = self.file.write_all(text.as_bytes()) {
            tracing::error!(%fault, "the relay's log cannot be written; nothing is, from here on");
            self.is_broken = true;
        }
    }
}

/// What a file holds: a log that goes on behind its last seal, how long it is up to there, and what stands behind that.
fn read(file: &File, relay: NodeKey) -> Result<(AuditLog, u64, Vec<Record>)> {
    let mut verifier = Verifier::new(Some(relay));
    let (mut at, mut sealed, mut unsealed) = (0_u64, 0_u64, Vec::new());
    let mut lines = BufReader::new(file);
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        let Some(text) = line.strip_suffix('\n') else {
            // The relay was stopped while it wrote.
            break;
        };
        at += line.len() as u64;
        let segments = verifier.so_far().segments;
        match verifier.line(text) {
            Ok(record) => unsealed.extend(record),
            Err(broken) => bail!("go on behind a log that is not this relay's own: {broken}"),
        }
        if verifier.so_far().segments > segments {
            sealed = at;
            unsealed.clear();
        }
        line.clear();
    }
    let verified = verifier.so_far();
    let log = match verified.segments {
        0 => AuditLog::new(relay),
        _ => AuditLog::resume(relay, verified.next, verified.previous),
    };
    Ok((log, sealed, unsealed))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use tunnel::{Traffic, Who};
    use wire::audit::Verified;

    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    fn path(name: &str) -> PathBuf {
        let name = format!("iog-relay-audit-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_file(&path);
        path
    }

    fn record(stream: u32) -> StreamRecord {
        StreamRecord {
            session: "00".to_owned(),
            stream,
            service: "ssh-1".parse().unwrap(),
            visitor: "192.0.2.1:5".parse().unwrap(),
            subject: String::new(),
            opened: Timestamp::from_millis(1),
            closed: Timestamp::from_millis(2),
            traffic: Traffic { to_service: 7, to_visitor: 9 },
            is_whole: true,
        }
    }

    /// What the log has, and what it came to.
    fn verified(path: &Path) -> (Vec<Record>, Verified) {
        let mut verifier = Verifier::new(Some(NodeKey(key().verifying_key().to_bytes())));
        let text = fs::read_to_string(path).unwrap();
        let records = text.lines().filter_map(|line| verifier.line(line).unwrap()).collect();
        (records, verifier.finish())
    }

    #[test]
    fn a_log_goes_on_where_it_ended() {
        let path = path("goes-on");
        for stream in [2, 4] {
            let audit = AuditTo::open(&path, key()).unwrap();
            audit.ended(&record(stream), NodeKey([1; 32]));
        }
        // A third was killed while it wrote.
        let mut text = fs::read_to_string(&path).unwrap();
        let mut log = {
            let (_, verified) = verified(&path);
            AuditLog::resume(verified.node.unwrap(), verified.next, verified.previous)
        };
        for line in log.record(Record::Lost(3), system_time()) {
            text.push_str(&line);
            text.push('\n');
        }
        text.push_str("{\"record\":{\"lo");
        fs::write(&path, text).unwrap();
        drop(AuditTo::open(&path, key()).unwrap());
        let (records, verified) = verified(&path);
        assert_eq!((verified.segments, verified.sealed, verified.unsealed), (3, 3, 0));
        let Record::Stream(stream) = &records[1] else { panic!("{records:?}") };
        assert_eq!((stream.stream, stream.to_service, stream.to_visitor), (4, 7, 9));
        assert_eq!(records[2], Record::Lost(3));
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_log_of_another_or_one_that_was_changed_is_not_written_to() {
        let path = path("changed");
        let audit = AuditTo::open(&path, key()).unwrap();
        audit.ended(&record(2), NodeKey([1; 32]));
        drop(audit);
        let other = AuditTo::open(&path, SigningKey::from_bytes(&[8; 32]));
        assert!(format!("{:#}", other.unwrap_err()).contains("not this relay's own"));
        let text =
            fs::read_to_string(&path).unwrap().replace("\"to_service\":7", "\"to_service\":8");
        fs::write(&path, text).unwrap();
        assert!(AuditTo::open(&path, key()).is_err());
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn refusals_of_one_visitor_are_counted_together() {
        let path = path("refusals");
        let audit = AuditTo::open(&path, key()).unwrap();
        let visitor = |address: &str| Visitor {
            address: address.parse().unwrap(),
            local: "192.0.2.9:443".parse().unwrap(),
            entry: Entry::Ssh,
            subject: "acc_1".to_owned(),
            who: Who::default(),
        };
        let service: ServiceName = "ssh-1".parse().unwrap();
        for port in 1..=9 {
            audit.refused(&service, &visitor(&format!("192.0.2.1:{port}")));
        }
        audit.refused(&service, &visitor("192.0.2.2:1"));
        drop(audit);
        let (records, _) = verified(&path);
        let times = |record: &Record| match record {
            Record::Refused(refusal) => (refusal.visitor.to_string(), refusal.times),
            Record::Flow(_) | Record::Stream(_) | Record::Lost(_) => panic!("{record:?}"),
        };
        let mut told: Vec<_> = records.iter().map(times).collect();
        told.sort();
        let expected = [("192.0.2.1", 1), ("192.0.2.1", 8), ("192.0.2.2", 1)];
        assert_eq!(told, expected.map(|(from, times)| (from.to_owned(), times)));
        fs::remove_file(path).unwrap();
    }
}
