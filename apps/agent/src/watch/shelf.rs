//! Where records are: those that are not over, those that are sealed, and where each chain ended.
//!
//! ```text
//!   data/watch/open/<span>                          what is written of a record that is not over
//!   data/watch/sealed/<began>-<part>-<span>.record  records to hand over, oldest first by name
//!   data/watch/heads.json                           how many records each span has, and the hash of the last
//! ```
//!
//! # Invariants
//! - A file is there whole or not at all.
//! - Sealed records that nobody takes do not fill the disk: the oldest go first.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use proofs::lock::limits::RECORD_BYTES_MAX;
use proofs::lock::{Head, NodeRef, Record, Sealed, Sign, Span};
use serde::{Deserialize, Serialize};
use units::{BlobId, RentalId};

use crate::limits::SEALED_RECORDS_MAX;

const IDLE: &str = "idle";
const ENDING: &str = ".record";

fn name_of(span: Span) -> String {
    match span {
        Span::Idle => IDLE.to_owned(),
        Span::Rental(NodeRef { rental, node }) => format!("{rental}-{node}"),
    }
}

fn span_of(name: &str) -> Option<Span> {
    if name == IDLE {
        return Some(Span::Idle);
    }
    let (rental, node) = name.rsplit_once('-')?;
    let rental: RentalId = rental.parse().ok()?;
    Some(Span::Rental(NodeRef { rental, node: node.parse().ok()? }))
}

/// Where a chain ended, as it is written down.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenHead {
    parts: u32,
    hash: BlobId,
}

/// The records of one agent.
#[derive(Debug)]
pub(super) struct Shelf {
    folder: PathBuf,
    /// How many sealed records it has room for.
    pub(super) room: usize,
}

impl Shelf {
    /// The shelf in this data folder.
    pub(super) fn open(data: &Path) -> Result<Self> {
        let folder = data.join("watch");
        for part in ["open", "sealed"] {
            let mut builder = fs::DirBuilder::new();
            let made = builder.recursive(true).mode(0o700).create(folder.join(part));
            made.context("make the folder of records")?;
        }
        Ok(Self { folder, room: SEALED_RECORDS_MAX })
    }

    /// Seals what an agent left that broke off. Returns where each chain ended.
    pub(super) fn recover(&self, sign: Sign<'_>) -> Result<BTreeMap<Span, Head>> {
        let mut heads = self.heads();
        for entry in fs::read_dir(self.folder.join("open"))?.flatten() {
            let path = entry.path();
            let left = fs::read(&path).context("read a record that is not over")?;
            match Record::recover(&left, sign) {
                Ok((header, sealed)) => {
                    self.put(header.span, header.began_ms, header.part, &sealed);
                    let parts = header.part.saturating_add(1);
                    heads.insert(header.span, Head { parts, hash: sealed.hash });
                }
                Err(fault) => {
                    tracing::warn!(%fault, ?path, "a record that is not over cannot be read");
                }
            }
            // One that was never whole is worth nothing.
            if let Err(fault) = fs::remove_file(&path) {
                tracing::debug!(%fault, ?path, "a record that is not over was gone already");
            }
        }
        self.note(&heads);
        Ok(heads)
    }

    fn heads(&self) -> BTreeMap<Span, Head> {
        let text = fs::read_to_string(self.folder.join("heads.json")).unwrap_or_default();
        let written: BTreeMap<String, WrittenHead> =
            serde_json::from_str(&text).unwrap_or_default();
        let head = |(name, head): (String, WrittenHead)| {
            Some((span_of(&name)?, Head { parts: head.parts, hash: *head.hash.sha256() }))
        };
        written.into_iter().filter_map(head).collect()
    }

    /// Writes down where each chain ended.
    pub(super) fn note(&self, heads: &BTreeMap<Span, Head>) {
        let head = |(span, head): (&Span, &Head)| {
            let hash = BlobId::from_sha256(head.hash);
            (name_of(*span), WrittenHead { parts: head.parts, hash })
        };
        let written: BTreeMap<String, WrittenHead> = heads.iter().map(head).collect();
        let text = serde_json::to_vec(&written).context("put heads of records into words");
        self.try_to(
            text.and_then(|text| write_whole(&self.folder.join("heads.json"), &text, false)),
        );
    }

    /// Keeps what is written of a record that is not over.
    pub(super) fn keep(&self, span: Span, bytes: &[u8]) {
        let path = self.folder.join("open").join(name_of(span));
        self.try_to(write_whole(&path, bytes, false));
    }

    /// Keeps a record that is over, and makes room for it.
    pub(super) fn put(&self, span: Span, began_ms: u64, part: u32, sealed: &Sealed) {
        let name = name_of(span);
        let file = format!("{began_ms:015}-{part:08}-{name}{ENDING}");
        let path = self.folder.join("sealed").join(file);
        self.try_to(write_whole(&path, &sealed.bytes, true));
        let open = self.folder.join("open").join(name);
        match fs::remove_file(open) {
            Err(fault) if fault.kind() != ErrorKind::NotFound => {
                tracing::warn!(%fault, "a record that is over is still open");
            }
            Ok(()) | Err(_) => {}
        }
        let records = SealedRecords { folder: self.folder.join("sealed") };
        let names = records.names();
        for name in names.iter().take(names.len().saturating_sub(self.room)) {
            tracing::warn!(name, "a record that nobody took is removed: there are too many");
            records.done(name);
        }
    }

    /// What cannot be written down is a gap; the agent goes on.
    fn try_to(&self, outcome: Result<()>) {
        if let Err(fault) = outcome {
            let fault = format!("{fault:#}");
            tracing::error!(fault, "a record could not be written");
        }
    }
}

/// Writes a file so that it is there whole or not at all; `durable`: also if the machine loses power.
fn write_whole(path: &Path, bytes: &[u8], durable: bool) -> Result<()> {
    let new = path.with_extension("new");
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(bytes)?;
        if durable { file.sync_all() } else { Ok(()) }
    });
    written.with_context(|| format!("write {}", new.display()))?;
    fs::rename(&new, path).with_context(|| format!("rename {}", new.display()))
}

/// Records that are sealed and wait to be handed over.
#[derive(Clone, Debug)]
pub struct SealedRecords {
    folder: PathBuf,
}

impl SealedRecords {
    /// Those of the agent with this data folder.
    pub fn under(data: &Path) -> Self {
        Self { folder: data.join("watch/sealed") }
    }

    /// Their names, oldest first.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| name.ends_with(ENDING)).collect();
        names.sort();
        names
    }

    /// The oldest, with its name; `None` if there is none.
    pub fn oldest(&self) -> Option<(String, Vec<u8>)> {
        self.names().into_iter().find_map(|name| {
            let bytes = fs::read(self.folder.join(&name)).ok()?;
            (bytes.len() <= RECORD_BYTES_MAX).then_some((name, bytes))
        })
    }

    /// Forgets one: it was handed over. Told twice, it is forgotten once.
    pub fn done(&self, name: &str) {
        let is_one = name.ends_with(ENDING) && !name.contains('/');
        if is_one && let Err(fault) = fs::remove_file(self.folder.join(name)) {
            tracing::debug!(%fault, name, "a record was gone already");
        }
    }
}
