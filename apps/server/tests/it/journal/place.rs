//! A place to keep a journal in for one test, on either engine, and entries to put there.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use server::journal::{Batch, Entry, Event, Head, Journal, JournalError, Options, Row, open};
use sha2::{Digest, Sha256};

use crate::cluster::Cluster;

/// Where one test keeps its journal.
pub(crate) struct Place {
    pub(crate) address: String,
    folder: Option<PathBuf>,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        static PLACES: AtomicU32 = AtomicU32::new(0);
        let number = PLACES.fetch_add(1, Ordering::Relaxed);
        let name = format!("journal-{}-{number}", std::process::id());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        let address = format!("sqlite:{}", folder.join("iog.db").display());
        Self { address, folder: Some(folder) }
    }

    pub(crate) fn postgres() -> Self {
        Self { address: Cluster::shared().fresh_address(), folder: None }
    }

    pub(crate) fn open(&self) -> Box<dyn Journal> {
        self.try_open(&Options::default()).unwrap()
    }

    pub(crate) fn try_open(&self, options: &Options) -> Result<Box<dyn Journal>, JournalError> {
        open(&self.address, options)
    }

    /// The file, when it is one.
    pub(crate) fn file(&self) -> Option<&str> {
        self.address.strip_prefix("sqlite:")
    }

    /// Runs SQL behind the journal's back. Bytes are written `X'00'`.
    pub(crate) fn tamper(&self, sql: &str) {
        match self.file() {
            Some(file) => rusqlite::Connection::open(file).unwrap().execute_batch(sql).unwrap(),
            None => {
                let sql = sql.replace("X'", "'\\x");
                self.client().batch_execute(&sql).unwrap();
            }
        }
    }

    /// A client of the test's schema.
    pub(crate) fn client(&self) -> postgres::Client {
        let (database, schema) = self.address.split_once("&schema=").unwrap();
        let mut client = postgres::Client::connect(database, postgres::NoTls).unwrap();
        client.batch_execute(&format!("SET search_path TO {schema}")).unwrap();
        client
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            fs::remove_dir_all(folder).unwrap();
        }
    }
}

/// Makes entries that follow each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chain {
    pub(crate) head: Head,
}

impl Chain {
    pub(crate) fn next(&mut self, body: &[u8]) -> Entry {
        let (seq, at_millis) = (self.head.seq + 1, 1_700_000_000_000 + self.head.seq);
        let previous = self.head.hash;
        let hash = hash_of(&previous, seq, at_millis, body);
        self.head = Head { seq, hash };
        Entry { seq, at_millis, previous, hash, body: body.to_vec() }
    }

    pub(crate) fn take(&mut self, count: usize) -> Vec<Entry> {
        (0..count).map(|number| self.next(format!("command {number}").as_bytes())).collect()
    }
}

/// The hash that `control` gives an entry.
pub(crate) fn hash_of(previous: &[u8; 32], seq: u64, at_millis: u64, body: &[u8]) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(previous);
    digest.update(seq.to_be_bytes());
    digest.update(at_millis.to_be_bytes());
    digest.update(body);
    digest.finalize().into()
}

pub(crate) fn only(entries: &[Entry]) -> Batch<'_> {
    Batch { entries, rows: &[], events: &[] }
}

pub(crate) fn row(kind: &'static str, id: &str, owner: &str, body: Option<&str>) -> Row {
    let body = body.map(|body| body.as_bytes().to_vec());
    Row { kind, id: id.to_owned(), owner: owner.to_owned(), body }
}

pub(crate) fn event(seq: u64, part: u32, owner: &str) -> Event {
    let body = format!("{{\"seq\":{seq},\"part\":{part}}}").into_bytes();
    Event { seq, part, owner: owner.to_owned(), body }
}
